"""Commands for whoever looks after an installation: ``grants``, ``migrate``, ``recover``."""

from __future__ import annotations

from typing import Annotated

import typer

from fmdj_cloud.cli.common import (
    Output,
    OutputOption,
    PipelineOption,
    console,
    emit_json,
    make_table,
    settings_with_logs,
)
from fmdj_cloud.cli.context import open_context
from fmdj_cloud.cli.views import escape, state_text
from fmdj_cloud.control.backends import open_launcher
from fmdj_cloud.control.buckets import bucket_policy, policy_json
from fmdj_cloud.control.grants import Program, database_grants, grant_statements
from fmdj_cloud.control.recover import recover as recover_ledger
from fmdj_cloud.errors import UsageError
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.lab import open_lab
from fmdj_cloud.pipeline.ledger import Ledger
from fmdj_cloud.pipeline.ledger_schema import migrate as migrate_schema
from fmdj_cloud.pipeline.signals import reformat_signals


def grants(
    program: Annotated[
        list[Program] | None, typer.Argument(help="The programs; all of them by default.", show_default=False)
    ] = None,
    user: Annotated[
        str | None,
        typer.Option("--user", help="Database user, for one program; `fmdj_<program>` by default.", show_default=False),
    ] = None,
    attempt_folder: Annotated[
        str | None,
        typer.Option(
            metavar="URI", help="The one attempt folder that the worker's policy lets it write in.", show_default=False
        ),
    ] = None,
    pipeline: PipelineOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Print the database grants and the bucket policy that each program needs, and no more.

    Our tables must exist: run `fmdj migrate` as a database user that may create them, once and after every upgrade.
    """
    programs = program or list(Program)
    if user is not None and len(programs) > 1:
        raise UsageError("--user names the user of one program: say which, as in `fmdj grants loader --user loader`.")
    with open_context(pipeline) as context:
        database = context.ledger.database
        sql = {
            one: grant_statements(
                database_grants(one, database, context.labs), database.backend, user or f"fmdj_{one.value}"
            )
            for one in programs
        }
    roots = [lab.settings for lab in context.labs]
    policies = {one: bucket_policy(one, roots, attempt_folder=attempt_folder) for one in programs}
    if output is Output.JSON:
        emit_json({one.value: {"sql": list(sql[one]), "policy": policies[one]} for one in programs})
        return
    for one in programs:
        typer.echo(f"-- {one.value}: database" + ("" if sql[one] else " (none)"))
        for statement in sql[one]:
            typer.echo(statement)
        typer.echo(f"-- {one.value}: bucket policy\n{policy_json(policies[one])}\n")


def migrate() -> None:
    """Create our tables, or bring those of an older version to this one. Stop controllers and loaders before."""
    settings = settings_with_logs()
    database = Database(settings.database)
    try:
        done = migrate_schema(database)
        ledger = Ledger(database)
        for pipeline in settings.pipelines:
            lab = open_lab(database, ledger, pipeline)
            if reformat_signals(database, lab.element, lab.name):
                names = "Pupil, Blink and Running"
                console.print(
                    f"{names} of {lab.name} are as DataJoint {lab.element.format} reads them now, as its schema is."
                )
    finally:
        database.close()
    if done.before is None:
        console.print(f"The ledger {done.schema_name} was created, version {done.after}.")
    elif done.before == done.after:
        console.print(f"The ledger {done.schema_name} has version {done.after}: nothing to do.")
    else:
        console.print(f"The ledger {done.schema_name} went from version {done.before} to {done.after}.")


def recover(
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Write it; by default it is only shown.")] = False,
    pipeline: PipelineOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Rebuild a lost or old ledger from tasks, manifests and Jobs. Stop controllers and loaders before.

    What people asked for (held, cancelled, priorities) is lost with a ledger; results and outputs aren't.
    """
    with open_context(pipeline) as context, open_launcher(context.settings) as launcher:
        lines = [
            line
            for lab in context.labs
            for line in recover_ledger(lab, context.ledger, context.store, launcher, context.settings, write=yes)
        ]
    if output is Output.JSON:
        emit_json(lines)
        return
    if not lines:
        console.print("The ledger knows of everything that is in the object store and of every Job.")
        return
    table = make_table(None, "task", "run", "becomes", "attempt", "why")
    for line in lines:
        words = (escape(line.task_text), line.run_id, state_text(line.state), str(line.attempt), escape(line.sentence))
        table.add_row(*words)
    console.print(table)
    console.print("" if yes else "Nothing was written: add --yes to do so.")
