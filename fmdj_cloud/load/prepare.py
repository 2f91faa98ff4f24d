"""The outputs of a published run, brought here, verified and checked: all that is done before the transaction."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fmdj_cloud.contracts import Kind, Manifest, QualityFinding, RunRecord, RunSpec, Verdict
from fmdj_cloud.errors import LoadError
from fmdj_cloud.load.check import check_keypoints, check_signals, require
from fmdj_cloud.load.picture_check import of_one_view
from fmdj_cloud.load.read import fetched_signals, output_dir, read_published
from fmdj_cloud.load.verdict import condensed
from fmdj_cloud.names import parse_key
from fmdj_cloud.pipeline.lab import Lab
from fmdj_cloud.pipeline.ledger import Ledger
from fmdj_cloud.settings import LoadSettings
from fmdj_cloud.signals_h5 import SignalsReader
from fmdj_cloud.storage.base import Store


@dataclass(frozen=True)
class Published:
    """What a run published.

    Attributes
    ----------
    run : RunRecord
    folder : str
        URI of its attempt folder.
    spec : RunSpec
    manifest : Manifest
    """

    run: RunRecord
    folder: str
    spec: RunSpec
    manifest: Manifest


@dataclass(frozen=True)
class Prepared:
    """A run whose outputs are here, verified and checked.

    Attributes
    ----------
    run : RunRecord
    key : Mapping
        Primary key of its task, native values.
    manifest : Manifest
    signals : SignalsReader
    output_dir : str or None
        New value of the task's output directory; None leaves it as it is.
    pose_view : int
        View whose keypoints are loaded, where there are any.
    max_components : int or None
        Components of every region that are loaded, at most.
    quality : tuple of QualityFinding
        What quality control found, as far as it is kept.
    """

    run: RunRecord
    key: Mapping[str, Any]
    manifest: Manifest
    signals: SignalsReader
    output_dir: str | None
    pose_view: int = 0
    max_components: int | None = None
    quality: tuple[QualityFinding, ...] = ()


def published(store: Store, ledger: Ledger, run: RunRecord) -> Published:
    """Read the spec and the pinned manifest of a published run.

    Raises
    ------
    LoadError
        If one is gone, or isn't what the ledger recorded.
    """
    attempt = ledger.attempt(run.run_id, run.attempt)
    if attempt is None:
        raise LoadError(f"Attempt {run.attempt} of run {run.run_id} isn't in the ledger: retry the run.")
    spec, manifest = read_published(store, run, attempt)
    if run.task_kind is Kind.POSE and spec.pose is None:
        raise LoadError(f"The spec of run {run.run_id} has no pose parameters: retry the run.")
    if run.kind is Kind.SVD and spec.svd is None:
        raise LoadError(f"The spec of run {run.run_id} has no SVD parameters: retry the run.")
    return Published(run, attempt.folder, spec, manifest)


@contextlib.contextmanager
def prepared(
    store: Store, ledger: Ledger, lab: Lab, run: RunRecord, limits: LoadSettings
) -> Iterator[tuple[Prepared, tuple[str, ...]]]:
    """Give the outputs of a published run for the time of the context.

    Parameters
    ----------
    store : Store
    ledger : Ledger
        Knows the checks that were overridden.
    lab : Lab
        The run's pipeline.
    run : RunRecord
        In state published.
    limits : LoadSettings

    Yields
    ------
    prepared : Prepared
    warnings : tuple of str
        Sentences of quality checks that didn't pass but don't hinder.

    Raises
    ------
    LoadError
        If the outputs are gone, fail verification or quality control.
    """
    found = published(store, ledger, run)
    folder = output_dir(found.folder, found.manifest, lab.settings.processed_root)
    with (
        fetched_signals(store, found.folder, found.manifest, limits.workdir) as path,
        SignalsReader(path) as signals,
    ):
        checks = _check(ledger, lab, found, signals, limits)
        require(checks)
        warnings = tuple(check.sentence for check in checks if check.verdict is Verdict.WARN)
        view = found.spec.pose.pose_view if found.spec.pose is not None else 0
        most = limits.max_components
        kept = condensed(checks)
        yield Prepared(run, parse_key(run.task), found.manifest, signals, folder, view, most, kept), warnings


def _check(
    ledger: Ledger, lab: Lab, found: Published, signals: SignalsReader, limits: LoadSettings
) -> list[QualityFinding]:
    accept = {*found.spec.accept, *ledger.accepted(found.run)}
    pose, key = found.spec.pose, parse_key(found.run.task)
    info = lab.tasks_of(found.run).recording_info(key)
    views = max(map(len, found.spec.videos), default=1)
    recorded = None if info is None else of_one_view(info.nframes, found.manifest.nframes, views)
    if pose is None:
        return check_signals(signals, found.manifest, found.spec.svd, limits, accept, recorded=recorded)
    task = lab.tasks_of(found.run).get(key)
    # A task that is gone has no model any more, and gets no rows either
    declared = pose.body_parts if task is None or task.model is None else task.model.body_parts
    return check_keypoints(signals, found.manifest, pose.pose_view, declared, limits, accept, recorded=recorded)
