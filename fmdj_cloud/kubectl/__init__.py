"""``kubectl fmdj``: the ``fmdj`` command of a cluster, from a laptop with only a kubeconfig.

Nothing here imports what the programs stand on (DataJoint, boto3, typer ...): a plugin that takes a second to start
isn't used.
"""
