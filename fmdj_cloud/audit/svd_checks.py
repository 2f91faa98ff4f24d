"""Faults in the rows of FacialSignal, against what they should be and against themselves: pure.

They are those that element-facemap's own loader, and Facemap itself, are known to make.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import numpy as np

from fmdj_cloud.audit.facts import FULL, Array, RegionRow, SvdFacts, SvdTable, SvdTruth, WantedRegion
from fmdj_cloud.audit.findings import Certainty, Finding, Repair
from fmdj_cloud.audit.missing_checks import TABLES, check_missing_svd
from fmdj_cloud.audit.recording_checks import agrees, check_duration, check_length
from fmdj_cloud.load.quality.likeness import close, followed, is_early, seems_early, smoothness

_RELOAD = "Reload the rows from their file with --repair, or delete the FacialSignal row and have it loaded again."
_COMPUTE = "Delete the FacialSignal row and set task_mode='trigger', so that it is computed again."
_CLEARLY = 0.2
"""By how much a motion must be more like another region's SVD than like its own."""
_ALIKE = 0.5
_NOISE = 0.1
"""Correlation with itself one frame later, below which a surface's displacement is taken for noise."""
_MANY = 200


def check_svd(facts: SvdFacts, truth: SvdTruth | None) -> list[Finding]:
    """Return all that is wrong with the rows of one FacialSignal.

    Parameters
    ----------
    facts : SvdFacts
    truth : SvdTruth or None
        What a file, or at least the task, says; None where neither can be read.
    """
    return list(_Svd(facts, truth).findings())


def numbers_in_truth(regions: Sequence[RegionRow], truth: SvdTruth | None) -> dict[int, int]:
    """Return roi_no of the rows -> roi_no of what they should be, told by their place in the picture.

    Regions whose place isn't known, or that share it, keep their number.
    """
    if truth is None:
        return {row.number: row.number for row in regions}
    full = next((wanted for wanted in truth.regions if wanted.kind == FULL), None)
    found = {}
    for row in regions:
        places = [wanted.number for wanted in truth.regions if wanted.box == row.box and wanted.box is not None]
        is_full = row.number == 0 and full is not None and (row.box is None or full.box is None)
        if is_full or row.number in places or len(places) != 1:
            found[row.number] = row.number
        else:
            found[row.number] = places[0]
    return found


class _Svd:
    def __init__(self, facts: SvdFacts, truth: SvdTruth | None) -> None:
        self._facts = facts
        self._truth = truth
        self._file = truth if truth is not None and truth.of_file else None
        self._wanted = {} if truth is None else {wanted.number: wanted for wanted in truth.regions}
        self._numbers = numbers_in_truth(facts.regions, truth)
        self._repair, self._remedy = (Repair.RELOAD, _RELOAD) if self._file else (Repair.NONE, _COMPUTE)
        self._nframes = self._frames()

    def findings(self) -> Iterator[Finding]:
        yield from check_duration(self._facts.recording)
        yield from self._numbering()
        yield from check_missing_svd(self._facts, self._truth, self._numbers)
        for row in self._facts.regions:
            yield from self._place(row)
            yield from self._motion(row)
            for basis in TABLES:
                table = self._facts.svd.get((basis, row.number))
                if table is not None:
                    wrong = list(self._shapes(row, basis, table))
                    yield from wrong
                    if not any(finding.certainty is Certainty.CERTAIN for finding in wrong):
                        yield from self._basis(row, basis, table)
        yield from self._ours()
        yield from self._running()

    def _frames(self) -> int | None:
        """Return how many frames traces should have: as the file says, else as most of them have."""
        if self._file is not None:
            return self._file.nframes
        lengths = [len(row.motion) for row in self._facts.regions if row.motion is not None and len(row.motion)]
        if lengths:
            return max(set(lengths), key=lengths.count)
        recording = self._facts.recording
        found = {shape[0] for table in self._facts.svd.values() for shape in table.projections if len(shape) == 1}
        told = [length for length in sorted(found, reverse=True) if agrees(recording, length)]
        return told[0] if told else recording.nframes if recording.views == 1 else None

    def _numbering(self) -> Iterator[Finding]:
        others = {old: new for old, new in self._numbers.items() if old != new}
        if others:
            shown = ", ".join(f"{old} is {new}" for old, new in sorted(others.items()))
            yield Finding(
                check="numbering",
                table="Region",
                certainty=Certainty.CERTAIN,
                sentence=f"Regions are numbered by another convention (by element-facemap 0.3.0's, {shown}).",
                remedy="It is a convention, no fault: what knows regions by number must change with them "
                "(--repair --renumber).",
                repair=Repair.RENUMBER if self._file else Repair.NONE,
            )

    def _place(self, row: RegionRow) -> Iterator[Finding]:
        wanted = self._wanted.get(row.number)
        if wanted is None or wanted.box is None or row.box is None or row.box == wanted.box:
            return
        if row.box == (*wanted.box[2:], *wanted.box[:2]):
            yield self._finding(
                "axis", "Region", row, Certainty.CERTAIN, "has x and y changed over: its xrange is the ROI's y"
            )

    def _motion(self, row: RegionRow) -> Iterator[Finding]:
        motion = row.motion
        if motion is None or not motion.size:
            return
        long = f"has a motion of {motion.shape} for {self._nframes} frames"
        if motion.ndim != 1:
            yield self._finding("length", "Region", row, Certainty.CERTAIN, long)
            return
        nframes = self._file.nframes if self._file else None
        missing = list(check_length(len(motion), self._facts.recording, nframes, "Region", row.number, _RELOAD))
        yield from missing
        if any(finding.certainty is Certainty.CERTAIN for finding in missing):
            return
        if self._nframes is not None and len(motion) != self._nframes:
            yield self._finding("length", "Region", row, Certainty.CERTAIN, long)
        elif self._file is not None:
            yield from self._motion_of_file(row, motion)
        else:
            yield from self._motion_alone(row, motion)

    def _motion_of_file(self, row: RegionRow, motion: Array) -> Iterator[Finding]:
        wanted = self._wanted.get(self._numbers[row.number])
        if wanted is None or wanted.motion is None or close(motion, wanted.motion):
            return
        if is_early(motion, wanted.motion):
            yield self._finding("alignment", "Region", row, Certainty.CERTAIN, _EARLY)
            return
        of = next((other for other in self._wanted.values() if other is not wanted and _is_of(motion, other)), None)
        if of is not None:
            what = f"has the motion of region {of.number}"
            yield self._finding("motion_roi", "Region", row, Certainty.CERTAIN, what)
        else:
            yield self._finding("values", "Region", row, Certainty.LIKELY, "has a motion that isn't the file's")

    def _motion_alone(self, row: RegionRow, motion: Array) -> Iterator[Finding]:
        energies = {
            number: table.energy
            for (basis, number), table in self._facts.svd.items()
            if basis == "mot" and table.energy is not None and len(table.energy) == len(motion)
        }
        like = {number: followed(motion, energy) for number, energy in energies.items()}
        best = max(like, key=lambda number: like[number], default=row.number)
        mine, theirs = like.get(row.number, 0.0), like.get(best, 0.0)
        another = row.number in like and theirs > _ALIKE and theirs > mine + _CLEARLY
        energy = energies.get(best if another else row.number)
        if seems_early(motion, energy):
            sure = Certainty.POSSIBLE if energy is None else Certainty.LIKELY
            yield self._finding("alignment", "Region", row, sure, _EARLY)
        if another:
            what = f"has a motion that follows the motion SVD of region {best} ({theirs:.2f}), not its own ({mine:.2f})"
            yield self._finding("motion_roi", "Region", row, Certainty.LIKELY, what)

    def _shapes(self, row: RegionRow, basis: str, table: SvdTable) -> Iterator[Finding]:
        name = TABLES[basis]
        lengths = {shape[0] if len(shape) == 1 else -1 for shape in table.projections}
        if self._nframes is not None and lengths != {self._nframes}:
            shown = ", ".join(map(str, sorted(table.projections)))
            components = None if self._file is None else self._file.components.get((basis, self._numbers[row.number]))
            swapped = table.count == self._nframes or lengths == {components}
            what = f"has projections of {shown} for {self._nframes} frames"
            if swapped:
                what += f": a row stands for a frame, not for a component ({table.count} rows)"
            yield self._finding("axis" if swapped else "length", name, row, Certainty.CERTAIN, what)
            return
        expected = row.binned or (self._facts.summary if row.number == 0 else None)
        if expected is None or len(expected) != 2 or table.masks == {expected}:
            return
        shown = ", ".join(map(str, sorted(table.masks)))
        what = f"has masks of {shown}, where {expected[0]} x {expected[1]} bins (y, x) belong"
        if table.masks == {expected[::-1]}:
            yield self._finding("axis", name, row, Certainty.CERTAIN, f"{what}: x and y are changed over")
        else:
            yield self._finding("shape", name, row, Certainty.POSSIBLE, what)

    def _basis(self, row: RegionRow, basis: str, table: SvdTable) -> Iterator[Finding]:
        name, other = TABLES[basis], "mov" if basis == "mot" else "mot"
        if self._file is None:
            yield from self._first_frames(row, basis, table)
            return
        number = self._numbers[row.number]
        if (basis, number) in table.alike or self._nframes is None or table.energy is None:
            if table.differing:
                some = ", ".join(map(str, table.differing[:5])) + (" ..." if len(table.differing) > 5 else "")
                what = f"has components that aren't the file's ({some})"
                yield self._finding("values", name, row, Certainty.LIKELY, what)
            return
        if (other, number) in table.alike:
            what = f"holds the {'movie' if basis == 'mot' else 'motion'} SVD"
            yield self._finding("svd_table", name, row, Certainty.CERTAIN, what)
        elif table.alike:
            of = ", ".join(f"region {found}" for _, found in sorted(table.alike))
            yield self._finding("motion_roi", name, row, Certainty.CERTAIN, f"holds the SVD of {of}")
        elif (basis, number) not in self._file.components:
            yield self._finding("values", name, row, Certainty.POSSIBLE, "holds an SVD that the file doesn't have")
        else:
            yield self._finding("values", name, row, Certainty.LIKELY, "holds an SVD that isn't the file's")

    def _first_frames(self, row: RegionRow, basis: str, table: SvdTable) -> Iterator[Finding]:
        # In Facemap's motion SVDs the first row copies the second: there is no difference before the first frame
        if table.copied is None or table.copied == (basis == "mot"):
            return
        if basis == "mov" and row.motion is not None and row.motion.flat[0] == 0:
            return  # the movie begins with one frame twice: its motion says so, too
        follows = _follows(row.motion, table.energy)
        # A movie may begin with one frame twice in a region without a motion; other loaders may not copy that row
        sure = follows if basis == "mov" else row.motion is not None and not follows
        kind, frames = ("movie", "not equal") if basis == "mot" else ("motion", "equal")
        what = f"holds what looks like the {kind} SVD: its first two frames are {frames}"
        yield self._finding("svd_table", TABLES[basis], row, Certainty.LIKELY if sure else Certainty.POSSIBLE, what)

    def _ours(self) -> Iterator[Finding]:
        for (table, number), row in self._facts.ours.items():
            region = RegionRow(number, None, None, None)
            if self._is_off(row.lengths):
                shown = ", ".join(map(str, sorted(row.lengths)))
                what = f"has traces of {shown} for {self._nframes} frames"
                yield self._finding("length", table, region, Certainty.CERTAIN, what)
            elif row.differing:
                shown = ", ".join(row.differing)
                yield self._finding("values", table, region, Certainty.LIKELY, f"isn't the file's ({shown})")

    def _is_off(self, lengths: Collection[int]) -> bool:
        """Tell whether traces of ours have another length than the file, or than motion: RecordingInfo's may be off."""
        known = self._file is not None or any(row.motion is not None for row in self._facts.regions)
        return known and set(lengths) != {self._nframes}

    def _running(self) -> Iterator[Finding]:
        for number, trace in self._facts.running.items():
            if self._is_off(trace.shape[:1]):
                continue  # which is told
            row = RegionRow(number, None, None, None)
            right = None if self._truth is None else self._truth.running.get(number)
            if right is not None and not close(trace, right):
                if _is_noise(trace) and not _is_noise(right):
                    yield self._finding("running", "Running", row, Certainty.CERTAIN, "is noise, and its file's isn't")
                else:
                    yield self._finding("values", "Running", row, Certainty.LIKELY, "isn't the file's")
            elif self._facts.running_origin in ("facemap", "import"):
                yield self._finding("running", "Running", row, Certainty.CERTAIN, _RUNNING)
            elif not self._facts.running_origin and _is_noise(trace):
                yield self._finding(
                    "running", "Running", row, Certainty.POSSIBLE, "looks like noise, as of Facemap 1.0.5 to 1.0.8"
                )

    def _finding(self, check: str, table: str, row: RegionRow, certainty: Certainty, what: str) -> Finding:
        return Finding(
            check=check,
            table=table,
            roi_no=row.number,
            certainty=certainty,
            sentence=f"{table} of region {row.number} {what}.",
            remedy=self._remedy,
            repair=self._repair,
        )


_EARLY = "has a motion one frame early in its first 500 frames, as Facemap stores it (F1)"
_RUNNING = "is what Facemap 1.0.5 to 1.0.8 computed, which is noise (F4)"


def _is_of(motion: Array, other: WantedRegion) -> bool:
    return other.motion is not None and (close(motion, other.motion) or is_early(motion, other.motion))


def _follows(motion: Array | None, energy: Array | None) -> bool:
    return motion is not None and energy is not None and followed(motion, energy) > _ALIKE


def _is_noise(trace: Array) -> bool:
    if trace.ndim != 2 or len(trace) < _MANY:
        return False
    columns = [column for column in trace.T if np.ptp(column) > 0]
    return bool(columns) and all(abs(smoothness(column)) < _NOISE for column in columns)
