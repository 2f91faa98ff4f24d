"""What can go wrong with a request to the Kubernetes API."""

from __future__ import annotations

import json
from typing import Any

from fmdj_cloud.control.launchers.base import LaunchError

UNREACHED = "Unreached"
"""Reason: no connection could be made, so nothing was sent."""
TIMEOUT = "Timeout"
"""Reason: nothing came within the time."""
BROKEN = "Broken"
"""Reason: the connection broke, or what came isn't the API's."""
_ALREADY_EXISTS = "AlreadyExists"
_WORDS = 500
"""Bytes of a message that isn't the API's own (a proxy's page) that are shown."""


class KubeError(LaunchError):
    """The Kubernetes API refused a request, or didn't answer.

    Parameters
    ----------
    sentence : str
        One sentence that names the thing, the value and the remedy.
    status : int
        HTTP status; 0 if there was no answer.
    reason : str
        As in Kubernetes' `Status`: ``NotFound``, ``AlreadyExists``, ``Forbidden`` ...; without an answer
        ``Unreached``, ``Timeout`` or ``Broken``.
    message : str
        The API server's own words.
    retry_after_s : float, optional
        When it wants to be asked again, if it said so.
    """

    code = "kubernetes"

    def __init__(
        self, sentence: str, *, status: int, reason: str = "", message: str = "", retry_after_s: float | None = None
    ) -> None:
        super().__init__(sentence)
        self.status = status
        self.reason = reason
        self.message = message
        self.retry_after_s = retry_after_s

    @property
    def is_missing(self) -> bool:
        """Whether the object, or the whole kind, doesn't exist."""
        return self.status == 404

    @property
    def is_conflict(self) -> bool:
        """Whether the object isn't the one, or the version, that was meant."""
        return self.status == 409

    @property
    def is_expired(self) -> bool:
        """Whether a resource version is too old to go on from."""
        return self.status == 410

    @property
    def already_exists(self) -> bool:
        """Whether an object of that name is there already."""
        return self.status == 409 and self.reason == _ALREADY_EXISTS


def unanswered(what: str, host: str, reason: str, detail: str) -> KubeError:
    """Return the error of a request without an answer."""
    sentence = f"The Kubernetes API at {host} didn't answer {what}: {detail}."
    return KubeError(sentence, status=0, reason=reason, message=detail)


def refused(what: str, status: int, http_reason: str, body: bytes, retry_after: str | None) -> KubeError:
    """Return the error of a request that was answered with something but success.

    Parameters
    ----------
    what : str
        The request.
    status : int
    http_reason : str
        Of the status line.
    body : bytes
        A `Status` object, as a rule.
    retry_after : str or None
        Header of that name.
    """
    try:
        said: Any = json.loads(body)
    except ValueError:
        said = None
    known = said if isinstance(said, dict) and said.get("kind") == "Status" else {}
    reason = str(known.get("reason") or http_reason or "")
    message = (
        str(known.get("message") or "") if known else body[: _WORDS * 4].decode("utf-8", "replace")[:_WORDS].strip()
    )
    detail = f": {message.rstrip('.')}" if message else ""
    seconds = float(retry_after) if retry_after is not None and retry_after.isdecimal() else None
    remedy = "; check the credentials of the kubeconfig or the service account" if status == 401 else ""
    return KubeError(
        f"Kubernetes answered {what} with {status} {reason}{detail}{remedy}.",
        status=status,
        reason=reason,
        message=message,
        retry_after_s=seconds,
    )
