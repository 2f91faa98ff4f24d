"""``fmdj export``."""

from __future__ import annotations

import datetime as dt
import importlib.util
import zoneinfo
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from fmdj_cloud.cli.bars import amount
from fmdj_cloud.cli.common import (
    KindOption,
    Output,
    OutputOption,
    PipelineOption,
    console,
    emit_json,
    kind_of,
    parse_key,
)
from fmdj_cloud.cli.context import open_context
from fmdj_cloud.cli.views import escape
from fmdj_cloud.errors import ConfigError, UsageError
from fmdj_cloud.export.metadata import read_metadata
from fmdj_cloud.export.select import choose

export = typer.Typer(no_args_is_help=True, help="Write results in other formats.")
_PACKAGES = ("pynwb", "hdmf", "ndx_pose")


@export.callback()
def formats() -> None:
    """Write results in other formats; the database is read, and nothing in it is changed."""


@export.command()
def nwb(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="KEY OUT",
            help="A result of either task table, or of both for one recording, as for the other commands; then the "
            "file: `subject=m1 recording_id=3 m1_3.nwb`.",
        ),
    ],
    videos: Annotated[
        Path | None,
        typer.Option("--videos", metavar="FOLDER", help="Where the videos lie for readers; refers to them relatively."),
    ] = None,
    timezone: Annotated[
        str, typer.Option("--timezone", metavar="ZONE", help="Of the lab's times, such as Europe/Paris.")
    ] = "UTC",
    session_start: Annotated[
        dt.datetime | None, typer.Option("--session-start", help="In place of what the lab's tables say.")
    ] = None,
    rate: Annotated[
        float | None, typer.Option("--rate", min=0.001, help="Frames per second, in place of RecordingInfo's.")
    ] = None,
    metadata: Annotated[
        Path | None,
        typer.Option(
            "--metadata",
            metavar="FILE",
            help="YAML with the sections `nwbfile` (experimenter, institution, ...) and `subject` (age, species, ...), "
            "for what the database doesn't know.",
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file of that name.")] = False,
    kind: KindOption = None,
    pipeline: PipelineOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Write the results of a recording as an NWB file: SVD, pupil, blink, running, points, references to the videos.

    Needs fmdj-cloud[nwb].
    """
    *key, name = words
    if not key:
        raise UsageError("Say which result, then the file: `fmdj export nwb subject=m1 recording_id=3 m1_3.nwb`.")
    missing = [package for package in _PACKAGES if importlib.util.find_spec(package) is None]
    if missing:
        raise ConfigError(f"{', '.join(missing)} isn't installed here: `pip install 'fmdj-cloud[nwb]'`.")
    from fmdj_cloud.export.nwb import NwbOptions, export_nwb  # what it needs is no part of a plain installation

    options = NwbOptions(
        zone=_zone(timezone),
        session_start=session_start,
        rate=rate,
        videos=videos,
        overwrite=overwrite,
        metadata={} if metadata is None else read_metadata(metadata),
    )
    with open_context(pipeline) as context:
        choice = choose(context.labs, context.ledger, parse_key(key), kind_of(kind))
        with amount("Writing") as told:
            options = replace(options, progress=told)
            written = export_nwb(choice, context.ledger, context.store, Path(name), options)
    if output is Output.JSON:
        emit_json({"path": str(written.path), "frames": written.nframes, "notes": list(written.notes)})
        return
    console.print(f"{escape(str(written.path))} holds {written.nframes} frames.")
    for note in written.notes:
        console.print(f"Note: {escape(note)}")


def _zone(name: str) -> dt.tzinfo:
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise UsageError(f"There is no time zone {name!r}: give one such as Europe/Paris.") from error
