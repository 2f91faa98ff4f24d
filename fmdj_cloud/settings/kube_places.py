"""Nodes that pods may go to."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from fmdj_cloud.settings.base import Section
from fmdj_cloud.settings.kube_words import LABEL_KEY, LABEL_VALUE, MANY, check


class Toleration(Section):
    """A taint that pods of a profile tolerate; fields as in Kubernetes."""

    key: str = Field("", description="Key of the taint; empty, with `Exists`, is any.")
    operator: Literal["Exists", "Equal"] = Field("Exists", description="How `value` is compared.")
    value: str = Field("", description="Value of the taint, with `Equal`.")
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = Field(
        None, description="Effect of the taint; empty is any."
    )

    @model_validator(mode="after")
    def _consistent(self) -> Toleration:
        if self.key:
            check(LABEL_KEY, "a taint's key", [self.key])
        check(LABEL_VALUE, "a taint's value", [self.value])
        if self.operator == "Exists" and self.value:
            raise ValueError(f"value={self.value!r} needs operator Equal")
        if self.operator == "Equal" and not self.key:
            raise ValueError("operator Equal needs a key")
        return self


class Place(Section):
    """Where pods may go."""

    node_selector: dict[str, str] = Field(
        default_factory=dict, max_length=MANY, description="Labels that a node must have."
    )
    tolerations: tuple[Toleration, ...] = Field((), max_length=MANY, description="Taints that are tolerated.")

    @field_validator("node_selector")
    @classmethod
    def _labels(cls, value: dict[str, str]) -> dict[str, str]:
        check(LABEL_KEY, "a label's name", value)
        check(LABEL_VALUE, "a label's value", value.values())
        return value


class SpotSettings(Section):
    """Nodes that may be taken away at any time, for early attempts; the last ones go elsewhere."""

    spot: Place = Field(default_factory=Place, description="Added for attempts on spot nodes.")
    on_demand: Place = Field(default_factory=Place, description="Added for the attempts after that.")
    disruptions: Annotated[int, Field(ge=0)] = Field(
        3, description="After so many disruptions a run goes to on-demand nodes: spot capacity is gone for now."
    )
