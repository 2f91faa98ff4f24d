"""Whether a Pod that has no node may ever get one: what the scheduler and autoscalers say.

The scheduler counts nodes by what is wrong with them, then says for how many it would help if other Pods went
(``preemption: 0/3 nodes are available: 1 No preemption victims found for incoming pod, 2 Preemption is not helpful for
scheduling``). Since Kubernetes 1.31 the second number includes nodes that are too small altogether, so "not helpful"
for all of them, and no reason that passes by itself, means that no node there can ever take it. What isn't known may
pass.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass

from fmdj_cloud.control.launchers.kubernetes.events import Event, Events, first_told
from fmdj_cloud.control.launchers.kubernetes.pods import Pod

_NODES = re.compile(r"0/(\d+) nodes are available:?\s*(.*)", re.DOTALL)
_PREEMPTION = re.compile(r"preemption:", re.IGNORECASE)
_COUNTED = re.compile(r"(?:^|, )(\d+) (.+?)(?=, \d+ |\.? *$|\.? no new claims)", re.DOTALL)
_NOT_HELPFUL = re.compile(r"(\d+) Preemption is not helpful", re.IGNORECASE)
_INSUFFICIENT = re.compile(r"Insufficient ([\w./-]+)")
_TAINT = re.compile(r"untolerated taint(?:\(s\))?(?: \{(.+?):? *\})?")
_FOR_GOOD = re.compile(
    r"affinity/selector|untolerated taint|volume node affinity conflict|PersistentVolume's node affinity"
    r"|requested node name|missing required label|persistentvolumeclaim .*not found|unbound immediate"
)
_PASSING_TAINT = re.compile(
    r"node\.kubernetes\.io/|node\.cloudprovider\.kubernetes\.io/|node\.cilium\.io/|karpenter\.sh/"
    r"|ClusterAutoscaler|cloud\.google\.com/impending|startup-taint|not-ready|agent-not-ready"
)
"""Taints of a node that is down, new or on its way out."""
_GROWING = frozenset({"TriggeredScaleUp", "Nominated"})
_LATER = re.compile(
    r"in backoff|max total nodes|max cluster|not ready for scale-up|exceed limits|limits have been exhausted"
    r"|required offering|insufficient capacity|uninitialized",
    re.IGNORECASE,
)
"""What an autoscaler says that would add a node, but not now."""


@dataclass(frozen=True)
class Verdict:
    """What a message of the scheduler means.

    Attributes
    ----------
    for_good : bool
        Whether no node that is there now can ever take the Pod.
    reasons : tuple of (int, str)
        Nodes, and what is wrong with them; 0 nodes if that is said of the Pod itself.
    """

    for_good: bool
    reasons: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True)
class Prospect:
    """Whether a Pod will get a node.

    Attributes
    ----------
    words : str
        What is wrong with the nodes, in a lab's words.
    growing : bool
        Whether the cluster adds a node for it.
    later : str
        What an autoscaler says that would add a node but can't now, empty if none does.
    hopeless_since : datetime or None
        Since when nothing speaks for it; None if something does.
    """

    words: str
    growing: bool
    later: str
    hopeless_since: dt.datetime | None


def read_message(message: str) -> Verdict:
    """Return what the scheduler's message means; one that isn't understood may pass."""
    found = _NODES.search(message)
    if found is None:
        return Verdict(for_good=False)
    nodes, rest = int(found[1]), found[2]
    head, *tail = _PREEMPTION.split(rest, maxsplit=1)
    reasons = tuple((int(count), _clean(words)) for count, words in _COUNTED.findall(head.strip()))
    reasons = reasons or ((0, _clean(head)),)
    not_helpful = sum(int(count) for count in _NOT_HELPFUL.findall(tail[0])) if tail else 0
    return Verdict(
        for_good=nodes > 0 and all(_is_for_good(words, all_too_small=not_helpful >= nodes) for _, words in reasons),
        reasons=reasons,
    )


def prospect(pod: Pod, events: Events, now: dt.datetime, grace_s: float) -> Prospect:
    """Return whether a Pod without a node will get one.

    Parameters
    ----------
    pod : Pod
        Its `unscheduled` is set.
    events : Events
    now : datetime
    grace_s : float
        A node that an autoscaler has asked for has come within this, if it comes.
    """
    message = pod.unscheduled.message if pod.unscheduled is not None else ""
    verdict = read_message(message)
    told = events.about(pod)
    hopes = [event for event in told if _is_hope(event)]
    lately = [event for event in hopes if event.last is not None and (now - event.last).total_seconds() <= grace_s]
    growing = any(event.reason in _GROWING for event in lately)
    later = next((event.message for event in reversed(lately) if not _NODES.search(event.message)), "")
    since = None
    if verdict.for_good and not growing:
        # the condition keeps the time of its first message, which may have been another one: what spoke for the Pod
        # later counts as well, and so does when the scheduler first refused it (a gate may have held it before)
        condition = pod.unscheduled.since if pod.unscheduled is not None else None
        refused = first_told((event for event in told if event.reason == "FailedScheduling"), None)
        times = (condition or pod.created, refused, *(hope.last for hope in hopes))
        since = max((when for when in times if when is not None), default=None)
    return Prospect(_words(verdict, pod.requests) or message, growing, later if verdict.for_good else "", since)


def _is_hope(event: Event) -> bool:
    if event.reason in _GROWING:
        return True
    if event.reason in ("NotTriggerScaleUp", "FailedScaleUp"):
        return event.reason == "FailedScaleUp" or _LATER.search(event.message) is not None
    if event.reason != "FailedScheduling":
        return False
    if _NODES.search(event.message):
        return not read_message(event.message).for_good
    return _LATER.search(event.message) is not None


def _is_for_good(words: str, *, all_too_small: bool) -> bool:
    if _INSUFFICIENT.search(words):
        return all_too_small
    return _FOR_GOOD.search(words) is not None and not _PASSING_TAINT.search(words)


def _clean(words: str) -> str:
    return " ".join(words.split()).rstrip(".,")


def _words(verdict: Verdict, requests: Mapping[str, str]) -> str:
    return ", ".join(_in_lab_words(count, words, requests) for count, words in verdict.reasons if words)


def _in_lab_words(count: int, words: str, requests: Mapping[str, str]) -> str:
    who = f"{count} {'node' if count == 1 else 'nodes'}" if count else "the cluster"
    insufficient = _INSUFFICIENT.fullmatch(words)
    if insufficient:
        asked = requests.get(insufficient[1], "")
        return f"{who}: too little {insufficient[1]}{f' (it asks for {asked})' if asked else ''}"
    taint = _TAINT.search(words)
    if taint:
        return f"{who}: a taint that its profile doesn't tolerate{f' ({taint[1].strip()})' if taint[1] else ''}"
    if "affinity/selector" in words:
        return f"{who}: not the labels that its profile asks for"
    return f"{who}: {words}"
