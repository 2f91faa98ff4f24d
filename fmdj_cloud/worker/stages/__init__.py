"""What a worker does in each stage of an attempt, between its spec and its commit."""

from collections.abc import Callable, Mapping

from fmdj_cloud.contracts import Stage
from fmdj_cloud.worker.pod import Pod
from fmdj_cloud.worker.stages.basis import compute_basis
from fmdj_cloud.worker.stages.merge import merge_parts
from fmdj_cloud.worker.stages.project import compute_part
from fmdj_cloud.worker.stages.whole import compute_whole

__all__ = ["STEPS"]

STEPS: Mapping[Stage, Callable[[Pod], str | None]] = {
    Stage.ALL: compute_whole,
    Stage.BASIS: compute_basis,
    Stage.PROJECT: compute_part,
    Stage.MERGE: merge_parts,
}
"""Each returns the SHA-256 of the manifest that it has committed, None if it has committed none."""
