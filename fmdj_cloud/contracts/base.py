"""The base of all contracts."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """Base of all contracts: immutable, unknown fields refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")
