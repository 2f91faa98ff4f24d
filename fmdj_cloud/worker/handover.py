"""What the worker hands to its computing child, and what comes back: two files on scratch."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from fmdj_cloud import errors
from fmdj_cloud.contracts import Frozen, RunSpec, ShardRange, SignalOrigin, Stage, ViewFrames
from fmdj_cloud.errors import FmdjError

WHOLE_FILE = "whole_file"
"""Check that a child names where ranges of a video won't do."""
COUNTED = "missing_frames"
"""Check: with it accepted, frames count as far as they can be decoded, and an earlier basis may have counted others."""


class ChildJob(Frozen):
    """What the child computes."""

    spec: RunSpec
    videos: tuple[tuple[str, ...], ...]
    """Paths on scratch; outer sequential, inner simultaneous. Those of files that aren't needed may not exist."""
    parent: int
    """Process that it must not outlive."""
    part_s: float = 60.0
    """How often it keeps what it has, seconds, if it can."""
    stage: Stage = Stage.ALL
    index: int | None = None
    """The shard, in stage ``project``."""
    shard: ShardRange | None = None
    """Its frames, where a basis says them."""
    shards: tuple[ShardRange, ...] = ()
    """Of all parts, in stage ``merge``."""
    views: tuple[ViewFrames, ...] = ()
    """What earlier stages have found in the files, in stage ``merge``."""
    ranges: str = ""
    """Socket at which the parent gives ranges of the videos, numbered row by row; empty if they lie on scratch."""


class ChildResult(Frozen):
    """What the child has made."""

    nframes: int
    views: tuple[ViewFrames, ...]
    versions: dict[str, str]
    device: str
    timings_s: dict[str, float]
    signals: tuple[SignalOrigin, ...]
    warnings: tuple[str, ...]
    gui_file: str | None
    """Relative to the folder of outputs."""
    shards: tuple[ShardRange, ...] = ()
    """Of stage ``basis`` all, of stage ``project`` the one that was computed."""
    block: int = 1
    """Frames on whose multiples the shards' edges lie."""


class ChildFailure(Frozen):
    """Why the child has made nothing."""

    code: str
    sentence: str
    check: str = ""


class Desk:
    """Where things lie in the scratch folder.

    Parameters
    ----------
    folder : Path
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.videos = folder / "videos"
        self.cut = folder / "cut"
        self.outputs = folder / "outputs"
        """Everything in it is published."""
        self.given = folder / "given"
        """What earlier stages have made."""
        self.work = folder / "work"
        self.signals = self.outputs / "signals.h5"
        self.facemap = self.outputs / "facemap"
        self.log = folder / "run.log"
        self.told = folder / "told.json"
        self.home = folder / "home"
        self._job = folder / "job.json"
        self._result = folder / "result.json"
        self._failure = folder / "failure.json"

    def clear(self) -> None:
        """Forget what a child has made, so that another can begin."""
        for path in (self.home, self.cut, self.outputs, self.work):
            shutil.rmtree(path, ignore_errors=True)
        for path in (self._result, self._failure):
            path.unlink(missing_ok=True)
        self.outputs.mkdir()

    def put_job(self, job: ChildJob) -> None:
        """Write the child's job."""
        _write(self._job, job)

    def get_job(self) -> ChildJob:
        """Read the child's job."""
        return ChildJob.model_validate_json(self._job.read_bytes())

    def put_result(self, result: ChildResult) -> None:
        """Write what the child has made."""
        _write(self._result, result)

    def get_result(self) -> ChildResult | None:
        """Read what the child has made, None if it didn't come to that."""
        if not self._result.exists():
            return None
        return ChildResult.model_validate_json(self._result.read_bytes())

    def put_failure(self, error: FmdjError) -> None:
        """Write why the child fails; on a full disk there is room for no word more than the exit code."""
        failure = ChildFailure(code=error.code, sentence=error.sentence, check=getattr(error, "check", ""))
        _write(self._failure, failure)

    def get_failure(self) -> FmdjError | None:
        """Read why the child failed, as the error that it met."""
        if not self._failure.exists():
            return None
        failure = ChildFailure.model_validate_json(self._failure.read_bytes())
        kind = _BY_CODE.get(failure.code, FmdjError)
        if issubclass(kind, errors.InputError):
            return kind(failure.sentence, check=failure.check)
        return kind(failure.sentence)


_BY_CODE = {kind.code: kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, FmdjError)}


def _write(path: Path, what: Frozen) -> None:
    """Write a file whole or not at all: a child may be killed at any moment."""
    fresh = path.with_suffix(".new")
    fresh.write_text(what.model_dump_json())
    os.replace(fresh, path)
