"""The frozen models that pass between parts. Nothing else does.

All times are naive UTC :class:`datetime.datetime`, as the databases keep them, or seconds since the
epoch where a field's name ends in ``_epoch_s``. Sizes are bytes unless a unit is in the name.
"""

from __future__ import annotations

import base64
import datetime as dt
import enum
import zlib
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, model_validator

RESULT_VERSION = 1
"""Raised only when the numbers that a run yields change: part of every content digest."""
SPEC_VERSION = 1
MANIFEST_VERSION = 1


class Frozen(BaseModel):
    """Base of all contracts: immutable, unknown fields refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Kind(enum.StrEnum):
    """What a run does."""

    SVD = "svd"
    POSE = "pose"
    IMPORT = "import"


class Engine(enum.StrEnum):
    """Who computes the SVD."""

    FACEMAP = "facemap"
    TURBO = "turbo"


class RunState(enum.StrEnum):
    """State of a run in the ledger."""

    READY = "ready"
    LAUNCHED = "launched"
    PUBLISHED = "published"
    LOADED = "loaded"
    FAILED = "failed"
    HELD = "held"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"


FINISHED_STATES = frozenset({RunState.LOADED, RunState.SUPERSEDED})
"""States after which a task whose result rows are missing is pending again."""


POPULATE = "populate"
"""Launcher of attempts that ``populate()`` runs: no Job of a launcher, but a process that shows itself."""


class Wanted(enum.StrEnum):
    """What people want of a run or a binding; the controller acts and confirms."""

    RUN = "run"
    HOLD = "hold"
    CANCEL = "cancel"


class BindingState(enum.StrEnum):
    """What is known of a task, run or no run."""

    PENDING = "pending"
    """Somebody asked for it (again); it is planned in the next pass."""
    HELD = "held"
    CANCELLED = "cancelled"
    """Before it had a run; a run that was cancelled has a state of its own."""
    WAITING = "waiting"
    REFUSED = "refused"
    PLANNED = "planned"


ACCEPTABLE_CHECKS: dict[str, str] = {
    "missing_frames": "a header claims more frames than can be decoded",
    "view_frames": "simultaneous views differ in their number of frames",
    "roi_drawn_on": "ROIs were drawn on a video of another size",
    "nan": "a signal has values that are no number",
    "tail": "motion ends in zeros",
    "flat": "a trace doesn't vary",
    "norm": "masks don't have unit norm",
}
"""Checks of inputs and of results that a person may override for one task, and what each finds."""


class FailureClass(enum.StrEnum):
    """Why an attempt failed: a stable contract."""

    INPUT = "input"
    CONFIG = "config"
    CHANGED = "changed"
    STORAGE = "storage"
    MEMORY = "memory"
    DISK = "disk"
    GPU = "gpu"
    DISRUPTED = "disrupted"
    IMAGE = "image"
    UNSCHEDULABLE = "unschedulable"
    BUDGET = "budget"
    VANISHED = "vanished"
    CRASH = "crash"
    LOAD = "load"


class Origin(enum.StrEnum):
    """Where a signal's numbers come from."""

    FACEMAP = "facemap"
    REPAIRED = "repaired"
    TURBO = "turbo"
    IMPORT = "import"


class RoiKind(enum.StrEnum):
    """Facemap's ROI types; :attr:`rind` is the code Facemap keys on."""

    PUPIL = "pupil"
    MOTION_SVD = "motion SVD"
    BLINK = "blink"
    RUNNING = "running"

    @property
    def rind(self) -> int:
        """Facemap's integer code (0 pupil, 1 motion SVD, 2 blink, 3 running)."""
        return _RIND.index(self)

    @classmethod
    def from_rind(cls, rind: int) -> RoiKind:
        """Return the type that Facemap's integer code stands for.

        Raises
        ------
        ValueError
            If `rind` isn't 0, 1, 2 or 3.
        """
        if rind not in range(4):
            raise ValueError(f"{rind} is not a ROI type of Facemap (0 pupil, 1 motion SVD, 2 blink, 3 running)")
        return _RIND[rind]


_RIND = (RoiKind.PUPIL, RoiKind.MOTION_SVD, RoiKind.BLINK, RoiKind.RUNNING)


class BitMask(Frozen):
    """A boolean (height, width) array, packed for JSON."""

    height: Annotated[int, Field(gt=0, le=1 << 15)]
    width: Annotated[int, Field(gt=0, le=1 << 15)]
    packed: str
    """Base64 of the zlib-compressed, bit-packed, C-ordered array."""

    @classmethod
    def from_array(cls, mask: npt.NDArray[np.bool_]) -> BitMask:
        """Pack a boolean (height, width) array."""
        bits = np.packbits(np.ascontiguousarray(mask, dtype=bool))
        return cls(
            height=mask.shape[0],
            width=mask.shape[1],
            packed=base64.b64encode(zlib.compress(bits.tobytes(), 9)).decode("ascii"),
        )

    def to_array(self) -> npt.NDArray[np.bool_]:
        """Return the boolean (height, width) array.

        Raises
        ------
        ValueError
            If the packed bytes don't hold exactly height x width bits.
        """
        expected = (self.height * self.width + 7) // 8
        inflater = zlib.decompressobj()
        raw = inflater.decompress(base64.b64decode(self.packed), expected)
        if len(raw) != expected or inflater.unconsumed_tail:
            raise ValueError(f"the packed mask doesn't hold {self.height} x {self.width} bits")
        bits = np.unpackbits(np.frombuffer(raw, np.uint8), count=self.height * self.width)
        return bits.reshape(self.height, self.width).astype(bool)


class Reflector(Frozen):
    """A corneal reflection inside a pupil ROI: pixels that the pupil fit ignores and fills in."""

    y0: int
    y1: int
    x0: int
    x1: int
    ellipse: BitMask


class Roi(Frozen):
    """A region of interest, in unbinned pixels of one view; ``y0:y1, x0:x1`` is half-open."""

    kind: RoiKind
    view: Annotated[int, Field(ge=0)] = 0
    y0: Annotated[int, Field(ge=0)]
    y1: int
    x0: Annotated[int, Field(ge=0)]
    x1: int
    saturation: float | None = None
    """Gray level above which a pupil or blink ROI ignores pixels."""
    pupil_sigma: float | None = None
    """Standard deviations of the pupil's Gaussian that its area covers."""
    ellipse: BitMask | None = None
    reflectors: tuple[Reflector, ...] = ()
    color: tuple[float, float, float] | None = None
    name: str | None = None

    @model_validator(mode="after")
    def _not_empty(self) -> Roi:
        if self.y1 <= self.y0 or self.x1 <= self.x0:
            raise ValueError(f"the {self.kind} ROI y {self.y0}:{self.y1}, x {self.x0}:{self.x1} is empty")
        return self


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


class PoseParams(Frozen):
    """Parameters of pose inference, in canonical form."""

    model_uri: str
    model_sha256: str
    body_parts: tuple[str, ...]
    bbox: tuple[tuple[int, int, int, int], ...] = ()
    pose_view: int = 0


class Limits(Frozen):
    """What an attempt may use, and what it may overlook."""

    time_budget_s: float
    memory_mib: int
    scratch_mib: int
    threads: int
    gpu: int = 0
    max_missing_frames: int = 2
    max_view_mismatch_frames: int = 0
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


class ManifestFile(Frozen):
    """One published file."""

    path: str
    """Relative to the attempt folder; a whole URI for an imported file that stays where it lies."""
    role: str
    """``signals``, ``facemap`` or ``log``."""
    size: int
    sha256: str


class SignalOrigin(Frozen):
    """Where one signal comes from and what was repaired."""

    signal: str
    """``motion``, ``motSVD``, ``movSVD``, ``pupil``, ``blink``, ``running``, ``avgframe``, ``pose`` ..."""
    roi_no: int | None = None
    origin: Origin
    repairs: tuple[str, ...] = ()
    """Names of Facemap's faults that were repaired (``F1`` ... ``F10``)."""
    note: str = ""


class ViewFrames(Frozen):
    """What was found in the files of one view."""

    height: int
    width: int
    fps: float
    frames: tuple[int, ...]
    """Decodable frames of each sequential file: the truth."""
    header_frames: tuple[int, ...]
    """Frames that each file's header claims (0 where it claims none)."""


class Manifest(Frozen):
    """The commit of an attempt: written last, names everything that was produced."""

    version: int = MANIFEST_VERSION
    run_id: str
    attempt: int
    kind: Kind
    nonce: str
    spec_sha256: str
    content_digest: str
    files: tuple[ManifestFile, ...]
    gui_file: str | None = None
    """Path (as in `files`) of the file that the Facemap GUI would open."""
    nframes: int
    """Frames that count, over all sequential files."""
    views: tuple[ViewFrames, ...]
    versions: dict[str, str]
    """``facemap``, ``fmdj``, ``numpy``, ``opencv``, ``python``; ``torch``, ``cuda``, ``driver`` where used."""
    device: str
    threads: int
    timings_s: dict[str, float]
    signals: tuple[SignalOrigin, ...]
    warnings: tuple[str, ...] = ()
    started: dt.datetime
    finished: dt.datetime


class Progress(Frozen):
    """How far a pod is: ``progress.json`` in its folder."""

    run_id: str
    attempt: int
    stage: str
    frames_done: int
    frames_total: int
    frames_per_s: float
    eta_s: float | None
    at_epoch_s: float


class Outcome(Frozen):
    """How an attempt ended; `failure_class` is None when it published."""

    failure_class: FailureClass | None = None
    sentence: str = ""
    check: str = ""
    evidence: dict[str, str] = {}
    manifest_sha256: str | None = None

    @property
    def ok(self) -> bool:
        """Whether the attempt did what it should."""
        return self.failure_class is None


class TerminationMessage(Frozen):
    """The worker's last word, at most 4 KiB of JSON."""

    code: str
    """Code of the error (:mod:`fmdj_cloud.errors`), or ``done``."""
    exit_code: int
    sentence: str = ""
    check: str = ""
    manifest_sha256: str | None = None


class BindingRecord(Frozen):
    """A row of a pipeline's binding table."""

    pipeline: str
    kind: Kind
    key: dict[str, Any]
    task_digest: str
    state: BindingState
    since: dt.datetime
    next_look: dt.datetime | None
    failure_class: FailureClass | None
    sentence: str
    priority: int
    wanted: Wanted
    param_digest: str
    changed: int
    run_id: str | None


class Acceptance(Frozen):
    """A check that a person has overridden for one task, until the task is edited."""

    task_digest: str
    check: str
    param_digest: str
    """Of the task as it was then."""
    accepted_by: str
    accepted: dt.datetime


class RunRecord(Frozen):
    """A row of the ledger's Run table."""

    run_id: str
    kind: Kind
    pipeline: str
    task: str
    task_digest: str
    content_digest: str
    param_digest: str
    state: RunState
    wanted: Wanted
    attempt: int
    priority: int
    output_dir: str
    """URI of the run's folder: ``<processed root>/<output dir>/<run_id>``."""
    manifest_sha256: str | None
    failure_class: FailureClass | None
    sentence: str
    not_before: dt.datetime | None
    """When the next attempt may start (backoff)."""
    failures: dict[str, int]
    """Failed attempts so far, by class."""
    estimate: Estimate
    created: dt.datetime
    updated: dt.datetime


class AttemptRecord(Frozen):
    """A row of the ledger's Run.Attempt table with its Job (stage ``all``)."""

    run_id: str
    attempt: int
    folder: str
    """URI of the attempt folder."""
    spec_sha256: str
    launcher: str
    job_name: str
    job_uid: str | None
    """None until the launcher has confirmed that the Job exists."""
    started: dt.datetime
    finished: dt.datetime | None
    outcome: str | None
    """``published``, a failure class, or the state that ended it (``cancelled`` ...)."""
    sentence: str
    evidence: dict[str, str]
    limits: Limits


class RecordingInfo(Frozen):
    """What the Element's RecordingInfo says of a recording."""

    height: int
    width: int
    nframes: int
    fps: float | None = None


class TaskRecord(Frozen):
    """A task row with what belongs to it, blobs decoded."""

    pipeline: str
    kind: Kind
    table: str
    """Class name of the task table."""
    key: dict[str, Any]
    task_digest: str
    param_digest: str
    mode: str
    """``trigger`` or ``load``."""
    output_dir: str
    """The row's ``facemap_output_dir``, empty where it has none."""
    task_id: int
    params: dict[str, Any]
    """``facemap_params`` as found: plain arguments of ``run`` or a whole proc dict."""
    params_problem: str = ""
    """Why `params` could not be read: such a task is refused with this sentence."""
    do_mot_svd: bool
    do_mov_svd: bool
    files: tuple[tuple[int, str], ...]
    """(file_id, file_path) of VideoRecording.File, by file_id."""
    recording_info: RecordingInfo | None = None


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


class PipelineRecord(Frozen):
    """A row of the ledger's Pipeline table."""

    name: str
    first_seen: dt.datetime
    brake: bool
    """Whether the first-start brake holds all tasks until ``fmdj release``."""
    engine: Engine
    basis: str


class RequestRecord(Frozen):
    """A row of the ledger's Request table: what people ask a running controller for."""

    request_id: str
    what: str
    asked_by: str
    state: str
    """``open`` or ``done``."""
    sentence: str
    """The answer."""
    created: dt.datetime
    updated: dt.datetime


class JobRequest(Frozen):
    """What a launcher needs to start an attempt."""

    name: str
    run_id: str
    attempt: int
    kind: Kind
    spec_uri: str
    spec_sha256: str
    limits: Limits


class JobPhase(enum.StrEnum):
    """Where a Job is in its life."""

    RUNNING = "running"
    ENDED = "ended"


class JobObservation(Frozen):
    """What a launcher sees of one Job."""

    name: str
    run_id: str
    attempt: int
    uid: str
    spec_sha256: str
    phase: JobPhase
    outcome: Outcome | None = None
    """The diagnosis once it has ended; `ok` says only that the worker claims success."""
    nonces: tuple[str, ...] = ()
    """Pod folders of this Job, newest last."""
    log: str = ""
    """Where its log lies, for people."""
