"""The words of the contracts: versions, kinds, states, classes, origins."""

from __future__ import annotations

import enum

RESULT_VERSION = 1
"""Raised only when the numbers that a run yields change: part of every content digest."""
SPEC_VERSION = 1
MANIFEST_VERSION = 1
POPULATE = "populate"
"""Launcher of attempts that ``populate()`` runs: no Job of a launcher, but a process that shows itself."""

REUSE = "reuse"
"""Launcher of attempts whose outputs are those of another run with equal content: no Job at all."""


class Kind(enum.StrEnum):
    """What a run does."""

    SVD = "svd"
    POSE = "pose"
    IMPORT = "import"


class Engine(enum.StrEnum):
    """Who computes the SVD."""

    FACEMAP = "facemap"
    TURBO = "turbo"


class Basis(enum.StrEnum):
    """How the engine ``turbo`` computes the basis."""

    EXACT = "exact"
    """Exact SVD of each chunk of frames."""
    FACEMAP = "facemap"
    """Scikit-learn's randomized PCA, as Facemap has it: to compare component by component."""


class Stage(enum.StrEnum):
    """What a Job of an attempt does: see :mod:`fmdj_cloud.contracts.shards`."""

    ALL = "all"
    BASIS = "basis"
    PROJECT = "project"
    MERGE = "merge"


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
    "bad_frames": "frames in the middle of a video can't be decoded, or are of one gray level",
    "roi_drawn_on": "ROIs were drawn on a video of another size",
    "nan": "a signal has values that are no number",
    "tail": "motion ends in zeros",
    "flat": "a trace doesn't change for long",
    "norm": "masks don't have unit norm",
    "seams": "traces jump where chunks meet",
    "pieces": "traces don't run on where pieces meet",
    "clipping": "what moves is cut off by the edge",
    "lost_pupil": "the pupil isn't found",
    "pupil_clipping": "the pupil reaches the edge of its ROI",
    "saturation": "much of the picture is white",
    "darkness": "much of the picture is black",
    "recording_frames": "RecordingInfo counts other frames",
    "likelihood": "a likelihood of a keypoint doesn't lie between 0 and 1",
    "low_likelihood": "a body part is hardly ever recognised",
    "empty_frames": "frames hold no keypoints",
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
