"""What is to be computed: the plan of a run and the spec of an attempt."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from fmdj_cloud.contracts.base import Frozen
from fmdj_cloud.contracts.pose import PoseParams
from fmdj_cloud.contracts.rois import Roi
from fmdj_cloud.contracts.words import RESULT_VERSION, SPEC_VERSION, Basis, Engine, Kind


class VideoRef(Frozen):
    """One video file, as it was when the run was planned."""

    uri: str
    name: str
    """Base name that the worker gives it on scratch, unique within the run."""
    size: Annotated[int, Field(ge=0)]
    etag: str | None = None
    version_id: str | None = None
    sha256: str | None = None


class SvdParams(Frozen):
    """Parameters of ``facemap.process.run``, in canonical form."""

    sbin: Annotated[int, Field(ge=1)] = 1
    full_svd: bool = True
    mot_svd: bool = True
    mov_svd: bool = False
    save_mat: bool = False
    rois: tuple[Roi, ...] = ()
    drawn_on: tuple[tuple[int, int], ...] | None = None
    """(Ly, Lx) of every view when the ROIs were drawn, if known."""


class Limits(Frozen):
    """What an attempt may use, and what it may overlook."""

    time_budget_s: float
    memory_mib: int
    scratch_mib: int
    threads: int
    gpu: int = 0
    max_missing_frames: int = 2
    max_view_mismatch_frames: int = 0
    max_bad_frames: int = 100
    allow_unknown_facemap: bool = False


class Estimate(Frozen):
    """What a run is expected to need, and how we know."""

    frames: int
    height: int
    width: int
    seconds: float
    memory_mib: int
    scratch_mib: int
    source: str
    """``RecordingInfo``, ``header`` or ``guess`` (from the bytes alone)."""


class RunPlan(Frozen):
    """What is computed, whatever the attempt: kept with the run, so that a spec can be made again."""

    videos: tuple[tuple[VideoRef, ...], ...]
    imports: tuple[VideoRef, ...] = ()
    """Existing outputs that an import run reads."""
    engine: Engine = Engine.FACEMAP
    svd: SvdParams | None = None
    pose: PoseParams | None = None
    limits: Limits
    """Of the first attempt; retries may get more."""
    estimate: Estimate
    notes: tuple[str, ...] = ()
    """What a person should know, such as parameters that disagree."""
    profile: str = ""
    """Name of the profile that was asked for, empty for the kind's own."""
    basis: Basis = Basis.EXACT
    """Of the engine ``turbo``."""
    shards: Annotated[int, Field(ge=1)] | None = None
    """Shards at most; None computes in one piece. The numbers are the same."""
    reuse: bool = True
    """Whether outputs of another run with equal content will do; not where somebody asked to have it computed anew."""


class RunSpec(Frozen):
    """Everything a worker needs to know of one attempt; holds no credentials, ever."""

    version: int = SPEC_VERSION
    result_version: int = RESULT_VERSION
    run_id: str
    kind: Kind
    pipeline: str
    task: str
    """Canonical key of the task (:func:`fmdj_cloud.names.canonical_key`)."""
    task_digest: str
    content_digest: str
    attempt: Annotated[int, Field(ge=1)]
    attempt_uri: str
    """The attempt folder, without a trailing slash."""
    videos: tuple[tuple[VideoRef, ...], ...]
    """Outer sequential, inner simultaneous (views), as ``facemap.process.run`` takes them."""
    imports: tuple[VideoRef, ...] = ()
    """Existing outputs that an import run reads; they stay where they lie."""
    engine: Engine = Engine.FACEMAP
    svd: SvdParams | None = None
    pose: PoseParams | None = None
    limits: Limits
    accept: tuple[str, ...] = ()
    """Names of input checks that a person has overridden."""
    resume_from: tuple[str, ...] = ()
    """Folders of earlier attempts of this run whose finished parts may be used."""
    basis: Basis = Basis.EXACT
    """Of the engine ``turbo``."""
    shards: Annotated[int, Field(ge=1)] | None = None
    """Shards at most (pose: exactly); None if all is computed in one piece."""
