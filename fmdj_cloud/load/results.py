"""What the loader did with a run."""

from __future__ import annotations

import enum

from pydantic import Field

from fmdj_cloud.contracts import Frozen


class LoadEnd(enum.StrEnum):
    """How one try to load a run ended."""

    LOADED = "loaded"
    SUPERSEDED = "superseded"
    """The task was edited or deleted, or has a result that isn't ours: nothing was written."""
    FAILED = "failed"
    """The outputs fail verification or quality control, or don't fit the tables: final, outputs kept."""
    LOST = "lost"
    """Somebody else changed the run meanwhile: nothing was written."""
    LATER = "later"
    """Object store or database didn't do what they should: nothing was written, it is tried again."""


class LoadResult(Frozen):
    """One try to load a run."""

    run_id: str
    attempt: int
    end: LoadEnd
    sentence: str = ""
    rows: dict[str, int] = Field(default_factory=dict)
    """Table -> rows inserted."""
    warnings: tuple[str, ...] = ()
    """Sentences of quality checks that didn't pass but don't hinder."""
    seconds: float
