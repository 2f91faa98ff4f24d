"""What the cluster refuses to make: whether to try again later, and if not, why not."""

from __future__ import annotations

import re
from dataclasses import dataclass

from fmdj_cloud.contracts import Outcome
from fmdj_cloud.control.launchers.kubernetes import quota
from fmdj_cloud.control.launchers.kubernetes.cases import SIGNS, Case
from fmdj_cloud.control.launchers.kubernetes.fields import evidence, shorten, text

_LATER = frozenset({0, 401, 408, 409, 410, 425, 429})
"""No answer, a token that is renewed, somebody was quicker, too many requests."""
_PASSING = re.compile(
    r"failed calling webhook|object has been modified|etcdserver|internal error|timed out|timeout|too many requests"
    r"|leader changed|connection refused|deadline exceeded|unavailable|unable to handle",
    re.IGNORECASE,
)
_CERTAIN = re.compile(
    r"violates PodSecurity|is invalid:|failed quota|must specify|(?:maximum|minimum) .* per", re.IGNORECASE
)
"""Refused for what the Pod is: the same Pod will be refused again."""
_MISSING = re.compile(
    r"serviceaccount .*not found|no PriorityClass with name|RuntimeClass .*not found|storageclass .*not found",
    re.IGNORECASE,
)
_REMEDIES = (
    (re.compile(r"cannot (?:create|get|list|patch|delete) resource", re.IGNORECASE), "install the chart's Role again"),
    (
        re.compile(r"violates PodSecurity", re.IGNORECASE),
        "let the namespace allow what the profile adds, or take it out",
    ),
    (re.compile(r"failed quota|must specify", re.IGNORECASE), "set the limits that the namespace's quota asks for"),
    (re.compile(r"(maximum|minimum) .* per|LimitRange", re.IGNORECASE), "change the profile's sizes or the LimitRange"),
    (re.compile(r"being terminated", re.IGNORECASE), "install fmdj-cloud in a namespace that stays"),
    (re.compile(r"namespaces? .*not found", re.IGNORECASE), "correct `kubernetes.namespace`"),
    (_MISSING, "make it, or correct its name in the profile"),
    (re.compile(r"denied", re.IGNORECASE), "ask whoever set that policy what it demands"),
)


@dataclass(frozen=True)
class PodRefusal:
    """Why the Pod of a Job isn't made.

    Attributes
    ----------
    case : Case
    words : str
        Why it waits, or what is wrong.
    final : Outcome or None
        What it ends with; None if it waits without limit.
    grace : str
        Setting that says how long it is waited for before that; empty is not at all.
    """

    case: Case
    words: str
    final: Outcome | None
    grace: str = ""


def refusal(status: int, reason: str, message: str) -> Outcome | None:
    """Return why a Job can't be made, or None if it is worth another try later.

    Parameters
    ----------
    status : int
        HTTP status; 0 if there was no answer.
    reason, message : str
        Of the API server's answer.
    """
    message = text(message)
    if status in _LATER or status >= 500 or status < 400 or quota.is_exceeded(message) or _PASSING.search(message):
        return None
    sentence = f"Kubernetes refuses the Job: {_why(message) or text(reason) or f'HTTP {status}'}; {_remedy(message)}."
    return _outcome(Case.JOB_REFUSED, sentence, reason=text(reason), message=message, status=status)


def pod_refusal(message: str) -> PodRefusal:
    """Return what it means that a Job's Pod isn't made, from the Job controller's Event.

    Parameters
    ----------
    message : str
        As in ``Error creating: pods "x" is forbidden: exceeded quota: ...``.
    """
    why = _why(message.removeprefix("Error creating: "))
    if quota.is_exceeded(message):
        words = f"Queued: the namespace's quota is used up ({why})."
        lacking = quota.too_large(message)
        if not lacking:
            return PodRefusal(Case.QUEUED_BY_QUOTA, words, None)
        sentence = (
            f"The namespace's quota can never hold it: it asks for {lacking}; lower the profile's sizes or raise the "
            "ResourceQuota."
        )
        final = _outcome(Case.QUOTA_TOO_SMALL, sentence, message=message)
        return PodRefusal(Case.QUOTA_TOO_SMALL, sentence, final, "unschedulable_grace_s")
    if _PASSING.search(message):
        return PodRefusal(Case.STARTING, f"Kubernetes can't make its Pod now and tries again: {why}.", None)
    sentence = f"Kubernetes refuses its Pod: {why}; {_remedy(message)}."
    final = _outcome(Case.POD_REFUSED, sentence, message=message)
    # else what is missing may come, and a policy may look at what changes, such as a signature in a registry
    return PodRefusal(Case.POD_REFUSED, sentence, final, "" if _CERTAIN.search(message) else "start_grace_s")


def _why(message: str) -> str:
    return shorten(message).rstrip(" .")


def _remedy(message: str) -> str:
    return next((remedy for pattern, remedy in _REMEDIES if pattern.search(message)), "correct its profile")


def _outcome(case: Case, sentence: str, **found: object) -> Outcome:
    return Outcome(failure_class=SIGNS[case].failure, sentence=sentence, evidence=evidence(case=case.value, **found))
