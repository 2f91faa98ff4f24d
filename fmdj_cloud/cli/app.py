"""The ``fmdj`` command.

Exit codes: 0 done; 1 done, but something didn't end as it should; 2 the command line is wrong; 4 the database
can't be used; 10-19 input, 20-29 configuration, 30-39 object store, 60 out of time (as the worker's); 130
interrupted, 143 stopped.
"""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from fmdj_cloud import __version__
from fmdj_cloud.cli import (
    admin,
    audit,
    bug_report,
    cite,
    compare,
    demo,
    doctor,
    export,
    gc,
    imports,
    look,
    orders,
    programs,
    report,
    selftest,
    serve,
    uninstall,
    version,
)
from fmdj_cloud.errors import FmdjError, StoppedError
from fmdj_cloud.kubectl.lifeline import hold_if_asked
from fmdj_cloud.printable import printable

app = typer.Typer(
    name="fmdj",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 1 something didn't end as it should, 2 usage, 4 database, 10-19 input, "
    "20-29 configuration, 30-39 object store, 60 out of time, 130 interrupted, 143 stopped.",
)


@dataclass
class _Flags:
    debug: bool = False


_flags = _Flags()


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"fmdj {__version__}")
        raise typer.Exit


@app.callback()
def root(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    config: Annotated[
        Path | None,
        typer.Option("--config", metavar="FILE", help="YAML file with the settings (FMDJ_CONFIG).", show_default=False),
    ] = None,
    show_version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Facemap results in a DataJoint database, computed wherever there is room."""
    if config is not None:
        os.environ["FMDJ_CONFIG"] = str(config)
    _flags.debug = debug


app.command()(demo.demo)
app.command()(programs.controller)
app.command()(programs.loader)
app.command()(programs.worker)
app.command()(look.plan)
app.command()(look.status)
app.command()(look.explain)
app.command()(look.logs)
app.command()(orders.retry)
app.command()(orders.cancel)
app.command()(orders.hold)
app.command()(orders.release)
app.command()(orders.priority)
app.command("import")(imports.import_outputs)
app.add_typer(export.export, name="export")
app.command()(report.report)
app.command()(audit.audit)
app.command()(cite.cite)
app.command()(compare.compare)
app.command()(doctor.doctor)
app.command("bug-report")(bug_report.bug_report)
app.command()(admin.grants)
app.command()(admin.migrate)
app.command()(admin.recover)
app.command()(gc.gc)
app.command()(selftest.selftest)
app.command()(serve.serve)
app.command()(uninstall.uninstall)
app.command()(version.version)


def main() -> int:
    """Run ``fmdj``; an error is one sentence on standard error, unless ``--debug`` asks for its traceback."""
    hold_if_asked()
    _stop_when_asked()
    try:
        app()
    except FmdjError as error:
        if _flags.debug:
            raise
        _complain(error.sentence)
        return error.exit_code
    except Exception as error:
        if _flags.debug:
            raise
        what = " ".join(str(error).split()) or "no message"
        _complain(f"{type(error).__name__}: {what} (`fmdj --debug` shows where).")
        return 1
    return 0


def _stop_when_asked() -> None:
    """Make SIGTERM end the first process of a container, too, which it otherwise doesn't reach."""
    if os.getpid() == 1:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(StoppedError.exit_code))


def _complain(sentence: str) -> None:
    shown = printable(sentence, keep="\n\t")
    Console(stderr=True, soft_wrap=True).print(f"fmdj: {shown}", markup=False, highlight=False)


if __name__ == "__main__":
    sys.exit(main())
