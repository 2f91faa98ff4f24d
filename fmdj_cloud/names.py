"""Digests, identifiers and object keys.

Specification
-------------
- *Canonical key*: a task's primary key as JSON with sorted attribute names, no spaces, UTF-8, in
  which every value that JSON can't tell apart is tagged: ``{"date": "2026-01-31"}``,
  ``{"datetime": "2026-01-31T09:30:00.000001"}``, ``{"time": ...}``, ``{"uuid": ...}``,
  ``{"decimal": ...}``, ``{"float": <repr>}``, ``{"bytes": <hex>}``. ``int``, ``str``, ``bool`` stand
  for themselves. Equal keys have equal canonical keys, and :func:`parse_key` inverts it. Decimals are
  normalised (``1.50`` equals ``1.5``), aware datetimes are refused (databases keep naive ones).
- *Task digest*: SHA-256 of (pipeline, table, canonical key).
- *Content digest*: SHA-256 of (result version, kind, engine (with its basis, where that isn't exact), videos by URI,
  size and ETag or version, model sha256, canonical parameters, and imported files, likewise, where there are any).
- *Run id*: ``<kind>-<16 hex>`` of both digests: a valid Kubernetes label and Job name part.
- *Job name*: ``<instance>-<run id>-a<attempt>``, for a stage of a sharded attempt with ``-b``, ``-p`` or ``-m`` behind
  it, at most 63 - 6 characters (Pods get a suffix), so that releases of one namespace that compute the same never
  meet. An instance of more than 20 characters is shortened to its first 13 and 6 hex digits of its SHA-256.
- *Attempt folder*: ``<run folder>/a<attempt>``; one folder per pod in it, named by a *nonce*:
  lower-case letters, digits and dashes, at most 36 characters (a pod's UID is one).

Parts of a digest are separated unambiguously: the digest is taken over a canonical JSON array.
"""

from __future__ import annotations

import datetime as dt
import decimal
import hashlib
import json
import re
import uuid
from collections.abc import Mapping
from typing import Any

import numpy as np

from fmdj_cloud.contracts import RESULT_VERSION, Basis, Engine, Kind, PoseParams, Stage, SvdParams, VideoRef
from fmdj_cloud.contracts.shards import stage_letter

NONCE_MAX = 36
"""Length of the longest nonce (a pod UID)."""
ATTEMPT_MAX = 999
"""Attempts that one run can have: room for its number is planned in ``facemap_output_dir``."""
PROC_SUFFIX = "_proc.npy"
"""Facemap names its SVD results ``<stem of the first video>_proc.npy``."""
POSE_SUFFIX = "_FacemapPose.h5"
"""and its keypoints ``<stem of the video>_FacemapPose.h5``; beside them lies a file with their metadata."""
_INSTANCE_MAX = 20
_NONCE = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,34}[a-z0-9])?")


def _encode_value(name: str, value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        if value != value or value in (float("inf"), float("-inf")):
            raise ValueError(f"{name}={value} can't be part of a key: it is not a finite number")
        return {"float": repr(value + 0.0)}
    if isinstance(value, dt.datetime):
        if value.tzinfo is not None:
            raise ValueError(f"{name}={value.isoformat()} has a time zone; database keys have none")
        return {"datetime": value.isoformat(timespec="microseconds")}
    if isinstance(value, dt.date):
        return {"date": value.isoformat()}
    if isinstance(value, dt.time):
        if value.tzinfo is not None:
            raise ValueError(f"{name}={value.isoformat()} has a time zone; database keys have none")
        return {"time": value.isoformat(timespec="microseconds")}
    if isinstance(value, dt.timedelta):
        micros = (value.days * 86_400 + value.seconds) * 1_000_000 + value.microseconds
        return {"timedelta_us": micros}
    if isinstance(value, uuid.UUID):
        return {"uuid": str(value)}
    if isinstance(value, decimal.Decimal):
        if not value.is_finite():
            raise ValueError(f"{name}={value} can't be part of a key: it is not a finite number")
        text = format(value, "f")
        if "." in text:
            text = text.rstrip("0").rstrip(".")
        return {"decimal": "0" if text in ("-0", "") else text}
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    raise ValueError(f"{name}={value!r} of type {type(value).__name__} can't be part of a key")


_DECODERS: dict[str, Any] = {
    "float": float,
    "datetime": dt.datetime.fromisoformat,
    "date": dt.date.fromisoformat,
    "time": dt.time.fromisoformat,
    "timedelta_us": lambda micros: dt.timedelta(microseconds=micros),
    "uuid": uuid.UUID,
    "decimal": decimal.Decimal,
    "bytes": bytes.fromhex,
}


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def canonical_key(key: Mapping[str, Any]) -> str:
    """Return a task's primary key as canonical JSON.

    Parameters
    ----------
    key : Mapping
        Attribute names and native values (int, str, bool, float, Decimal, date, datetime, time,
        timedelta, UUID, bytes, numpy scalars).

    Raises
    ------
    ValueError
        If a value has no canonical form; the sentence names it.
    """
    return _json({name: _encode_value(name, value) for name, value in key.items()})


def parse_key(text: str) -> dict[str, Any]:
    """Invert :func:`canonical_key`.

    Raises
    ------
    ValueError
        If `text` isn't a canonical key.
    """
    try:
        raw = json.loads(text)
        key: dict[str, Any] = {}
        for name, value in raw.items():
            if isinstance(value, dict):
                ((tag, inner),) = value.items()
                value = _DECODERS[tag](inner)
            key[name] = value
        canonical = canonical_key(key)
    except (ArithmeticError, AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise ValueError(f"{text!r} is not a task key in canonical form") from error
    if canonical != text:
        raise ValueError(f"{text!r} is not a task key in canonical form, which is {canonical!r}")
    return key


def display_key(key: Mapping[str, Any]) -> str:
    """Return a key as people type it: ``subject=m1 recording_id=3``."""
    return " ".join(f"{name}={value}" for name, value in key.items())


def sha256_text(text: str) -> str:
    """Return the SHA-256 of UTF-8 text as 64 hex digits."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def task_digest(pipeline: str, table: str, key: Mapping[str, Any]) -> str:
    """Return the digest of a task: known from the scan on.

    Parameters
    ----------
    pipeline, table : str
        Name of the pipeline in settings and of the task table's class (``FacemapTask``).
    key : Mapping
        The task's primary key.
    """
    return sha256_text(_json([pipeline, table, canonical_key(key)]))


def params_digest(values: Mapping[str, Any]) -> str:
    """Return the digest of a task's parameters as found in its row.

    It tells whether somebody edited the row since; numpy arrays count by dtype, shape and bytes.
    """

    def plain(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            if value.dtype.hasobject:
                return {"array": [plain(item) for item in value.tolist()]} if value.shape else plain(value.item())
            data = hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
            return {"array": [str(value.dtype), list(value.shape), data]}
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, Mapping):
            return {"map": sorted(([str(name), plain(item)] for name, item in value.items()), key=_json)}
        if isinstance(value, set | frozenset):
            return {"set": sorted((plain(item) for item in value), key=_json)}
        if isinstance(value, list | tuple):
            return [plain(item) for item in value]
        if value is None or isinstance(value, bool | int | str):
            return value
        if isinstance(value, float):
            return {"float": repr(value)}
        if isinstance(value, bytes):
            return {"bytes": hashlib.sha256(value).hexdigest()}
        return {type(value).__name__: str(value)}

    return sha256_text(_json(plain(values)))


def content_digest(
    kind: Kind,
    engine: Engine,
    videos: tuple[tuple[VideoRef, ...], ...],
    params: SvdParams | PoseParams | None,
    imports: tuple[VideoRef, ...] = (),
    basis: Basis = Basis.EXACT,
) -> str:
    """Return the digest of what a run computes: equal content, equal results.

    The names of videos on scratch don't count; their order and grouping do. Into how many shards it is cut doesn't.
    """
    computed_by = engine.value if basis is Basis.EXACT else f"{engine.value} {basis.value}"
    identities = [[_identity(ref) for ref in row] for row in videos]
    # A model is what its bytes are, wherever they lie
    canonical = params.model_dump(mode="json", exclude={"model_uri"}) if params is not None else None
    parts = [RESULT_VERSION, kind.value, computed_by, identities, canonical]
    return sha256_text(_json([*parts, [_identity(ref) for ref in imports]] if imports else parts))


def _identity(ref: VideoRef) -> list[str | int | None]:
    return [ref.uri, ref.size, ref.version_id or ref.etag or ref.sha256]


def run_id(kind: Kind, task: str, content: str) -> str:
    """Return ``<kind>-<16 hex>`` of a task digest and a content digest."""
    return f"{kind.value}-{sha256_text(_json([task, content]))[:16]}"


def job_name(run: str, attempt: int, instance: str, stage: Stage = Stage.ALL) -> str:
    """Return the deterministic name of an attempt's Job.

    Parameters
    ----------
    run : str
        A run id.
    attempt : int
    instance : str
        Name of the installation.
    stage : Stage, optional
        Of a sharded attempt.
    """
    letter = stage_letter(stage)
    if len(instance) > _INSTANCE_MAX:
        instance = f"{instance[:13].rstrip('-')}-{sha256_text(instance)[:6]}"
    return f"{instance}-{run}-a{attempt}" + (f"-{letter}" if letter else "")


def attempt_folder(run_folder: str, attempt: int) -> str:
    """Return the attempt folder under a run's folder (both without a trailing slash)."""
    if not 1 <= attempt <= ATTEMPT_MAX:
        raise ValueError(f"attempt {attempt} is not between 1 and {ATTEMPT_MAX}")
    return f"{run_folder}/a{attempt}"


def pose_metadata(keypoints: str) -> str:
    """Return the name (or URI) of the file with the metadata of keypoints.

    Parameters
    ----------
    keypoints : str
        Name of the file with the keypoints, or its URI.
    """
    return f"{keypoints.removesuffix('.h5')}_metadata.pkl"


def check_nonce(nonce: str) -> str:
    """Return `nonce` if it may name a pod's folder.

    Raises
    ------
    ValueError
        If it isn't 1 to 36 lower-case letters, digits and inner dashes.
    """
    if not _NONCE.fullmatch(nonce):
        raise ValueError(f"nonce {nonce!r} must be 1 to {NONCE_MAX} lower-case letters, digits and inner dashes")
    return nonce


def new_nonce() -> str:
    """Return a random nonce for a worker that has no pod UID."""
    return str(uuid.uuid4())
