"""A local Job's folder: what its supervisor is told, and what it tells of how the Job stands.

``job.json`` holds no credentials: they are in the environment of supervisor and worker only.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import logging
import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from fmdj_cloud import names
from fmdj_cloud.contracts import (
    FailureClass,
    JobObservation,
    JobPhase,
    JobRequest,
    Outcome,
    Stage,
    TerminationMessage,
)
from fmdj_cloud.control.diagnose import ProcessEnd, diagnose, vanished, worst_of
from fmdj_cloud.control.launchers.supervisor import EXIT, JOB, LAST_WORD, LOCK, NONCE, OUTPUT, SHARD, STARTED, read_json
from fmdj_cloud.control.launchers.tries import FINAL, LACKING, failed_max

_TERMINATION = "termination.json"
_OVERDUE_S = 600.0
"""The worker keeps its time budget itself; the supervisor ends one that doesn't, so much later."""
_LOG_BYTES = 256 * 1024
_MESSAGE_BYTES = 64 * 1024
_ENDS = ("exit_code", "signal", "stopped", "overdue", "error")
_log = logging.getLogger(__name__)


def describe(
    request: JobRequest,
    folder: Path,
    command: Sequence[str],
    *,
    instance: str,
    grace_s: float,
    retries: int,
    retry_pause_s: float,
) -> dict[str, Any]:
    """Return what a Job's supervisor is told.

    Parameters
    ----------
    request : JobRequest
    folder : Path
        The Job's.
    command : sequence of str
        How a worker is started; its arguments follow.
    instance : str
    grace_s : float
        From SIGTERM to SIGKILL.
    retries : int
        How often each shard is tried again.
    retry_pause_s : float
        Before the first of them; each further one waits twice as long.
    """
    indexed = request.stage is Stage.PROJECT
    nonce = names.new_nonce()
    arguments = {
        "--spec": request.spec_uri,
        "--sha256": request.spec_sha256,
        "--nonce": NONCE if indexed else nonce,
        "--termination-log": LAST_WORD if indexed else str(folder / _TERMINATION),
    }
    if request.stage is not Stage.ALL:
        arguments["--stage"] = request.stage.value
    if indexed:
        arguments["--index"] = SHARD
    job: dict[str, Any] = {
        "uid": str(uuid.uuid4()),
        "instance": instance,
        "nonce": nonce,
        "request": request.model_dump(mode="json"),
        "command": [*command, *(word for pair in arguments.items() for word in pair)],
        "stop_grace_s": grace_s,
        "deadline_s": request.limits.time_budget_s + _OVERDUE_S,
    }
    if indexed:
        job |= {
            "shards": request.shards,
            "pods": request.pods,
            "retries": retries,
            "retry_pause_s": retry_pause_s,
            "final": FINAL,
            "lacking": LACKING,
            "failed_max": failed_max(request.shards),
        }
    return job


def read_job(folder: Path, instance: str) -> dict[str, Any] | None:
    """Return what a Job's supervisor is told, None if there is no such Job; one of ours is of this version."""
    job = read_json(folder / JOB)
    if job is not None and job["instance"] == instance:
        JobRequest.model_validate(job["request"])
    return job


def observe_job(folder: Path, instance: str) -> JobObservation | None:
    """Return how a Job of ours stands; None if it isn't ours, or was never started.

    Parameters
    ----------
    folder : Path
    instance : str
    """
    job = read_job(folder, instance)
    if job is None or job["instance"] != instance:
        return None
    # in this order: once started, a lock that is free is free for good, and the exit is final
    started = (folder / STARTED).exists()
    held = is_held(folder / LOCK)
    end = read_json(folder / EXIT)
    if not started and not held:
        return None
    over = end is not None or not held
    request = JobRequest.model_validate(job["request"])
    outcome, spoke = _outcome(folder, request, end) if over else (None, "")
    return JobObservation(
        name=request.name,
        run_id=request.run_id,
        attempt=request.attempt,
        uid=job["uid"],
        spec_sha256=request.spec_sha256,
        phase=JobPhase.ENDED if over else JobPhase.RUNNING,
        outcome=outcome,
        nonces=_nonces(folder) if "shards" in job else (job["nonce"],),
        log=str(folder / OUTPUT) if "shards" not in job else str(folder / "try-*.log"),
        stage=request.stage,
        shards=request.shards,
        pods=request.pods,
        spoke=spoke,
        created=_made(folder),
    )


def _made(folder: Path) -> dt.datetime | None:
    try:
        return dt.datetime.fromtimestamp((folder / JOB).stat().st_mtime, dt.UTC).replace(tzinfo=None)
    except FileNotFoundError:  # it is forgotten at this moment
        return None


def read_end_of_log(folder: Path, nonce: str) -> str:
    """Return the end of what a Job wrote, or one of its tries; the newest where no nonce is given."""
    tries = sorted(folder.glob("try-*.log"), key=lambda path: path.stat().st_mtime)
    named = [path for path in tries if path.stem.endswith(nonce)]
    for path in (*reversed(named), folder / OUTPUT):
        try:
            with path.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - _LOG_BYTES))
                return file.read().decode("utf-8", "replace")
        except FileNotFoundError:
            continue
    return ""


def is_held(path: Path) -> bool:
    """Tell whether a supervisor holds the lock."""
    with _opened(path) as descriptor:
        if descriptor is None:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def _outcome(folder: Path, request: JobRequest, end: Mapping[str, Any] | None) -> tuple[Outcome, str]:
    """Return how a Job ended, and the nonce of the try that tells, where it has several."""
    if end is None:
        sentence = "The worker's supervisor ended without recording how: it was killed, or the machine was restarted."
        return vanished(sentence), ""
    if "shards" in end:
        return _worst_shard(folder, request.shards, end)
    return diagnose(ProcessEnd(**{name: end[name] for name in _ENDS}), _read_message(folder / _TERMINATION)), ""


def _worst_shard(folder: Path, shards: int, end: Mapping[str, Any]) -> tuple[Outcome, str]:
    told: list[tuple[Outcome, str]] = []
    for shard, ended in end["shards"].items():
        word = folder / f"try-{shard}-{ended['try']}-{ended['nonce']}.json"
        outcome = diagnose(ProcessEnd(**{name: ended[name] for name in _ENDS}), _read_message(word))
        if not outcome.ok:
            sentence = f"Shard {shard} of {shards}: {outcome.sentence}"
            evidence = outcome.evidence | {"shard": shard}
            told.append((outcome.model_copy(update={"sentence": sentence, "evidence": evidence}), ended["nonce"]))
    place = worst_of([outcome.failure_class or FailureClass.CRASH for outcome, _ in told])
    if place is not None:
        return told[place]
    if end["stopped"] and len(end["shards"]) < shards:
        sentence = "The worker was stopped from outside before all of its shards had begun."
        return Outcome(failure_class=FailureClass.DISRUPTED, sentence=sentence), ""
    return Outcome(), ""


def _nonces(folder: Path) -> tuple[str, ...]:
    """Return the nonces of all tries, in the order of their numbers."""
    found = []
    for path in folder.glob("try-*.log"):
        _, shard, number, nonce = path.stem.split("-", 3)
        found.append((int(number), int(shard), nonce))
    return tuple(nonce for _, _, nonce in sorted(found))


def _read_message(path: Path) -> TerminationMessage | None:
    try:
        with path.open("rb") as file:
            return TerminationMessage.model_validate_json(file.read(_MESSAGE_BYTES))
    except FileNotFoundError:
        return None
    except ValidationError as error:
        _log.warning("%s is not a termination message: %s", path, error.errors()[0]["msg"])
        return None


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int | None]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield None
        return
    try:
        yield descriptor
    finally:
        os.close(descriptor)
