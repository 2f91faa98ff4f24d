"""What the rows of a key hold, and what they should: what the pure checks compare."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from fmdj_cloud.audit.findings import Certainty
from fmdj_cloud.signals_h5 import PUPIL_FIELDS

Array = npt.NDArray[Any]
Box = tuple[int, int, int, int]
"""y0, y1, x0, x1 in pixels of the view."""
FULL = "full frame"
SIGNALS = {"Pupil": "pupil/area", "Blink": "blink/trace", "Running": "running/displacement"}
"""Tables of ours, and the dataset that a region of theirs has in the file."""
COLUMNS = {"Pupil": PUPIL_FIELDS, "Blink": ("trace",), "Running": ("displacement",)}
"""Tables of ours, and their traces."""


@dataclass(frozen=True)
class RecordingFacts:
    """What the lab's tables say of a recording.

    Attributes
    ----------
    nframes : int or None
        None where RecordingInfo has no row.
    fps : float or None
    duration_s : float or None
    files : int
        Sequential files.
    views : int
        Files that were recorded at the same time: element-facemap's nframes counts the frames of all of them.
    rate : float or None
        Frames per second as the videos say; element-facemap's fps is cut to a whole number.
    """

    nframes: int | None = None
    fps: float | None = None
    duration_s: float | None = None
    files: int = 1
    views: int = 1
    rate: float | None = None


@dataclass(frozen=True)
class RegionRow:
    """A row of FacialSignal.Region.

    Attributes
    ----------
    number : int
    box : Box or None
    binned : (int, int) or None
        Height and width in bins.
    motion : ndarray, shape (n,), or None
    """

    number: int
    box: Box | None
    binned: tuple[int, int] | None
    motion: Array | None


@dataclass(frozen=True)
class SvdTable:
    """The rows of MotionSVD or MovieSVD in one region.

    Attributes
    ----------
    count : int
        Of components.
    projections : frozenset of tuple
        Shapes that occur.
    masks : frozenset of tuple
        Shapes that occur.
    energy : ndarray, shape (n,), or None
        Root of the sum of squares over the first components; None where they differ in length.
    copied : bool or None
        Whether row 0 of the projections is a copy of row 1, as in every motion SVD.
    alike : frozenset of (str, int)
        Basis (``mot``, ``mov``) and region of the file whose first time courses these are.
    differing : tuple of int
        Components that aren't those of the file's region.
    absent : tuple of int
        Numbers between the first and the last component that no row has.
    """

    count: int
    projections: frozenset[tuple[int, ...]]
    masks: frozenset[tuple[int, ...]]
    energy: Array | None = None
    copied: bool | None = None
    alike: frozenset[tuple[str, int]] = frozenset()
    differing: tuple[int, ...] = ()
    absent: tuple[int, ...] = ()


@dataclass(frozen=True)
class OurRow:
    """A row of Pupil, Blink or Running.

    Attributes
    ----------
    lengths : frozenset of int
        That its traces have.
    differing : tuple of str
        Those of a pupil, or of a blink, that aren't the file's.
    """

    lengths: frozenset[int]
    differing: tuple[str, ...] = ()


@dataclass(frozen=True)
class SvdFacts:
    """The rows of one FacialSignal.

    Attributes
    ----------
    recording : RecordingFacts
    regions : tuple of RegionRow
    svd : Mapping
        (``mot`` for MotionSVD or ``mov`` for MovieSVD, roi_no) -> SvdTable.
    running : Mapping
        roi_no -> (n, 2).
    running_origin : str
        What the run's manifest says of running: ``facemap``, ``repaired`` ...; empty where nothing is known.
    summary : tuple of int or None
        Shape of the mean frame; None where Summary has no row.
    signals : frozenset of (str, int)
        Table of ours and roi_no of every row in it.
    ours : Mapping
        (table of ours, roi_no) -> OurRow.
    """

    recording: RecordingFacts
    regions: tuple[RegionRow, ...]
    svd: Mapping[tuple[str, int], SvdTable] = field(default_factory=dict)
    running: Mapping[int, Array] = field(default_factory=dict)
    running_origin: str = ""
    summary: tuple[int, ...] | None = None
    signals: frozenset[tuple[str, int]] = frozenset()
    ours: Mapping[tuple[str, int], OurRow] = field(default_factory=dict)


@dataclass(frozen=True)
class WantedRegion:
    """A region as the file, or the task, has it.

    Attributes
    ----------
    number : int
    kind : str
        ``full frame`` or a ROI's kind.
    box : Box or None
        None for the full frame of a task.
    motion : ndarray, shape (n,), or None
        Aligned; None where only the task tells of the region.
    """

    number: int
    kind: str
    box: Box | None
    motion: Array | None = None


@dataclass(frozen=True)
class SvdTruth:
    """What the rows should be.

    Attributes
    ----------
    regions : tuple of WantedRegion
    nframes : int or None
        None where only the task tells.
    components : Mapping
        (basis, roi_no) -> number of components; empty where only the task tells.
    most : int or None
        Components of a region and SVD that are loaded at most; all by default.
    svds : frozenset of (str, int)
        Basis and roi_no of what should be there; None of the numbers is known where only the task tells.
    signals : frozenset of (str, int)
        As of the facts; empty where they aren't expected.
    running : Mapping
        roi_no -> (n, 2); empty where the file has none.
    lacking : Certainty or None
        How sure it is that what the rows lack should be there; None: not at all.
    """

    regions: tuple[WantedRegion, ...]
    nframes: int | None = None
    components: Mapping[tuple[str, int], int] = field(default_factory=dict)
    most: int | None = None
    svds: frozenset[tuple[str, int]] = frozenset()
    signals: frozenset[tuple[str, int]] = frozenset()
    running: Mapping[int, Array] = field(default_factory=dict)
    lacking: Certainty | None = None

    @property
    def of_file(self) -> bool:
        """Whether a file tells it."""
        return self.nframes is not None


@dataclass(frozen=True)
class PoseFacts:
    """The rows of one FacemapInference.

    Attributes
    ----------
    recording : RecordingFacts
    total_frames : int
    duration_s : float
    parts : Mapping
        Body part -> lengths of x_pos, y_pos, likelihood.
    differing : tuple of str
        Body parts whose points aren't the file's.
    swapped : tuple of str
        Those of them whose x is the file's y.
    declared : tuple of str
        Body parts of the task's model; empty where they aren't known.
    """

    recording: RecordingFacts
    total_frames: int
    duration_s: float
    parts: Mapping[str, tuple[int, ...]]
    differing: tuple[str, ...] = ()
    swapped: tuple[str, ...] = ()
    declared: tuple[str, ...] = ()


@dataclass(frozen=True)
class PoseTruth:
    """What the rows should be.

    Attributes
    ----------
    nframes : int
    seconds : float
        That computing took; 0 where the file doesn't say.
    parts : tuple of str
        Body parts.
    """

    nframes: int
    seconds: float = 0.0
    parts: tuple[str, ...] = ()


def box_of(yrange: Any, xrange: Any) -> Box | None:
    """Return the box of two lists of pixels; None if one is empty."""
    y, x = (np.zeros(0) if values is None else np.asarray(values).reshape(-1) for values in (yrange, xrange))
    if not y.size or not x.size:
        return None
    return int(y.min()), int(y.max()) + 1, int(x.min()), int(x.max()) + 1
