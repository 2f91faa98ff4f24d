"""``fmdj report``."""

from __future__ import annotations

import datetime as dt
import importlib.util
from pathlib import Path
from typing import Annotated

import typer

from fmdj_cloud.cli.bars import steps
from fmdj_cloud.cli.common import (
    KeyArgument,
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
from fmdj_cloud.names import display_key
from fmdj_cloud.report.results import find_results

_PACKAGES = ("matplotlib", "jinja2")


def report(
    key: KeyArgument = None,
    session: Annotated[
        bool, typer.Option("--session", help="All results of the session that KEY is of, in one report.")
    ] = False,
    output_dir: Annotated[
        Path, typer.Option("--output-dir", metavar="DIR", help="Folder for report.html and the pictures.")
    ] = Path("fmdj-report"),
    kind: KindOption = None,
    pipeline: PipelineOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Draw results: mean frame with ROIs, motion masks, traces, keypoints, quality checks, provenance.

    Writes one HTML file that holds everything, and the pictures as PNG beside it. Needs fmdj-cloud[report].
    """
    restriction = parse_key(key or [])
    if not restriction:
        raise UsageError("Say which result: `fmdj report subject=m1 recording_id=3`.")
    missing = [package for package in _PACKAGES if importlib.util.find_spec(package) is None]
    if missing:
        raise ConfigError(f"{', '.join(missing)} isn't installed here: `pip install 'fmdj-cloud[report]'`.")
    from fmdj_cloud.report.write import write_report  # what it needs is no part of a plain installation

    with open_context(pipeline) as context:
        results = find_results(context.labs, context.ledger, context.store, restriction, kind_of(kind), session=session)
        with steps("Drawing", len(results)) as step:
            written = write_report(
                results,
                context.store,
                output_dir,
                title=f"Facemap results of {'the session of ' if session else ''}{display_key(restriction)}",
                now=dt.datetime.now(dt.UTC).replace(tzinfo=None),
                workdir=context.settings.load.workdir,
                progress=step,
            )
    if output is Output.JSON:
        files = [str(path) for path in written.pictures]
        emit_json({"page": str(written.page), "pictures": files, "notes": list(written.notes)})
        return
    counted = f"{len(results)} result{'' if len(results) == 1 else 's'}"
    for note in written.notes:
        console.print(f"Note: {escape(note)}")
    console.print(f"{escape(str(written.page))} shows {counted}; {len(written.pictures)} pictures lie beside it.")
