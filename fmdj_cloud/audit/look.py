"""One result after the other: its rows, its files, what is wrong, and what was mended."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import groupby, islice
from pathlib import Path

from fmdj_cloud.audit.facts import FULL, PoseTruth, SvdTruth, WantedRegion
from fmdj_cloud.audit.files import Files, OpenFiles
from fmdj_cloud.audit.findings import Certainty, Finding, KeyReport, Repair
from fmdj_cloud.audit.fit import require_fit
from fmdj_cloud.audit.losses import lost_pose, lost_svd
from fmdj_cloud.audit.pose_checks import check_pose
from fmdj_cloud.audit.read_pose import read_pose
from fmdj_cloud.audit.read_rows import BASES, read_recording, read_svd, truth_of
from fmdj_cloud.audit.repair import Repairer, mendable
from fmdj_cloud.audit.svd_checks import check_svd
from fmdj_cloud.contracts import Kind, TaskRecord
from fmdj_cloud.control.choose import Choice
from fmdj_cloud.control.params import parse_params
from fmdj_cloud.control.params_pose import parse_pose
from fmdj_cloud.control.views import group_views
from fmdj_cloud.errors import DatabaseError, FmdjError, InputError, LoadError
from fmdj_cloud.load.structure import expected_regions
from fmdj_cloud.names import canonical_key, display_key
from fmdj_cloud.pipeline.lab import Lab
from fmdj_cloud.settings import LoadSettings

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
    """

    really: bool
    renumber: bool
    folder: Path


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

    Returns
    -------
    KeyReport
        What can't be read is a finding, too.

    Raises
    ------
    DatabaseError
        If the database is gone.
    """
    head = {"pipeline": choice.lab.name, "table": choice.tasks.name, "task": display_key(choice.key)}
    try:
        try:
            report = _audited(choice, head, files, mending, now)
        except DatabaseError:
            choice.lab.element.database.ensure_connected()  # if the server is gone, this ends the audit
            report = _audited(choice, head, files, mending, now)
    except Exception as error:  # a damaged value raises anything, and must keep no other result from being looked at
        choice.lab.element.database.ensure_connected()
        logger.warning("%s %s can't be read", head["table"], head["task"], exc_info=error)
        report = KeyReport(**head, against="nothing", findings=(_unreadable(choice, error),))
    checks = ", ".join(dict.fromkeys(finding.check for finding in report.findings)) or "sound"
    logger.info("%s %s, against %s: %s", report.table, report.task, report.against, checks)
    return report


def _audited(
    choice: Choice, head: dict[str, str], files: Files, mending: Mending | None, now: dt.datetime
) -> KeyReport:
    lab, task = choice.lab, choice.tasks.get(choice.key)
    if task is None:
        return KeyReport(**head, against="nothing", note="The task was just deleted.")
    with files.opened(lab, task) as found:
        one = _Look(lab, task, found, files.limits)
        report = KeyReport(**head, against=found.name, findings=tuple(one.findings()), note=found.problem)
        return report if mending is None else _mended(one, report, mending, now)


def _unreadable(choice: Choice, error: Exception) -> Finding:
    said = error.sentence.rstrip(".") if isinstance(error, FmdjError) else f"{type(error).__name__}: {error}"
    return Finding(
        check="unreadable",
        table=choice.tasks.result_name,
        certainty=Certainty.CERTAIN,
        sentence=f"The rows of {choice.tasks.result_name}, or what they are compared with, can't be read ({said}).",
        remedy=f"Look at that value; if it is damaged, delete the {choice.tasks.result_name} row and have it loaded "
        "again.",
    )


class _Look:
    def __init__(self, lab: Lab, task: TaskRecord, files: OpenFiles, limits: LoadSettings) -> None:
        self.lab, self.task, self.files, self.limits = lab, task, files, limits
        self.view, sequential, views = _views(task)
        manifest = files.manifest
        self.recording = partial(
            read_recording,
            lab,
            task.key,
            sequential,
            views=max(views, files.views),
            rate=manifest.views[0].fps if manifest is not None and manifest.views else 0.0,
        )
        self.losses: tuple[str, ...] = ()
        """What the rows hold and the files don't, once they were read."""

    def findings(self) -> list[Finding]:
        """Read the rows, and check them."""
        recording, signals, task = self.recording(), self.files.signals, self.task
        if task.kind is Kind.POSE and self.lab.inference is not None:
            parts = () if task.model is None else task.model.body_parts
            points = read_pose(
                self.lab, self.lab.inference, task.key, recording, signals, view=self.view, declared=parts
            )
            truth = (
                None
                if signals is None
                else PoseTruth(signals.nframes, self.files.seconds, signals.body_parts(self.view))
            )
            self.losses = () if truth is None else tuple(lost_pose(points, truth))
            return check_pose(points, truth)
        origin = _running_origin(self.files)
        facts = read_svd(self.lab, task.key, recording, signals, running_origin=origin)
        if signals is None:
            return check_svd(facts, _asked(task))
        wanted = truth_of(signals, self.limits.max_components, ours=self.files.manifest is not None)
        self.losses = tuple(lost_svd(facts, wanted))
        return check_svd(facts, wanted)

    def refusal(self) -> str:
        """Return why rows can't be replaced by what the files hold; empty if they can."""
        if self.losses:
            return (
                f"Rows are not replaced: {self.files.name} lacks {', '.join(self.losses)}, which would be lost; if "
                "that is what you want, delete the result with DataJoint and have it loaded again."
            )
        if self.files.signals is None:
            return ""
        try:
            require_fit(self.files.signals, self.files, self.task, self.view, self.limits)
        except LoadError as error:
            return f"Rows are not replaced: {self.files.name} wouldn't be loaded. {error.sentence}"
        return ""


def _mended(look: _Look, report: KeyReport, mending: Mending, now: dt.datetime) -> KeyReport:
    chosen, why = mendable(report.findings, renumber=mending.renumber)
    if any(finding.repair is not Repair.DURATION for finding in chosen) and (refusal := look.refusal()):
        chosen, why = tuple(finding for finding in chosen if finding.repair is Repair.DURATION), refusal
    notes = [note for note in (report.note, why) if note]
    if not chosen:
        return report.model_copy(update={"note": " ".join(notes)})
    if not mending.really:
        would = f"{len(chosen)} of {len(report.findings)} would be mended: add --yes."
        return report.model_copy(update={"note": " ".join([*notes, would])})
    repairer = Repairer(look.lab, look.task, mending.folder, look.limits, look.recording().rate)
    try:
        kept = repairer.mend(chosen, look.files, look.view, now)
    except FmdjError as error:
        return report.model_copy(update={"note": " ".join([*notes, f"Not mended: {error.sentence}"])})
    left = tuple(look.findings())
    notes += [f"Not mended: {finding.sentence}" for finding in left if finding not in report.findings]
    mended = not any(finding.is_fault for finding in left)
    return report.model_copy(update={"repaired": mended, "left": left, "kept": str(kept), "note": " ".join(notes)})


def _views(task: TaskRecord) -> tuple[int, int, int]:
    """Return the view whose points are loaded, how many files follow each other, and how many views there are."""
    try:
        if task.kind is Kind.POSE:
            params, grouping, _ = parse_pose(task)
            return params.pose_view, len(grouping), len(grouping[0])
        grouping, _ = group_views(task)
        return 0, len(grouping), len(grouping[0])
    except InputError:
        return 0, max(1, len(task.files)), 1


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
    return SvdTruth(
        tuple(wanted),
        svds=frozenset(
            (basis, number) for number, (*_, names) in expected.items() for basis in BASES if basis in names
        ),
        # What a task asks for says nothing of outputs that were there before
        lacking=Certainty.LIKELY if task.mode == "trigger" else None,
    )


def _running_origin(files: OpenFiles) -> str:
    if files.manifest is None:
        return ""
    return next((signal.origin.value for signal in files.manifest.signals if signal.signal == "running"), "")
