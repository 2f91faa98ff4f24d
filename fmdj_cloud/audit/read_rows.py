"""The rows of a FacialSignal as facts, in slices; time courses are compared with the file's on the way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from fmdj_cloud.audit.facts import (
    COLUMNS,
    SIGNALS,
    Array,
    OurRow,
    RecordingFacts,
    RegionRow,
    SvdFacts,
    SvdTable,
    SvdTruth,
    WantedRegion,
    box_of,
)
from fmdj_cloud.audit.findings import Certainty
from fmdj_cloud.audit.svd_checks import numbers_in_truth
from fmdj_cloud.load.quality.likeness import close, same_course
from fmdj_cloud.pipeline.lab import Lab
from fmdj_cloud.pipeline.result_rows import Rows
from fmdj_cloud.signals_h5 import SignalsReader

Basis = Literal["mot", "mov"]
BASES: tuple[Basis, ...] = ("mot", "mov")
_FIRST = 3
"""Time courses by which a region's SVD is known."""
_PROJECTED = 50
"""First components: they carry most of the energy."""
_ROWS = 512
_BYTES = 32 << 20
"""Of masks and time courses in memory at a time, and as many of the file's."""


def read_recording(
    lab: Lab, key: Mapping[str, Any], sequential: int, views: int = 1, rate: float = 0.0
) -> RecordingFacts:
    """Return what the lab's tables say of a recording.

    Parameters
    ----------
    lab : Lab
    key : Mapping
        Of one of its tasks.
    sequential : int
        Its files that follow each other.
    views : int
        Its files that were recorded at the same time.
    rate : float
        Frames per second as the videos say, 0 where nothing does; what isn't RecordingInfo's but for being cut to a
        whole number, is of other videos.
    """
    element = lab.element
    recording = {name: key[name] for name in element.VideoRecording.primary_key}
    info = Rows(element.database, element.RecordingInfo, recording).one("nframes", "fps", "recording_duration") or {}
    fps = None if info.get("fps") is None else float(info["fps"])
    return RecordingFacts(
        nframes=info.get("nframes"),
        fps=fps,
        duration_s=None if info.get("recording_duration") is None else float(info["recording_duration"]),
        files=sequential,
        views=views,
        rate=rate if rate > 0 and fps and abs(rate - fps) < 1 else None,
    )


def truth_of(signals: SignalsReader, most: int | None = None, *, ours: bool = False) -> SvdTruth:
    """Return what a file says the rows of a FacialSignal should be.

    Parameters
    ----------
    signals : SignalsReader
    most : int, optional
        Components that are loaded at most.
    ours : bool
        Whether we have loaded it: other loaders may leave out what they don't need.
    """
    regions = signals.regions()
    components: dict[tuple[str, int], int] = {
        (basis, one.roi_no): count
        for one in regions
        for basis in BASES
        if (count := signals.n_components(one.roi_no, basis))
    }
    return SvdTruth(
        regions=tuple(
            WantedRegion(one.roi_no, one.kind, box_of(one.yrange, one.xrange), signals.motion(one.roi_no))
            for one in regions
        ),
        nframes=signals.nframes,
        components=components,
        most=most,
        svds=frozenset(components),
        signals=frozenset(
            (table, one.roi_no)
            for one in regions
            for table, path in SIGNALS.items()
            if signals.shape(one.roi_no, path) is not None
        ),
        running={one.roi_no: found for one in regions if (found := signals.running(one.roi_no)) is not None},
        lacking=Certainty.CERTAIN if ours else Certainty.LIKELY,
    )


def read_svd(
    lab: Lab,
    key: Mapping[str, Any],
    recording: RecordingFacts,
    signals: SignalsReader | None,
    *,
    running_origin: str = "",
) -> SvdFacts:
    """Return the rows of one FacialSignal as facts.

    Parameters
    ----------
    lab : Lab
    key : Mapping
    recording : RecordingFacts
    signals : SignalsReader or None
        The file that they are compared with.
    running_origin : str
        What the run's manifest says of running.
    """
    return _SvdReader(lab, key, signals).facts(recording, running_origin)


class _SvdReader:
    def __init__(self, lab: Lab, key: Mapping[str, Any], signals: SignalsReader | None) -> None:
        element, database = lab.element, lab.element.database
        self._component = element.component
        self._signals = signals
        self._regions = Rows(database, element.Region, key, lab.kept)
        self._svd = {
            "mot": Rows(database, element.MotionSVD, key, lab.kept),
            "mov": Rows(database, element.MovieSVD, key, lab.kept),
        }
        self._summary = Rows(database, element.Summary, key, lab.kept)
        self._ours = {name: Rows(database, getattr(lab.signals, name), key) for name in SIGNALS}
        self._samples = dict(self._sample())

    def facts(self, recording: RecordingFacts, running_origin: str) -> SvdFacts:
        numbers = [int(row["roi_no"]) for row in self._regions.all("roi_no", order=["roi_no"])]
        regions = tuple(self._region(number) for number in numbers)
        in_file = numbers_in_truth(regions, None if self._signals is None else truth_of(self._signals))
        summary = self._summary.one("avgframe")
        ours = {
            (name, number): self._our_row(name, number)
            for name, rows in self._ours.items()
            for number in sorted(int(row["roi_no"]) for row in rows.all("roi_no"))
        }
        svd: dict[tuple[str, int], SvdTable] = {}
        for number in numbers:
            for basis in BASES:
                table = self._table(basis, number, in_file[number])
                if table is not None:
                    svd[basis, number] = table
        return SvdFacts(
            recording=recording,
            regions=regions,
            svd=svd,
            running={
                int(row["roi_no"]): np.asarray(row["displacement"])
                for row in self._ours["Running"].all("roi_no", "displacement")
            },
            running_origin=running_origin,
            summary=None if summary is None else np.shape(summary["avgframe"]),
            signals=frozenset(ours),
            ours=ours,
        )

    def _our_row(self, name: str, number: int) -> OurRow:
        known = self._known(name, number)
        lengths, differing = set(), []
        for column in COLUMNS[name]:  # one by one: the server may hand out no row that holds them all
            trace = np.asarray((self._ours[name].one(column, roi_no=number) or {}).get(column))
            lengths.add(len(trace) if trace.ndim else 0)
            if column in known and not close(trace, known[column]):
                differing.append(column)
        return OurRow(frozenset(lengths), tuple(differing))

    def _known(self, name: str, number: int) -> Mapping[str, Array]:
        """The traces that the file has of a pupil or a blink; running is compared where its noise is known."""
        if self._signals is None or name == "Running":
            return {}
        if name == "Pupil":
            return self._signals.pupil(number) or {}
        trace = self._signals.blink(number)
        return {} if trace is None else {"trace": trace}

    def _region(self, number: int) -> RegionRow:
        names = ("yrange", "xrange", "yrange_bin", "xrange_bin", "motion")
        row = self._regions.one(*names, roi_no=number) or dict.fromkeys(names)
        binned = [0 if row[name] is None else np.asarray(row[name]).size for name in ("yrange_bin", "xrange_bin")]
        return RegionRow(
            number=number,
            box=box_of(row["yrange"], row["xrange"]),
            binned=(binned[0], binned[1]) if all(binned) else None,
            motion=None if row["motion"] is None or not np.size(row["motion"]) else np.asarray(row["motion"]),
        )

    def _sample(self) -> Iterator[tuple[tuple[str, int], Array]]:
        """The first time courses of every region of the file, by which it is known."""
        if self._signals is not None:
            for region in self._signals.regions():
                for basis in BASES:
                    if count := self._signals.n_components(region.roi_no, basis):
                        _, courses = self._signals.components(region.roi_no, basis, 0, min(count, _FIRST))
                        yield (basis, region.roi_no), courses

    def _table(self, basis: Basis, number: int, in_file: int) -> SvdTable | None:
        rows, mask = self._svd[basis], f"{basis}mask"
        ids = sorted(int(row[self._component]) for row in rows.some([self._component], {"roi_no": number}))
        if not ids:
            return None
        found = _Gathered(self._signals, basis, in_file)
        start, step = 0, 1
        while start < len(ids):
            some = ids[start : start + step]
            pieces = rows.some([mask, "projection"], {"roi_no": number}, among=(self._component, some))
            found.add(some, [(np.asarray(piece[mask]), np.asarray(piece["projection"])) for piece in pieces])
            start += len(some)
            size = sum(np.asarray(value).nbytes for value in pieces[0].values())
            step = max(1, min(_ROWS, _BYTES // max(1, size)))
        return found.table(ids, self._samples)


class _Gathered:
    """What is gathered of one region's components, in their order."""

    def __init__(self, signals: SignalsReader | None, basis: Basis, number: int) -> None:
        self._signals = signals
        self._basis, self._number = basis, number
        self._first: list[Array] = []
        self._squares: Array | None = None
        self._copied: bool | None = None
        self._projections: set[tuple[int, ...]] = set()
        self._masks: set[tuple[int, ...]] = set()
        self._seen = 0
        self._differing: list[int] = []

    def add(self, components: Sequence[int], pieces: Sequence[tuple[Array, Array]]) -> None:
        known = self._of_file(self._seen, len(pieces))
        for place, (component, (mask, projection)) in enumerate(zip(components, pieces, strict=True)):
            self._gather(mask, projection)
            if self._signals is None:
                continue
            masks, courses = known
            if place >= len(courses) or not close(projection, courses[place]) or not close(mask, masks[place]):
                self._differing.append(component)

    def table(self, ids: Sequence[int], samples: Mapping[tuple[str, int], Array]) -> SvdTable:
        even = len(self._projections) == 1 and self._squares is not None
        return SvdTable(
            count=len(ids),
            projections=frozenset(self._projections),
            masks=frozenset(self._masks),
            energy=np.sqrt(self._squares) if even and self._squares is not None else None,
            copied=self._copied if even else None,
            alike=frozenset(place for place, courses in samples.items() if self._is(courses)),
            differing=tuple(self._differing),
            absent=tuple(sorted(set(range(ids[0], ids[-1] + 1)) - set(ids))),
        )

    def _is(self, courses: Array) -> bool:
        pairs = list(zip(self._first, courses, strict=False))
        # What doesn't change, or holds no number, has no course
        return bool(pairs) and all(same_course(one, other) or close(one, other) for one, other in pairs)

    def _gather(self, mask: Array, projection: Array) -> None:
        self._projections.add(projection.shape)
        self._masks.add(mask.shape)
        if self._seen < _FIRST:
            self._first.append(projection)
        if self._seen < _PROJECTED and projection.ndim == 1 and len(self._projections) == 1:
            squares = projection.astype(np.float64) ** 2
            self._squares = squares if self._squares is None else self._squares + squares
            if projection.size > 1:
                same = bool(projection[0] == projection[1])
                self._copied = same if self._copied is None else self._copied and same
        self._seen += 1

    def _of_file(self, start: int, number: int) -> tuple[Array, Array]:
        nothing = np.zeros((0, 0, 0)), np.zeros((0, 0))
        if self._signals is None:
            return nothing
        stop = min(start + number, self._signals.n_components(self._number, self._basis))
        return self._signals.components(self._number, self._basis, start, stop) if start < stop else nothing
