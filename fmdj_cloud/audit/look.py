"""One result after the other: its rows, its files, what is wrong, and what was mended."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path

from fmdj_cloud.audit.facts import FULL, PoseTruth, SvdTruth, WantedRegion
from fmdj_cloud.audit.files import Files, OpenFiles
from fmdj_cloud.audit.findings import Finding, KeyReport
from fmdj_cloud.audit.pose_checks import check_pose
from fmdj_cloud.audit.read_rows import read_pose, read_recording, read_svd, truth_of
from fmdj_cloud.audit.repair import Repairer, mendable
from fmdj_cloud.audit.svd_checks import check_svd
from fmdj_cloud.contracts import Kind, TaskRecord
from fmdj_cloud.control.choose import Choice
from fmdj_cloud.control.params import parse_params
from fmdj_cloud.control.params_pose import parse_pose
from fmdj_cloud.control.views import group_views
from fmdj_cloud.errors import FmdjError, InputError
from fmdj_cloud.load.structure import expected_regions
from fmdj_cloud.names import canonical_key, display_key
from fmdj_cloud.pipeline.lab import Lab

logger = logging.getLogger(__name__)
_KEYS = 200
"""Asked for results at a time."""


@dataclass(frozen=True)
class Mending:
    """What may be mended.

    Attributes
    ----------
    really : bool
        False only tells what would be.
    renumber : bool
        Whether numbers of regions may change.
    folder : Path
        Where what is replaced is kept.
    slice_bytes : int
        Of arrays in one statement, at most.
    """

    really: bool
    renumber: bool
    folder: Path
    slice_bytes: int


def with_results(choices: Iterable[Choice]) -> Iterator[Choice]:
    """Yield those of the tasks that have a result, in their order."""
    for _, some in groupby(choices, lambda one: (one.lab.name, one.tasks.kind)):
        while batch := list(islice(some, _KEYS)):
            done = batch[0].tasks.has_result([one.key for one in batch])
            yield from (one for one in batch if canonical_key(one.key) in done)


def audit_result(choice: Choice, files: Files, mending: Mending | None, now: dt.datetime) -> KeyReport:
    """Audit one result, and mend it if that is asked for.

    Parameters
    ----------
    choice : Choice
    files : Files
    mending : Mending or None
        None only looks.
    now : datetime
        For the name of the file that keeps what is replaced.

    Raises
    ------
    DatabaseError
        If the database fails.
    """
    lab, task = choice.lab, choice.tasks.get(choice.key)
    head = {"pipeline": lab.name, "table": choice.tasks.name, "task": display_key(choice.key)}
    if task is None:
        return KeyReport(**head, against="nothing", note="The task was just deleted.")
    with files.opened(lab, task) as found:
        one = _Look(lab, task, found)
        report = KeyReport(**head, against=found.name, findings=tuple(one.findings()), note=found.problem)
        report = report if mending is None else _mended(one, report, mending, now)
        checks = ", ".join(dict.fromkeys(finding.check for finding in report.findings)) or "sound"
        logger.info("%s %s, against %s: %s", report.table, report.task, report.against, checks)
        return report


class _Look:
    def __init__(self, lab: Lab, task: TaskRecord, files: OpenFiles) -> None:
        self.lab, self.task, self.files = lab, task, files
        self.view, self._sequential = _views(task)

    def findings(self) -> list[Finding]:
        """Read the rows, and check them."""
        recording = read_recording(self.lab, self.task.key, self._sequential)
        signals = self.files.signals
        if self.task.kind is Kind.POSE and self.lab.inference is not None:
            truth = None if signals is None else PoseTruth(signals.nframes, self.files.seconds)
            facts = read_pose(self.lab, self.lab.inference, self.task.key, recording, signals, view=self.view)
            return check_pose(facts, truth)
        wanted = _asked(self.task) if signals is None else truth_of(signals)
        origin = _running_origin(self.files)
        return check_svd(read_svd(self.lab, self.task.key, recording, signals, running_origin=origin), wanted)


def _mended(look: _Look, report: KeyReport, mending: Mending, now: dt.datetime) -> KeyReport:
    chosen, why = mendable(report.findings, renumber=mending.renumber)
    notes = [note for note in (report.note, why) if note]
    if not chosen:
        return report.model_copy(update={"note": " ".join(notes)})
    if not mending.really:
        would = f"{len(chosen)} of {len(report.findings)} would be mended: add --yes."
        return report.model_copy(update={"note": " ".join([*notes, would])})
    repairer = Repairer(look.lab, look.task, mending.folder, mending.slice_bytes)
    try:
        kept = repairer.mend(chosen, look.files, look.view, now)
    except FmdjError as error:
        return report.model_copy(update={"note": " ".join([*notes, f"Not mended: {error.sentence}"])})
    left = look.findings()
    if left:
        notes.append(f"Not mended: {' '.join(finding.sentence for finding in left)}")
    return report.model_copy(update={"repaired": not left, "kept": str(kept), "note": " ".join(notes)})


def _views(task: TaskRecord) -> tuple[int, int]:
    """Return the view whose points are loaded, and how many files follow each other."""
    try:
        if task.kind is Kind.POSE:
            params, grouping, _ = parse_pose(task)
            return params.pose_view, len(grouping)
        return 0, len(group_views(task)[0])
    except InputError:
        return 0, max(1, len(task.files))


def _asked(task: TaskRecord) -> SvdTruth | None:
    """Return the regions that the task asks for, where it can be read."""
    try:
        params, _ = parse_params(task)
    except InputError:
        return None
    expected = expected_regions(params)
    full = int(any(kind == FULL for kind, _, _ in expected.values()))
    wanted = []
    for number, (kind, _, _) in expected.items():
        roi = None if kind == FULL else params.rois[number - full]
        wanted.append(WantedRegion(number, kind, None if roi is None else (roi.y0, roi.y1, roi.x0, roi.x1)))
    return SvdTruth(tuple(wanted))


def _running_origin(files: OpenFiles) -> str:
    if files.manifest is None:
        return ""
    return next((signal.origin.value for signal in files.manifest.signals if signal.signal == "running"), "")
