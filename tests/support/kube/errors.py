"""Answers that are refusals, as Kubernetes words them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from tests.support.kube.resources import ResourceType

_REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    406: "NotAcceptable",
    409: "Conflict",
    410: "Expired",
    413: "RequestEntityTooLarge",
    415: "UnsupportedMediaType",
    422: "Invalid",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}


class ApiError(Exception):
    """A refusal: the status code and the ``Status`` object that goes with it."""

    def __init__(
        self,
        code: int,
        message: str,
        reason: str | None = None,
        *,
        details: dict[str, Any] | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.reason = _REASONS.get(code, "") if reason is None else reason
        self.details = dict(details or {})
        self.retry_after = retry_after
        if retry_after is not None:
            self.details["retryAfterSeconds"] = retry_after

    def status(self) -> dict[str, Any]:
        """Return the ``Status`` object."""
        status = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "details": self.details,
            "code": self.code,
        }
        return {name: value for name, value in status.items() if value or name == "metadata"}

    def body(self) -> bytes:
        """Return the ``Status`` object as JSON, ended as Kubernetes ends it."""
        return json.dumps(self.status(), separators=(",", ":")).encode() + b"\n"


def _details(resource: ResourceType, name: str, **more: Any) -> dict[str, Any]:
    details = {"name": name, "group": resource.group, "kind": resource.plural, **more}
    return {key: value for key, value in details.items() if value}


def not_found(resource: ResourceType, name: str) -> ApiError:
    """No object of that name."""
    return ApiError(404, f'{resource.qualified} "{name}" not found', details=_details(resource, name))


def no_such_path() -> ApiError:
    """Nothing is served there: a resource whose definition is missing, above all."""
    return ApiError(404, "the server could not find the requested resource")


def already_exists(resource: ResourceType, name: str) -> ApiError:
    """The name is taken."""
    return ApiError(
        409, f'{resource.qualified} "{name}" already exists', "AlreadyExists", details=_details(resource, name)
    )


def stale(resource: ResourceType, name: str) -> ApiError:
    """Somebody else wrote in between."""
    return conflict(
        resource,
        name,
        "the object has been modified; please apply your changes to the latest version and try again",
    )


def conflict(resource: ResourceType, name: str, why: str) -> ApiError:
    """A precondition doesn't hold."""
    return ApiError(
        409,
        f'Operation cannot be fulfilled on {resource.qualified} "{name}": {why}',
        details=_details(resource, name),
    )


def invalid(resource: ResourceType, name: str, causes: Sequence[tuple[str, str, str]]) -> ApiError:
    """Validation refuses it; causes are field, reason and message."""
    said = [f"{field}: {message}" for field, _, message in causes]
    text = said[0] if len(said) == 1 else "[" + ", ".join(said) + "]"
    return ApiError(
        422,
        f'{resource.kind_qualified} "{name}" is invalid: {text}',
        details={
            "name": name,
            "group": resource.group,
            "kind": resource.kind,
            "causes": [{"reason": reason, "message": message, "field": field} for field, reason, message in causes],
        },
    )


def forbidden(resource: ResourceType, name: str, why: str) -> ApiError:
    """Admission or authorization refuses it."""
    subject = f'{resource.qualified} "{name}"' if name else resource.qualified
    return ApiError(403, f"{subject} is forbidden: {why}", details=_details(resource, name))


def expired(message: str) -> ApiError:
    """The version is no longer known."""
    return ApiError(410, message)
