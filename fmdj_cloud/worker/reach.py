"""Which bytes of which videos a shard needs: what the stage ``basis`` tells the pods that follow.

It lies beside the basis as ``reach.json``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from fmdj_cloud.contracts import Frozen
from fmdj_cloud.errors import StorageError

REACH = "reach.json"


class Extent(Frozen):
    """Bytes of one file."""

    row: Annotated[int, Field(ge=0)]
    """Place among the sequential files."""
    view: Annotated[int, Field(ge=0)]
    start: Annotated[int, Field(ge=0)]
    stop: Annotated[int, Field(ge=0)]
    """Half-open, beside the container's header and index; of a file that must be read whole, its size."""


class Reach(Frozen):
    """What every shard needs."""

    ranged: bool
    """Whether files can be read in ranges; else those that a shard needs are fetched."""
    shards: tuple[tuple[Extent, ...], ...]


def write_reach(path: Path, reach: Reach) -> None:
    """Write ``reach.json``."""
    path.write_text(reach.model_dump_json())


def read_reach(path: Path) -> Reach:
    """Read ``reach.json``.

    Raises
    ------
    StorageError
        If it isn't one.
    """
    try:
        return Reach.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise StorageError(
            f"{path.name} can't be understood ({error.error_count()} problems): compute the task again with one "
            "version of fmdj in all its stages."
        ) from error
