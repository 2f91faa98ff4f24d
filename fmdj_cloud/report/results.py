"""Which results a report is about, and what is known of each."""

from __future__ import annotations

import contextlib
import importlib.metadata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fmdj_cloud.contracts import (
    AttemptRecord,
    Kind,
    Manifest,
    PoseParams,
    QualityCheck,
    RunRecord,
    RunState,
    SvdParams,
    TaskRecord,
)
from fmdj_cloud.control.choose import Choice, select_tasks
from fmdj_cloud.control.params import parse_params
from fmdj_cloud.control.params_pose import parse_pose
from fmdj_cloud.errors import InputError, LoadError, StorageError, UsageError
from fmdj_cloud.export.citations import Cited, Model, citations
from fmdj_cloud.export.provenance import Source, manifest_of
from fmdj_cloud.export.timing import frame_rate
from fmdj_cloud.load.read import fetched_signals
from fmdj_cloud.names import canonical_key, display_key
from fmdj_cloud.pipeline.element import Element
from fmdj_cloud.pipeline.lab import Lab
from fmdj_cloud.pipeline.ledger import Ledger
from fmdj_cloud.pipeline.result_rows import Rows
from fmdj_cloud.report.pose_rows import PoseRowSignals
from fmdj_cloud.report.rows import SvdRowSignals
from fmdj_cloud.report.signals import Signals
from fmdj_cloud.signals_h5 import SignalsReader
from fmdj_cloud.storage.base import Store

MOST = 100
"""Results in one report."""
_OLD_COMPONENT = "pc_no"
_OLD_ELEMENT = "0.1 (by its tables)"


@dataclass(frozen=True)
class Result:
    """What is known of one task's result.

    Attributes
    ----------
    choice : Choice
    task : TaskRecord
    params : SvdParams, PoseParams or None
        None where they can't be read.
    has_rows : bool
        Whether the result tables have it.
    run : RunRecord or None
        Of the ledger, if its outputs were published.
    attempt : AttemptRecord or None
    manifest : Manifest or None
    problem : str
        Why there is no manifest.
    quality : tuple of QualityCheck
    row_says : dict
        Version and time that the row of the result table tells.
    """

    choice: Choice
    task: TaskRecord
    params: SvdParams | PoseParams | None
    has_rows: bool
    run: RunRecord | None
    attempt: AttemptRecord | None
    manifest: Manifest | None
    problem: str
    quality: tuple[QualityCheck, ...]
    row_says: dict[str, str]

    @property
    def kind(self) -> Kind:
        """Of the task table."""
        return self.choice.tasks.kind

    @property
    def text(self) -> str:
        """The task as people type it."""
        return display_key(self.choice.key)

    @property
    def is_loaded(self) -> bool:
        """Whether the rows are those of the run."""
        return self.run is not None and self.run.state is RunState.LOADED

    @property
    def source(self) -> Source:
        """Where it comes from, as citations take it."""
        run = self.run
        return Source(
            table=self.choice.tasks.name,
            task=canonical_key(self.choice.key),
            package_version=self.row_says.get("package_version", ""),
            run_id="" if run is None else run.run_id,
            attempt=0 if run is None else run.attempt,
            manifest_sha256="" if run is None else run.manifest_sha256 or "",
            manifest=self.manifest,
            problem=self.problem,
        )

    @property
    def model(self) -> Model | None:
        """The pose model, if it is one's result."""
        if self.task.model is None:
            return None
        pose = self.params if isinstance(self.params, PoseParams) else None
        kept = next((file.sha256 for file in self.task.model.files if file.sha256), "")
        return Model(name=self.task.model.name, sha256=(pose.model_sha256 if pose is not None else "") or kept)


def cited(results: Sequence[Result]) -> Cited:
    """Return what to cite for results."""
    return citations(
        [(result.kind, result.source) for result in results],
        element=[element_version(result.choice.lab.element) for result in results],
        models=[result.model for result in results if result.model is not None],
    )


def find_results(
    labs: tuple[Lab, ...],
    ledger: Ledger,
    store: Store,
    restriction: Mapping[str, Any],
    kind: Kind | None = None,
    *,
    session: bool = False,
) -> tuple[Result, ...]:
    """Return the results that a KEY means: rows, or outputs that were published and not loaded (yet).

    Parameters
    ----------
    labs : tuple of Lab
    ledger : Ledger
    store : Store
        Asked for manifests.
    restriction : Mapping
        Attributes of either task table, or ``{"run_id": ...}``.
    kind : Kind, optional
        Of the task table; any by default.
    session : bool
        Whether all results of the sessions of what matches are meant.

    Raises
    ------
    UsageError
        If there is none, or there are too many.
    """
    choices = select_tasks(labs, ledger, dict(restriction), kind)
    if session:
        choices = list(_of_sessions(choices, ledger, kind))
    found = [result for choice in choices if (result := _result(choice, ledger, store)) is not None]
    shown = display_key(restriction)
    if not found:
        raise UsageError(f"{shown} has no result yet: `fmdj explain {shown}` says why.")
    if len(found) > MOST:
        raise UsageError(f"{shown} means {len(found)} results, and {MOST} are the most in one report: say more.")
    return tuple(found)


@contextlib.contextmanager
def open_signals(result: Result, store: Store, workdir: Path | None) -> Iterator[tuple[Signals, str]]:
    """Open the signals of a result: the file of its run, or its rows where that is gone.

    Parameters
    ----------
    result : Result
    store : Store
    workdir : Path or None
        Where a copy of signals.h5 is kept meanwhile; None is the temporary directory.

    Yields
    ------
    (Signals, str)
        And in words, where they come from.

    Raises
    ------
    LoadError, InputError
        If neither can be read.
    """
    with contextlib.ExitStack() as stack:
        problem = result.problem
        if result.manifest is not None and result.attempt is not None:
            try:
                path = stack.enter_context(fetched_signals(store, result.attempt.folder, result.manifest, workdir))
                signals = stack.enter_context(SignalsReader(path))
            except (LoadError, StorageError) as error:
                if not result.has_rows:
                    raise
                problem = error.sentence
            else:
                yield signals, f"signals.h5 of run {result.manifest.run_id}"
                return
        if not result.has_rows:
            raise LoadError(f"{result.text} has nothing to draw: {problem or 'neither rows nor outputs are there'}")
        yield _rows(result), f"the rows in the database. {problem}".rstrip()


def element_version(element: Element) -> str:
    """Return the version of element-facemap: that which is installed here, else what the tables tell."""
    try:
        return importlib.metadata.version("element-facemap")
    except importlib.metadata.PackageNotFoundError:
        return _OLD_ELEMENT if element.component == _OLD_COMPONENT else ""


def _of_sessions(choices: list[Choice], ledger: Ledger, kind: Kind | None) -> Iterator[Choice]:
    seen = set()
    for choice in choices:
        element = choice.lab.element
        own = [name for name in element.VideoRecording.primary_key if name != "recording_id"]
        session = {name: choice.key[name] for name in own}
        name = choice.lab.name, canonical_key(session)
        if name not in seen:
            seen.add(name)
            yield from select_tasks((choice.lab,), ledger, session, kind)


def _result(choice: Choice, ledger: Ledger, store: Store) -> Result | None:
    lab, tasks, key = choice.lab, choice.tasks, choice.key
    has_rows = canonical_key(key) in tasks.has_result([key])
    binding = ledger.binding(lab.name, tasks.kind, key)
    run = ledger.run(binding.run_id) if binding is not None and binding.run_id else None
    if run is not None and (run.manifest_sha256 is None or (has_rows and run.state is not RunState.LOADED)):
        run = None  # rows that aren't a run's are somebody else's
    task = tasks.get(key)
    if task is None or (run is None and not has_rows):
        return None
    manifest, problem = (None, "") if run is None else manifest_of(ledger, store, run)
    if run is None:
        problem = "These rows are not those of a run in the ledger: somebody else wrote them."
    return Result(
        choice=choice,
        task=task,
        params=_params(task, tasks.kind),
        has_rows=has_rows,
        run=run,
        attempt=None if run is None else ledger.attempt(run.run_id, run.attempt),
        manifest=manifest,
        problem=problem,
        quality=() if run is None else ledger.quality(run.run_id),
        row_says=_row_says(choice) if has_rows else {},
    )


def _params(task: TaskRecord, kind: Kind) -> SvdParams | PoseParams | None:
    try:
        return parse_pose(task)[0] if kind is Kind.POSE else parse_params(task)[0]
    except InputError:
        return None  # it says where regions lie, and rows are drawn without


def _row_says(choice: Choice) -> dict[str, str]:
    pose = choice.tasks.kind is Kind.POSE
    table = choice.tasks.result if pose else choice.lab.element.FacemapProcessing
    columns = ("inference_completion_time",) if pose else ("processing_time", "package_version")
    there = [name for name in columns if name in table.heading.names]
    row = Rows(choice.lab.element.database, table, choice.key).one(*there) or {}
    return {name: str(value) for name, value in row.items() if value}


def _rows(result: Result) -> Signals:
    lab, key = result.choice.lab, result.choice.key
    element = lab.element
    recording = {name: key[name] for name in element.VideoRecording.primary_key}
    info = Rows(element.database, element.RecordingInfo, recording).one("fps", "nframes", "recording_duration") or {}
    fps = frame_rate(info.get("fps"), info.get("nframes"), info.get("recording_duration")) or 0.0
    if result.kind is Kind.POSE and lab.inference is not None:
        view = result.params.pose_view if isinstance(result.params, PoseParams) else 0
        return PoseRowSignals(lab.inference, key, lab.kept, view=view, fps=fps)
    return SvdRowSignals(lab, key, result.params if isinstance(result.params, SvdParams) else None, fps)
