"""``fmdj cite``."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

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
from fmdj_cloud.contracts import Kind
from fmdj_cloud.errors import UsageError
from fmdj_cloud.export.citations import Cited, works_of
from fmdj_cloud.report.results import cited, find_results


def cite(
    key: KeyArgument = None,
    bibtex: Annotated[bool, typer.Option("--bibtex", help="Entries for BibTeX.")] = False,
    session: Annotated[bool, typer.Option("--session", help="For all results of the session that KEY is of.")] = False,
    kind: KindOption = None,
    pipeline: PipelineOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Say whom to cite for results, with the versions that computed them.

    Without KEY no database is asked: the works that any result stands on.
    """
    restriction = parse_key(key or [])
    if session and not restriction:
        raise UsageError("Say which session: `fmdj cite --session subject=m1 session_id=1`.")
    if restriction:
        with open_context(pipeline) as context:
            found = cited(
                find_results(context.labs, context.ledger, context.store, restriction, kind_of(kind), session=session)
            )
    else:
        found = works_of((kind.kind,) if kind is not None else (Kind.SVD, Kind.POSE))
    if output is Output.JSON:
        emit_json(found)
    elif bibtex:
        sys.stdout.write("\n\n".join(work.bibtex() for work in found.works) + "\n")
    else:
        _show(found)


def _show(found: Cited) -> None:
    if found.results:
        versions = ", ".join(f"{name} {' and '.join(said)}" for name, said in found.versions.items())
        counted = f"{found.results} result{'' if found.results == 1 else 's'}"
        console.print(f"{counted}, computed by {versions or 'versions that nothing tells'}. Please cite:")
    for work in found.works:
        console.print(f"\n{work.text()}", markup=False, highlight=False)
    for note in found.notes:
        console.print(f"\nNote: {note}", markup=False, highlight=False)
