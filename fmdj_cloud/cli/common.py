"""What all commands share: output formats, KEY, settings."""

from __future__ import annotations

import enum
import json
import os
import re
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from pydantic import BaseModel
from rich.console import Console
from rich.table import Table

from fmdj_cloud.contracts import Kind
from fmdj_cloud.errors import UsageError
from fmdj_cloud.logs import configure_logging
from fmdj_cloud.printable import printable_json
from fmdj_cloud.settings import Settings, load_settings

_WORD = re.compile(r"[^\W\d]\w*=\S+")
_RUN_ID = re.compile(r"(svd|pose|import)-[0-9a-f]{16}")


class Output(enum.StrEnum):
    """How a command answers."""

    TABLE = "table"
    JSON = "json"


OutputOption = Annotated[Output, typer.Option("--output", "-o", help="Answer as a table or as JSON.")]
KeyArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="KEY",
        help="Tasks, as a DataJoint restriction of FacemapTask or FacemapInferenceTask: `subject=m1 recording_id=3`, "
        "JSON, or a run id.",
        show_default=False,
    ),
]
PipelineOption = Annotated[
    str | None, typer.Option("--pipeline", "-p", help="Pipeline by name; all of them by default.", show_default=False)
]


class TaskKind(enum.StrEnum):
    """A task table."""

    SVD = Kind.SVD.value
    POSE = Kind.POSE.value

    @property
    def kind(self) -> Kind:
        """As the rest of the program calls it."""
        return Kind(self.value)


KindOption = Annotated[
    TaskKind | None,
    typer.Option(
        "--kind",
        "-k",
        help="Only tasks of FacemapTask (svd) or of FacemapInferenceTask (pose); by default of whichever KEY fits.",
        show_default=False,
    ),
]

_WIDE = 160
console = Console(soft_wrap=True, width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else _WIDE)
"""A file or a pipe has no width: tables get room there."""


def settings_with_logs() -> Settings:
    """Read the settings and send logs to stderr as they say."""
    settings = load_settings()
    configure_logging(settings.log.level, settings.log.format)
    return settings


def parse_key(words: Sequence[str]) -> dict[str, Any]:
    """Turn the words of a KEY into a restriction.

    Parameters
    ----------
    words : sequence of str
        ``attribute=value`` words, one JSON object, or one run id.

    Returns
    -------
    dict
        Attribute names to values (strings where not JSON); ``{"run_id": ...}`` for a run id; empty for none.

    Raises
    ------
    UsageError
        If a word is none of these.
    """
    if not words:
        return {}
    text = " ".join(words).strip()
    if _RUN_ID.fullmatch(text):
        return {"run_id": text}
    if text.startswith("{"):
        try:
            return dict(json.loads(text))
        except ValueError as error:
            raise UsageError(f"KEY {text!r} is not valid JSON: {error}.") from error
    restriction: dict[str, Any] = {}
    if len(words) == 1 and all(_WORD.fullmatch(piece) for piece in text.split()):
        words = text.split()  # quoted as one: `fmdj explain 'subject=m1 recording_id=3'`
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name.isidentifier():
            raise UsageError(
                f"KEY {word!r} is not understood: give attribute=value words such as `subject=m1 recording_id=3`, "
                "a JSON object, or a run id."
            )
        restriction[name] = value
    return restriction


def kind_of(option: TaskKind | None) -> Kind | None:
    """Return what ``--kind`` says, None for any."""
    return None if option is None else option.kind


def emit_json(value: BaseModel | Sequence[BaseModel] | dict[str, Any]) -> None:
    """Print models as JSON."""
    if isinstance(value, BaseModel):
        data: Any = value.model_dump(mode="json")
    elif isinstance(value, dict):
        data = value
    else:
        data = [item.model_dump(mode="json") for item in value]
    sys.stdout.write(printable_json(json.dumps(data, indent=2, ensure_ascii=False)) + "\n")


def make_table(title: str | None, *columns: str) -> Table:
    """Return an empty table of the project's look."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
