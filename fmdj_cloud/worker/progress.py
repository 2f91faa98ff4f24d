"""How far a worker is: told by the computing child, published by its parent."""

from __future__ import annotations

import collections
import json
import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fmdj_cloud.contracts import Progress
from fmdj_cloud.errors import FmdjError
from fmdj_cloud.storage import uri as uris
from fmdj_cloud.storage.base import Store

log = logging.getLogger(__name__)

_TELL_S = 0.5
_WINDOW_S = 60.0
_LOG_MAX_BYTES = 8 << 20
"""Of a log that is still being written; the whole of it is uploaded in the end."""


@dataclass(frozen=True)
class Where:
    """A point of the computation.

    Attributes
    ----------
    stage : str
        ``fetch``, ``check``, a pass (``main``, ``pupil1`` ...), ``running``, ``assemble``, ``publish``, ``done``.
    frames_done, frames_total : int
        Frames projected so far and in all, over all passes.
    """

    stage: str
    frames_done: int = 0
    frames_total: int = 0


class Teller:
    """The child's side: writes where it is to a small file, at most twice a second.

    Parameters
    ----------
    path : Path
    clock : callable
        Seconds, monotonic.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._last = float("-inf")
        self._stage = ""

    def tell(self, where: Where) -> None:
        """Write `where` if it is a new stage or the last time is long enough ago."""
        now = self._clock()
        if where.stage == self._stage and now - self._last < _TELL_S:
            return
        self._stage, self._last = where.stage, now
        fresh = self._path.with_suffix(".new")
        fresh.write_text(json.dumps([where.stage, where.frames_done, where.frames_total]))
        os.replace(fresh, self._path)


def read_told(path: Path) -> Where | None:
    """Return what a :class:`Teller` wrote, or None if it hasn't yet."""
    try:
        stage, done, total = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    return Where(stage, done, total)


class Rate:
    """Frames per second over the last minute, and when the rest is done."""

    def __init__(self) -> None:
        self._seen: collections.deque[tuple[float, int]] = collections.deque()

    def see(self, now: float, done: int) -> None:
        """Record that `done` frames were done at `now` seconds."""
        self._seen.append((now, done))
        while len(self._seen) > 2 and self._seen[1][0] <= now - _WINDOW_S:
            self._seen.popleft()

    def per_s(self) -> float:
        """Return frames per second, 0 while unknown."""
        if len(self._seen) < 2:
            return 0.0
        (t0, d0), (t1, d1) = self._seen[0], self._seen[-1]
        return max(0.0, (d1 - d0) / (t1 - t0)) if t1 > t0 else 0.0

    def eta_s(self, remaining: int) -> float | None:
        """Return seconds until `remaining` frames are done, None while unknown."""
        rate = self.per_s()
        return remaining / rate if rate > 0 else None


class Reporter:
    """The parent's side: a thread that writes ``progress.json`` and ``run.log`` beside the outputs.

    A store that is down for a while doesn't end a computation: what can't be written is logged and
    written the next time.

    Parameters
    ----------
    store : Store
    folder_uri : str
        Folder of this pod.
    run_id : str
    attempt : int
    told : Path
        File of the child's :class:`Teller`.
    log_path : Path
    progress_s, log_upload_s : float
        Seconds between two writes of each.
    index : int, optional
        The shard, where it computes one.
    """

    def __init__(
        self,
        store: Store,
        folder_uri: str,
        *,
        run_id: str,
        attempt: int,
        told: Path,
        log_path: Path,
        progress_s: float,
        log_upload_s: float,
        index: int | None = None,
    ) -> None:
        self._store = store
        self._folder_uri = folder_uri
        self._run_id = run_id
        self._attempt = attempt
        self._told = told
        self._log_path = log_path
        self._progress_s = progress_s
        self._log_upload_s = log_upload_s
        self._index = index
        self._own: Where | None = Where("fetch")
        self._rate = Rate()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reporter", daemon=True)

    def start(self) -> None:
        """Start reporting.

        The first progress is written at once: a worker that may not write must know before it computes.

        Raises
        ------
        ConfigError, StorageError
            If that fails.
        """
        self.write_progress()
        self._thread.start()

    def at(self, where: Where | None) -> None:
        """Say where the parent is; None lets the child speak."""
        self._own = where

    def close(self, timeout_s: float) -> None:
        """Stop reporting; a write that is under way is waited for, at most so long."""
        self._end.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def progress(self) -> Progress:
        """Return how far the worker is now."""
        where = self._own or read_told(self._told) or Where("start")
        self._rate.see(time.monotonic(), where.frames_done)
        return Progress(
            run_id=self._run_id,
            attempt=self._attempt,
            stage=where.stage,
            frames_done=where.frames_done,
            frames_total=where.frames_total,
            frames_per_s=round(self._rate.per_s(), 2),
            eta_s=self._rate.eta_s(where.frames_total - where.frames_done) if where.frames_total else None,
            at_epoch_s=time.time(),
            index=self._index,
        )

    def write_progress(self) -> None:
        """Write ``progress.json`` now."""
        data = self.progress().model_dump_json().encode()
        self._store.put_bytes(uris.join(self._folder_uri, "progress.json"), data)

    def write_log(self) -> None:
        """Write the log so far as ``run.log``."""
        with self._log_path.open("rb") as file:
            data = file.read(_LOG_MAX_BYTES)
        self._store.put_bytes(uris.join(self._folder_uri, "run.log"), data)

    def _run(self) -> None:
        begun = time.monotonic()
        due = {self.write_progress: begun + self._progress_s, self.write_log: begun + self._log_upload_s}
        every = {self.write_progress: self._progress_s, self.write_log: self._log_upload_s}
        while not self._end.wait(max(0.0, min(due.values()) - time.monotonic())):
            for write in due:
                if due[write] <= time.monotonic():
                    self._try(write)
                    due[write] = time.monotonic() + every[write]

    def _try(self, write: Callable[[], None]) -> None:
        try:
            write()
        except FmdjError as error:
            log.warning("%s", error.sentence)
