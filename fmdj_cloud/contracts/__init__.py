"""The frozen models that pass between parts. Nothing else does.

All times are naive UTC :class:`datetime.datetime`, as the databases keep them, or seconds since the
epoch where a field's name ends in ``_epoch_s``. Sizes are bytes unless a unit is in the name.
"""

from __future__ import annotations

from fmdj_cloud.contracts.base import Frozen
from fmdj_cloud.contracts.jobs import JobObservation, JobPhase, JobRequest
from fmdj_cloud.contracts.ledger import (
    Acceptance,
    AttemptRecord,
    BindingRecord,
    ClaimedRun,
    ClaimRecord,
    Overrides,
    PipelineRecord,
    RequestRecord,
    RunRecord,
    StageRecord,
)
from fmdj_cloud.contracts.outputs import (
    Manifest,
    ManifestFile,
    Outcome,
    Progress,
    SignalOrigin,
    TerminationMessage,
    ViewFrames,
)
from fmdj_cloud.contracts.pose import BBox, PoseParams, Precision, read_bbox
from fmdj_cloud.contracts.quality import QualityCheck, QualityFinding, Verdict
from fmdj_cloud.contracts.rois import BitMask, Reflector, Roi, RoiKind
from fmdj_cloud.contracts.shards import SHARDS_MAX, BasisCommit, PartCommit, ShardRange
from fmdj_cloud.contracts.spec import Estimate, Limits, RunPlan, RunSpec, SvdParams, VideoRef
from fmdj_cloud.contracts.tasks import ModelFile, ModelRecord, RecordingInfo, TaskRecord
from fmdj_cloud.contracts.words import (
    ACCEPTABLE_CHECKS,
    FINISHED_STATES,
    MANIFEST_VERSION,
    POPULATE,
    RESULT_VERSION,
    REUSE,
    SPEC_VERSION,
    Basis,
    BindingState,
    Engine,
    FailureClass,
    Kind,
    Origin,
    RunState,
    Stage,
    Wanted,
)

__all__ = [
    "ACCEPTABLE_CHECKS",
    "FINISHED_STATES",
    "MANIFEST_VERSION",
    "POPULATE",
    "RESULT_VERSION",
    "REUSE",
    "SHARDS_MAX",
    "SPEC_VERSION",
    "Acceptance",
    "AttemptRecord",
    "BBox",
    "Basis",
    "BasisCommit",
    "BindingRecord",
    "BindingState",
    "BitMask",
    "ClaimRecord",
    "ClaimedRun",
    "Engine",
    "Estimate",
    "FailureClass",
    "Frozen",
    "JobObservation",
    "JobPhase",
    "JobRequest",
    "Kind",
    "Limits",
    "Manifest",
    "ManifestFile",
    "ModelFile",
    "ModelRecord",
    "Origin",
    "Outcome",
    "Overrides",
    "PartCommit",
    "PipelineRecord",
    "PoseParams",
    "Precision",
    "Progress",
    "QualityCheck",
    "QualityFinding",
    "RecordingInfo",
    "Reflector",
    "RequestRecord",
    "Roi",
    "RoiKind",
    "RunPlan",
    "RunRecord",
    "RunSpec",
    "RunState",
    "ShardRange",
    "SignalOrigin",
    "Stage",
    "StageRecord",
    "SvdParams",
    "TaskRecord",
    "TerminationMessage",
    "Verdict",
    "VideoRef",
    "ViewFrames",
    "Wanted",
    "read_bbox",
]
