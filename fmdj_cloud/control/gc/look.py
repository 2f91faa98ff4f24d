"""Look at store, ledger and launcher: the facts for housekeeping.

Jobs and objects are looked at before runs are read: whatever is there belongs to a run that was written before it, so
that one which isn't found doesn't exist.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from fmdj_cloud.contracts import JobPhase, Kind, Manifest, RunState
from fmdj_cloud.control.gc.decide import OVER, is_in_use
from fmdj_cloud.control.gc.facts import (
    Facts,
    Heap,
    JobFact,
    References,
    RunFact,
    Thing,
    Upload,
    attempt_of,
    ends_of,
    thing_of,
)
from fmdj_cloud.control.launchers.base import Launcher
from fmdj_cloud.names import parse_key
from fmdj_cloud.pipeline.lab import Lab
from fmdj_cloud.pipeline.ledger import Ledger
from fmdj_cloud.pipeline.retiring import OldRun, all_runs, named_runs
from fmdj_cloud.storage import Store
from fmdj_cloud.storage.manifests import parse_manifest, pinned_bytes


@dataclass(slots=True)
class _Pile:
    root: str
    run_id: str
    attempt: int
    files: int = 0
    size: int = 0
    newest: dt.datetime = dt.datetime.min


@dataclass
class _Seen:
    piles: dict[tuple[str, Thing], _Pile] = field(default_factory=dict)
    uploads: list[Upload] = field(default_factory=list)


def look(ledger: Ledger, labs: Sequence[Lab], store: Store, launcher: Launcher | None, now: dt.datetime) -> Facts:
    """Return what there is.

    Parameters
    ----------
    ledger : Ledger
    labs : sequence of Lab
        All pipelines of the settings: any of their tasks may refer to any output.
    store : Store
    launcher : Launcher or None
        None leaves Jobs out.
    now : datetime
        The database's clock, naive UTC.

    Raises
    ------
    StorageError, DatabaseError, LaunchError
        If one of them can't be asked: nothing is known then.
    """
    jobs = launcher.observe() if launcher is not None else ()
    seen = _Seen()
    for root in dict.fromkeys(lab.settings.processed_root.rstrip("/") for lab in labs):
        _look_at_root(store, root, now, seen)
    records = all_runs(ledger)
    runs = _run_facts(labs, records)
    for key, pile in list(seen.piles.items()):
        if is_in_use(runs.get(pile.run_id), pile.attempt, key[1]):
            del seen.piles[key]
    return Facts(
        now=now,
        runs=runs,
        pipelines=frozenset(lab.name for lab in labs),
        heaps=tuple(
            Heap(
                folder=folder,
                place=folder.removeprefix(f"{pile.root}/"),
                run_id=pile.run_id,
                attempt=pile.attempt,
                thing=thing,
                files=pile.files,
                size=pile.size,
                newest=pile.newest,
            )
            for (folder, thing), pile in sorted(seen.piles.items())
        ),
        uploads=tuple(seen.uploads),
        jobs=tuple(
            JobFact(name=job.name, run_id=job.run_id, over=job.phase is JobPhase.ENDED, created=job.created)
            for job in jobs
            if job.run_id not in runs
        ),
        references=_references(ledger, labs, store, records, {pile.run_id for pile in seen.piles.values()}),
    )


def _look_at_root(store: Store, root: str, now: dt.datetime, seen: _Seen) -> None:
    for info in store.list(root):
        parts = attempt_of(info.uri.removeprefix(f"{root}/"))
        thing = thing_of(parts[3]) if parts is not None else None
        if parts is None or thing is None or info.linked:  # what is behind a link is something else's
            continue
        place, run_id, attempt, _ = parts
        pile = seen.piles.setdefault((f"{root}/{place}", thing), _Pile(root, run_id, attempt))
        pile.files += 1
        pile.size += info.size
        pile.newest = max(pile.newest, info.modified or now)
    for info in store.unfinished(root):
        parts = attempt_of(info.uri.removeprefix(f"{root}/"))
        run_id = parts[1] if parts is not None else ""
        seen.uploads.append(Upload(uri=info.uri, run_id=run_id, size=info.size, started=info.modified or now))


def _run_facts(labs: Sequence[Lab], records: Sequence[OldRun]) -> dict[str, RunFact]:
    with_result: set[str] = set()
    for lab in labs:
        for tasks in lab.tables:
            asked = [
                run
                for run in records
                if run.pipeline == lab.name and run.task_kind is tasks.kind and _may_be_loaded(run)
            ]
            found = tasks.has_result([parse_key(task) for task in {run.task for run in asked}])
            with_result |= {run.run_id for run in asked if run.task in found}
    return {
        run.run_id: RunFact(
            run_id=run.run_id,
            pipeline=run.pipeline,
            state=run.state,
            attempt=run.attempt,
            updated=run.updated,
            manifest_sha256=run.manifest_sha256,
            has_result=run.run_id in with_result,
        )
        for run in records
    }


def _may_be_loaded(run: OldRun) -> bool:
    # those that are loaded have their results asked for by nobody else, and stay anyway
    return run.state in OVER and run.state is not RunState.LOADED and run.manifest_sha256 is not None


def _references(
    ledger: Ledger, labs: Sequence[Lab], store: Store, records: Sequence[OldRun], listed: set[str]
) -> References:
    runs: set[str] = set()
    places: set[str] = set()
    for lab in labs:
        for tasks in lab.tables:
            for mode, given in named_runs(ledger.database, tasks.table.full_table_name, tasks.output_dir):
                runs |= set(given.replace("\\", "/").split("/")) & listed
                if mode == "load":
                    places |= ends_of(given)
    # files of others that a manifest takes have equal content, but for those that are imported from where they lie
    wanted = {run.content_digest for run in records if run.run_id in listed}
    standing = [run for run in records if _stands(run)]
    reused = ledger.reused([run.run_id for run in standing if run.content_digest in wanted])
    uris: set[str] = set()
    for run in standing:
        if run.kind is Kind.IMPORT:
            uris |= {ref.uri for ref in ledger.plan_of(run.run_id).imports}
        if run.run_id in reused:
            uris |= set(_elsewhere(_manifest(ledger, store, run)))
    attempts = frozenset((found[1], found[2]) for found in map(attempt_of, uris) if found is not None)
    return References(runs=frozenset(runs), places=frozenset(places), attempts=attempts)


def _stands(run: OldRun) -> bool:
    """Tell whether a run's outputs are in use, or may come into use."""
    return run.state not in OVER or run.state is RunState.LOADED or run.manifest_sha256 is not None


def _manifest(ledger: Ledger, store: Store, run: OldRun) -> Manifest | None:
    attempt = ledger.attempt(run.run_id, run.attempt)
    if attempt is None or run.manifest_sha256 is None:
        return None
    data = pinned_bytes(store, attempt.folder, run.manifest_sha256)
    return parse_manifest(data)[0] if data is not None else None


def _elsewhere(manifest: Manifest | None) -> Iterator[str]:
    for file in manifest.files if manifest is not None else ():
        if "://" in file.path:
            yield file.path
