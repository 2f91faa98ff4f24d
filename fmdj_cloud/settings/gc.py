"""How long housekeeping keeps what nobody needs."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from fmdj_cloud.settings.base import Section

Days = Annotated[float, Field(ge=1, le=36500)]
"""At least one: clocks of database and store may differ, and whoever just looked at a thing may still use it."""


class GcSettings(Section):
    """What ``fmdj gc`` keeps, and how long, counted from when the run ended or the youngest file was written."""

    outputs_days: Days = Field(
        90, description="Outputs of failed, cancelled or superseded attempts, days: time to look what was wrong."
    )
    parts_days: Days = Field(
        14, description="Parts that the next attempt goes on from, days: after that nobody asks for it again."
    )
    logs_days: Days = Field(90, description="Logs of such attempts, days: as long as their outputs.")
    specs_days: Days = Field(
        365, description="Specs of such attempts, days: small, and `fmdj recover` reads them; never before outputs."
    )
    uploads_days: Days = Field(
        7, description="Uploads that were cut off, days: longer than any upload takes. Only of runs that are over."
    )

    @model_validator(mode="after")
    def _specs_last(self) -> GcSettings:
        if self.specs_days < max(self.outputs_days, self.logs_days):
            raise ValueError(
                f"specs_days={self.specs_days:g} must be at least outputs_days and logs_days: a spec says what they are"
            )
        return self
