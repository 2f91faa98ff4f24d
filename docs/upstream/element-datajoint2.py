"""The Element does not import under DataJoint 2.

Needs element-facemap (see element_case.py); ends with an AssertionError where the fault is.
"""

import datajoint

try:
    from element_facemap import facial_behavior_estimation  # noqa: F401

    failed = ""
except (AttributeError, TypeError) as error:
    failed = str(error)

assert not failed, f"with DataJoint {datajoint.__version__}: {failed}"
