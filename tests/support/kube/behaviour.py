"""What a script says about pods: how they start, how long they take, how they end."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

PodMatch = str | Mapping[str, str] | Callable[[Mapping[str, Any]], bool] | None
"""A shell pattern for the Job's name (or the pod's, without a Job); labels; a function of the pod; None for all."""


@dataclass(frozen=True)
class Exit:
    """How a container ended."""

    code: int = 0
    message: str = ""
    """The termination message."""
    reason: str = ""
    """``OOMKilled``, say; empty is Completed or Error, by the code."""
    log: str | None = None


@dataclass(frozen=True)
class ContainerStart:
    """What a container is started with."""

    pod: Mapping[str, Any]
    name: str
    command: tuple[str, ...]
    args: tuple[str, ...]
    env: Mapping[str, str]

    def arg(self, option: str) -> str:
        """Return the value of an option like ``--spec``."""
        words = (*self.command, *self.args)
        return words[words.index(option) + 1]


class Running(Protocol):
    """Something that runs by itself, as a real process does."""

    def poll(self) -> Exit | None:
        """Return how it ended, or None."""
        ...

    def terminate(self) -> None:
        """Ask it to end."""
        ...

    def kill(self) -> None:
        """End it."""
        ...

    def log(self) -> str:
        """Return what it wrote."""
        ...


Result = Exit | Running | int | None
Work = Callable[[ContainerStart], Result]


@dataclass(frozen=True)
class Trouble:
    """Something that happens to a pod from outside, ``after_s`` after its container started.

    ``kind``: one of ``memory-pressure``, ``disk-pressure``, ``ephemeral-limit``, ``emptydir-limit``, ``eviction-api``,
    ``taint``, ``preempted``, ``podgc``, ``shutdown``, ``node-lost``, ``node-gone``, ``oom``, ``deleted``,
    ``admission`` (rejected by the kubelet before it starts), ``vanish`` (pod object removed at once).
    """

    kind: str
    after_s: float = 1.0
    message: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Behaviour:
    """The life of a pod.

    By default it is scheduled, its image is there, it runs for ``lasts_s`` and exits with 0. ``run`` is called when
    the container starts, ``finish`` when it ends by itself (what that returns counts); a pod that is stopped before
    never gets there.
    """

    lasts_s: float | None = 10.0
    """None: until it is stopped."""
    exit: Exit = field(default_factory=Exit)
    run: Work | None = None
    finish: Work | None = None
    log: str = ""
    stop_s: float | None = 1.0
    """From SIGTERM to its end; None ignores it, until SIGKILL."""
    stop_exit: Exit = field(default_factory=lambda: Exit(143))
    start_s: float = 1.0
    """From the node to the running container."""
    pull_s: float = 0.0
    waiting: str = ""
    """A reason why the container never starts: ImagePullBackOff, CreateContainerConfigError ..."""
    waiting_message: str = ""
    heals_s: float | None = None
    """After so long what kept it from starting is over."""
    unschedulable: str = ""
    """The scheduler's message, as long as it isn't placed."""
    scale_up: str = ""
    """``triggered`` or ``refused``: what the autoscaler says about it."""
    gates: bool = False
    """Stays Pending without a word."""
    mount: str = ""
    """Message of a volume that doesn't mount: the pod stays at ContainerCreating."""
    init: Exit | None = None
    """How the first init container ends, if not with 0."""
    trouble: Trouble | None = None


def succeed(run: Work | None = None, *, lasts_s: float = 10.0, finish: Work | None = None) -> Behaviour:
    """Do its work and exit with 0."""
    return Behaviour(lasts_s=lasts_s, run=run, finish=finish)


def fail(code: int, message: str = "", *, lasts_s: float = 1.0, reason: str = "") -> Behaviour:
    """Exit with a code and a termination message."""
    return Behaviour(lasts_s=lasts_s, exit=Exit(code, message, reason))


def oom(code: int = 137, *, lasts_s: float = 1.0) -> Behaviour:
    """Be killed for memory; with ``code=0`` only a child process was."""
    return Behaviour(lasts_s=lasts_s, exit=Exit(code, reason="OOMKilled"))


def stay() -> Behaviour:
    """Run until stopped."""
    return Behaviour(lasts_s=None)


def stubborn() -> Behaviour:
    """Run until killed: SIGTERM is ignored."""
    return Behaviour(lasts_s=None, stop_s=None)


def bad_image(reason: str = "ImagePullBackOff", *, heals_s: float | None = None) -> Behaviour:
    """Have an image that can't be pulled."""
    return Behaviour(waiting=reason, heals_s=heals_s)


def config_error(message: str = 'secret "bucket" not found') -> Behaviour:
    """Have a container that can't be made."""
    return Behaviour(waiting="CreateContainerConfigError", waiting_message=message)


def unschedulable(
    message: str = "0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector. no new claims to "
    "deallocate, preemption: 0/3 "
    "nodes are available: 3 Preemption is not helpful for scheduling.",
    *,
    scale_up: str = "",
    heals_s: float | None = None,
) -> Behaviour:
    """Fit on no node."""
    return Behaviour(unschedulable=message, scale_up=scale_up, heals_s=heals_s)


def troubled(kind: str, *, after_s: float = 1.0, message: str = "", reason: str = "") -> Behaviour:
    """Run, and then something happens to it (see :class:`Trouble`)."""
    return Behaviour(lasts_s=None, trouble=Trouble(kind, after_s, message, reason))


def from_json(told: Mapping[str, Any]) -> Behaviour:
    """Return a behaviour written as JSON: the fields of :class:`Behaviour` without the functions."""
    fields = dict(told)
    for name in ("exit", "stop_exit", "init"):
        if fields.get(name) is not None:
            fields[name] = Exit(**fields[name])
    if fields.get("trouble") is not None:
        fields["trouble"] = Trouble(**fields["trouble"])
    return Behaviour(**fields)


class Script:
    """What pods do: the latest rule that matches, for as many pods as it says."""

    def __init__(self) -> None:
        self._rules: list[list[Any]] = []
        self.default = Behaviour()

    def add(self, match: PodMatch, *behaviours: Behaviour, times: int | None = None) -> None:
        """Let pods behave so; several behaviours are those of the first, the second ... pod, the last of all others."""
        self._rules.insert(0, [match, list(behaviours), times])

    def clear(self) -> None:
        """Forget all rules."""
        self._rules.clear()

    def pick(self, pod: Mapping[str, Any]) -> Behaviour:
        """Return a new pod's behaviour."""
        for rule in self._rules:
            match, behaviours, times = rule
            if times == 0 or not fits(match, pod):
                continue
            if times is not None:
                rule[2] -= 1
            return behaviours.pop(0) if len(behaviours) > 1 else behaviours[0]
        return self.default


def fits(match: PodMatch, obj: Mapping[str, Any]) -> bool:
    """Return whether a pod or Job is meant."""
    if match is None:
        return True
    if callable(match):
        return match(obj)
    labels = obj["metadata"].get("labels") or {}
    if isinstance(match, str):
        name = labels.get("batch.kubernetes.io/job-name") or obj["metadata"]["name"]
        return fnmatch.fnmatchcase(name, match)
    return all(labels.get(name) == value for name, value in match.items())
