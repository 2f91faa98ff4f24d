"""A FacemapRun as Kubernetes holds it, read: pure."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictInt,
    StrictStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.alias_generators import to_camel

from fmdj_cloud.contracts import Kind, Overrides
from fmdj_cloud.control.kube import labels
from fmdj_cloud.errors import UsageError

_BUDGET_MAX_S = 365 * 86400
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?[hms])+")
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)([hms])")
_UNIT_S = {"h": 3600.0, "m": 60.0, "s": 1.0}
_SHARDS = re.compile(r"auto|[1-9][0-9]{0,2}|1000")


class FacemapRunSpec(BaseModel):
    """What a FacemapRun asks for; fields as in its definition, ``helm/fmdj-cloud/files/facemapruns.fmdj.dev.yaml``."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel)

    pipeline: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=24)]
    kind: Kind = Kind.SVD
    restriction: str = ""
    keys: tuple[Annotated[dict[str, StrictInt | StrictStr], Field(min_length=1)], ...] = ()
    priority: Annotated[int, Field(ge=-1_000_000, le=1_000_000)] | None = None
    profile: Annotated[str, Field(pattern=r"^([a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?)?$")] = ""
    shards: str = ""
    time_budget: float | None = None
    """Seconds."""
    retry_failed: bool = False
    suspend: bool = False

    @field_validator("shards", mode="before")
    @classmethod
    def _shards(cls, value: Any) -> str:
        if isinstance(value, bool) or not (value == "" or _SHARDS.fullmatch(str(value))):
            raise ValueError(f"{value!r} is neither a number from 1 to 1000 nor auto")
        return str(value)

    @field_validator("time_budget", mode="before")
    @classmethod
    def _seconds(cls, value: Any) -> float | None:
        return None if value is None else parse_duration(value)

    @model_validator(mode="after")
    def _selects(self) -> FacemapRunSpec:
        if not self.restriction.strip() and not self.keys:
            raise ValueError("say which tasks: restriction, keys or both; restriction: 'true' is all of them")
        return self

    @property
    def overrides(self) -> Overrides:
        """What its tasks take from it."""
        return Overrides(
            priority=self.priority, profile=self.profile, time_budget_s=self.time_budget, shards=self.shards
        )


def parse_duration(value: Any) -> float:
    """Return the seconds of a time budget.

    Parameters
    ----------
    value : int, float or str
        Seconds, or as Go writes durations: ``1h30m``.

    Raises
    ------
    ValueError
        If it is none, or not between one second and a year.
    """
    if isinstance(value, str) and _DURATION.fullmatch(value):
        seconds = sum(float(number) * _UNIT_S[unit] for number, unit in _DURATION_PART.findall(value))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        seconds = float(value)
    else:
        raise ValueError(f"{value!r} is neither seconds nor a duration such as 1h30m")
    if not 1 <= seconds <= _BUDGET_MAX_S:
        raise ValueError(f"{value!r} is not between a second and a year")
    return seconds


@dataclass(frozen=True)
class FacemapRun:
    """A FacemapRun.

    Attributes
    ----------
    name, uid : str
    generation : int
        Of the spec.
    created : str
        When, as Kubernetes writes it: it sorts.
    deleting : bool
    finalizers : tuple of str
    instance : str
        Installation that its label names; empty without one.
    version : str
        Of the object, for writing.
    spec : dict
        As it was written.
    status : dict
        As it is now.
    """

    name: str
    uid: str
    generation: int = 1
    created: str = ""
    deleting: bool = False
    finalizers: tuple[str, ...] = ()
    instance: str = ""
    version: str = ""
    spec: Mapping[str, Any] = field(default_factory=dict)
    status: Mapping[str, Any] = field(default_factory=dict)

    @property
    def order(self) -> tuple[str, str]:
        """Who was there first comes first."""
        return self.created, self.uid

    @property
    def is_known(self) -> bool:
        """Whether the status is about the spec as it is."""
        return self.status.get("observedGeneration") == self.generation

    @property
    def is_complete(self) -> bool:
        """Whether it was seen to its end, as the spec is."""
        return self.is_known and self.condition("Complete").get("status") == "True"

    @property
    def has_finalizer(self) -> bool:
        """Whether it can't disappear before what it started is cancelled."""
        return labels.FINALIZER in self.finalizers

    @property
    def owner(self) -> str:
        """Installation that sees to it, empty if none does yet."""
        return self.instance or str(self.status.get("instance") or "")

    def condition(self, name: str) -> Mapping[str, Any]:
        """Return a condition, empty without one."""
        found = self.status.get("conditions")
        conditions = found if isinstance(found, list) else []
        return next((one for one in conditions if isinstance(one, dict) and one.get("type") == name), {})

    def observed_at(self) -> dt.datetime | None:
        """Return when the spec as it is was first seen, naive UTC; None if it hasn't been yet."""
        try:
            found = dt.datetime.fromisoformat(str(self.status.get("observedAt")))
        except ValueError:
            return None
        return found.astimezone(dt.UTC).replace(tzinfo=None) if self.is_known else None


def read_object(thing: Mapping[str, Any]) -> FacemapRun | None:
    """Return a FacemapRun of the API; None if that has no name and UID."""
    metadata = thing.get("metadata")
    if not isinstance(metadata, Mapping) or not metadata.get("name") or not metadata.get("uid"):
        return None
    spec, status, marks = thing.get("spec"), thing.get("status"), metadata.get("labels")
    return FacemapRun(
        name=str(metadata["name"]),
        uid=str(metadata["uid"]),
        generation=int(metadata.get("generation") or 1),
        created=str(metadata.get("creationTimestamp") or ""),
        deleting=bool(metadata.get("deletionTimestamp")),
        finalizers=tuple(metadata.get("finalizers") or ()),
        instance=str(marks.get(labels.INSTANCE) or "") if isinstance(marks, Mapping) else "",
        version=str(metadata.get("resourceVersion") or ""),
        spec=spec if isinstance(spec, Mapping) else {},
        status=status if isinstance(status, Mapping) else {},
    )


def read_spec(spec: Mapping[str, Any]) -> FacemapRunSpec:
    """Return what a FacemapRun asks for.

    Raises
    ------
    UsageError
        If that can't be understood; the sentence names the field and the value.
    """
    try:
        return FacemapRunSpec.model_validate(spec)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(["spec", *(str(part) for part in first["loc"])])
        why = str(first["msg"]).removeprefix("Value error, ")
        raise UsageError(f"{where} can't be understood: {why}.") from error
