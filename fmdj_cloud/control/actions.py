"""What the controller can do to one run or Job: the vocabulary between :mod:`decide` and the loop."""

from __future__ import annotations

from dataclasses import dataclass

from fmdj_cloud.contracts import Outcome, RunState, Stage


@dataclass(frozen=True)
class Launch:
    """Start the current attempt of a ready run."""

    run_id: str
    attempt: int
    pods: int = 1
    """At a time at most, in its first stage."""


@dataclass(frozen=True)
class Advance:
    """End a stage of a launched attempt whose commit is there, and begin the next one."""

    run_id: str
    attempt: int
    stage: Stage
    """That ends."""
    following: Stage
    shards: int
    """Pods that the next stage takes in all."""
    pods: int = 1
    """and at a time at most."""


@dataclass(frozen=True)
class Create:
    """Create the Job of a launched attempt (again): under its name, with its spec."""

    run_id: str
    attempt: int


@dataclass(frozen=True)
class Confirm:
    """Record the UID of a launched attempt's Job."""

    run_id: str
    attempt: int
    uid: str
    stage: Stage = Stage.ALL
    """That the Job is of."""


@dataclass(frozen=True)
class Note:
    """Record why a launched attempt doesn't compute yet; empty once it does."""

    run_id: str
    attempt: int
    sentence: str


@dataclass(frozen=True)
class Publish:
    """Pin a launched attempt's manifest."""

    run_id: str
    attempt: int
    manifest_sha256: str


@dataclass(frozen=True)
class Retry:
    """End a launched attempt; the next one may start after `not_before_s`."""

    run_id: str
    attempt: int
    outcome: Outcome
    not_before_s: float
    silent_s: float | None = None
    """Only if its ``populate()`` hasn't shown itself for so long: it may just have done so."""


@dataclass(frozen=True)
class Fail:
    """End a run, and its attempt if it was launched."""

    run_id: str
    state: RunState
    attempt: int
    outcome: Outcome


@dataclass(frozen=True)
class Hold:
    """Hold a run, as people want; a launched one's Job is confirmed to be over."""

    run_id: str
    state: RunState
    attempt: int


@dataclass(frozen=True)
class Unhold:
    """Make a held run ready."""

    run_id: str
    attempt: int


@dataclass(frozen=True)
class Cancel:
    """Cancel a run, as people want; a launched one's Job is confirmed to be over."""

    run_id: str
    state: RunState
    attempt: int


@dataclass(frozen=True)
class Supersede:
    """End a run whose task is no longer what it was; a launched one's Job is confirmed to be over."""

    run_id: str
    state: RunState
    attempt: int
    why: str
    count_changed: bool = False
    """Whether an input was replaced: new plans for that are bounded per binding."""


@dataclass(frozen=True)
class Stop:
    """Begin to stop a Job."""

    job_name: str
    why: Outcome | None = None
    """Why it is given up: how it will have ended."""


@dataclass(frozen=True)
class Forget:
    """Delete what is left of a Job that is over and accounted for."""

    job_name: str


Action = (
    Launch
    | Advance
    | Create
    | Confirm
    | Note
    | Publish
    | Retry
    | Fail
    | Hold
    | Unhold
    | Cancel
    | Supersede
    | Stop
    | Forget
)
