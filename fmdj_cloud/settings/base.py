"""What all sections of the settings share."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """Base of all sections: unknown settings are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)
