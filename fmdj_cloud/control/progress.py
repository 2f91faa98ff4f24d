"""How far a launched run is: what its pods say, added up over its shards."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence

from fmdj_cloud.contracts import BasisCommit, Progress, RunRecord, ShardRange, Stage
from fmdj_cloud.contracts.shards import BASIS_NAME, part_index
from fmdj_cloud.errors import ConfigError, StorageError
from fmdj_cloud.names import attempt_folder
from fmdj_cloud.storage import Store
from fmdj_cloud.storage.base import ObjectInfo

_PROGRESS = "/progress.json"
_PROGRESS_BYTES = 64 * 1024
_LARGEST = 1 << 53
_BASIS_BYTES = 4 * 1024 * 1024
_READ = 16
"""Reports read of one run at most, the newest: what the others say is taken to be alike."""
_FRESH = dt.timedelta(seconds=90)
"""Pods write every 15 s: who hasn't for so much longer than others computes no more."""


def read_progress(store: Store, run: RunRecord) -> Progress | None:
    """Return the progress of a launched run, if a pod has written one: one listing, and a few small reads.

    Progress is a courtesy to people: where the object store doesn't answer, there is none to show.
    """
    folder = attempt_folder(run.output_dir, run.attempt)
    try:
        there = list(store.list(folder))
        found = [info for info in there if info.uri.endswith(_PROGRESS)]
        found.sort(key=lambda info: info.modified or dt.datetime.min, reverse=True)
        said = [one for info in found[:_READ] if (one := _said(store, info)) is not None]
        if run.shards is None:
            return _newest(said)
        done = {part for info in there if (part := part_index(info.uri.removeprefix(f"{folder}/"))) is not None}
        basis = _basis(store, folder) if any(info.uri == f"{folder}/{BASIS_NAME}" for info in there) else None
    except (StorageError, ConfigError, ValueError):
        return None
    ranges = basis.shards if basis is not None else None
    number = len(ranges) if ranges is not None else run.shards
    shards = [one for one in said if one.index is not None]
    if len(done) >= number or (basis is None and not shards and not done):
        return _newest([one for one in said if one.index is None]) or _newest(said)
    total = basis.nframes if basis is not None else max((one.frames_total for one in shards), default=0) * number
    return add_up(run, shards, done, ranges, number=number, total=total, writing=_count_fresh(found))


def add_up(
    run: RunRecord,
    said: Sequence[Progress],
    done: Collection[int],
    ranges: Sequence[ShardRange] | None,
    *,
    number: int,
    total: int,
    writing: int,
) -> Progress:
    """Return the progress of a stage with a pod for every shard: pure.

    Parameters
    ----------
    run : RunRecord
    said : sequence of Progress
        What some of its pods say.
    done : collection of int
        Shards that are finished.
    ranges : sequence of ShardRange or None
        Frames of every shard; None where nobody says them, and they are taken to be equal.
    number : int
        Shards in all.
    total : int
        Frames in all.
    writing : int
        How many pods report; those that aren't among `said` are taken to be like these.
    """
    frames_done = sum(
        (ranges[part].frames if part < len(ranges) else 0) if ranges is not None else total // number for part in done
    )
    newest: dict[int, Progress] = {}
    for one in sorted(said, key=lambda one: one.at_epoch_s):
        if one.index is not None and one.index not in done:
            newest[one.index] = one
    last = max((one.at_epoch_s for one in said), default=0.0)
    alive = [one for one in newest.values() if last - one.at_epoch_s < _FRESH.total_seconds()]
    unread = max(0, min(writing, number - len(done)) - len(said))
    like = (len(alive) + unread) / len(alive) if alive else 1.0
    frames = min(total, frames_done + round(like * sum(one.frames_done for one in newest.values())))
    rate = like * sum(one.frames_per_s for one in alive)
    return Progress(
        run_id=run.run_id,
        attempt=run.attempt,
        stage=Stage.PROJECT.value,
        frames_done=frames,
        frames_total=total,
        frames_per_s=rate,
        eta_s=(total - frames) / rate if rate > 0 else None,
        at_epoch_s=last,
        shards_done=len(done),
        shards=number,
    )


def progress_words(progress: Progress) -> str:
    """Return the stage, and how many of its shards are done where it has several."""
    if progress.shards is None:
        return progress.stage
    return f"{progress.stage}, {progress.shards_done} of {progress.shards} shards done"


def progress_text(progress: Progress | None) -> str:
    """Return progress in one line: stage, frames, frames/s, time to go."""
    if progress is None:
        return ""
    parts = [progress_words(progress)]
    if progress.frames_total:
        parts.append(f"{100 * progress.frames_done / progress.frames_total:.0f} %")
        parts.append(f"{progress.frames_done}/{progress.frames_total} frames")
    if progress.frames_per_s:
        parts.append(f"{progress.frames_per_s:.0f} frames/s")
    if progress.eta_s is not None:
        parts.append(f"{progress.eta_s:.0f} s to go")
    return ", ".join(parts)


def _said(store: Store, info: ObjectInfo) -> Progress | None:
    """Return what a pod says, None if no pod says such a thing: its numbers are reckoned with."""
    one = Progress.model_validate_json(store.get_bytes(info.uri, max_bytes=_PROGRESS_BYTES))
    counts = (one.frames_done, one.frames_total, one.index or 0, one.shards or 0, one.shards_done or 0)
    measured = (one.frames_per_s, one.eta_s or 0.0, one.at_epoch_s)
    possible = all(0 <= count <= _LARGEST for count in counts) and all(abs(x) <= _LARGEST for x in measured)
    return one if possible else None  # no number is as large as infinity, or is NaN


def _basis(store: Store, folder: str) -> BasisCommit:
    return BasisCommit.model_validate_json(store.get_bytes(f"{folder}/{BASIS_NAME}", max_bytes=_BASIS_BYTES))


def _count_fresh(found: Sequence[ObjectInfo]) -> int:
    """Return how many of some objects were written about when the first of them was."""
    times = [info.modified for info in found if info.modified is not None]
    return sum(times[0] - time < _FRESH for time in times) if times else 0


def _newest(said: Sequence[Progress]) -> Progress | None:
    return max(said, key=lambda one: one.at_epoch_s, default=None)
