"""``status --watch``, ``version``, completion, and output that isn't for a terminal."""

from __future__ import annotations

import datetime as dt
import io
import json
import os
import subprocess
import sys

import pytest
from rich.console import Console

from fmdj_cloud.cli.watch import changes, watch_status
from fmdj_cloud.contracts import ACCEPTABLE_CHECKS, Kind, RunState
from fmdj_cloud.control.status import PipelineLine, RunLine, StatusReport
from fmdj_cloud.load.check import ACCEPTABLE


def report(state: RunState, pending: int = 0) -> StatusReport:
    line = RunLine(
        run_id="svd-0123456789abcdef",
        pipeline="lab",
        kind=Kind.SVD,
        task_kind=Kind.SVD,
        task={"subject": "m1"},
        state=state,
        attempt=1,
        failure_class=None,
        sentence="",
        updated=dt.datetime(2026, 1, 1),
    )
    pipeline = PipelineLine(name="lab", pending=pending, by_kind={"svd": pending}, brake=False, seen=True)
    return StatusReport(leader="host-1", pipelines=(pipeline,), counts={}, runs=(line,), bindings=())


class Screen(io.StringIO):
    """A terminal, as far as can be asked."""

    def isatty(self) -> bool:
        return True


def watch(console: Console, *reports: StatusReport) -> None:
    """Watch these reports, then press Ctrl-C."""
    left = iter(reports)

    def gather() -> StatusReport:
        found = next(left, None)
        if found is None:
            raise KeyboardInterrupt
        return found

    with pytest.raises(KeyboardInterrupt):
        watch_status(gather, console, 0.0)


def test_without_a_terminal_only_changes_are_written() -> None:
    out = io.StringIO()
    launched, loaded = report(RunState.LAUNCHED), report(RunState.LOADED, pending=1)
    watch(Console(file=out, width=200), launched, launched, loaded)
    assert out.getvalue().splitlines() == [
        "controller: host-1",
        "pipeline lab: 0 pending",
        "svd-0123456789abcdef [subject=m1] launched (attempt 1)",
        "pipeline lab: 1 pending",
        "svd-0123456789abcdef [subject=m1] loaded (attempt 1)",
    ]


def test_a_log_that_is_to_have_colours_gets_lines_too() -> None:
    out = io.StringIO()
    watch(Console(file=out, force_terminal=True, width=120), report(RunState.LAUNCHED), report(RunState.LAUNCHED))
    assert out.getvalue().count("svd-0123456789abcdef") == 1


def test_a_live_picture_says_that_nothing_will_move_without_a_controller() -> None:
    out = Screen()
    alone = report(RunState.READY).model_copy(update={"leader": None})
    watch(Console(file=out, force_terminal=True, width=120, no_color=True), report(RunState.READY))
    assert "No controller is running" not in out.getvalue()
    watch(Console(file=out, force_terminal=True, width=120, no_color=True), alone)
    assert "No controller is running: start" in out.getvalue()


def test_what_is_gone_is_said() -> None:
    assert list(changes({"a": "a is there", "b": "b"}, {"b": "b"})) == ["a: no longer listed"]


@pytest.mark.parametrize(("no_color", "coloured"), [(True, False), (False, True)])
def test_a_terminal_gets_a_live_picture_without_colour_if_asked(no_color: bool, coloured: bool) -> None:
    out = Screen()
    environ = {"TERM": "xterm-256color", **({"NO_COLOR": "1"} if no_color else {})}
    console = Console(file=out, force_terminal=True, width=120, _environ=environ)
    watch(console, report(RunState.LAUNCHED), report(RunState.LOADED))
    assert "launched" in out.getvalue()
    assert "loaded" in out.getvalue()
    assert ("\x1b[32m" in out.getvalue()) is coloured


def test_version_imports_nothing_heavy() -> None:
    code = """
import sys
from fmdj_cloud.cli.app import main

sys.argv[1:] = ["version", "-o", "json"]
try:
    main()
except SystemExit as end:
    assert not end.code
sys.exit(any(name in sys.modules for name in ("torch", "facemap", "cv2")))
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    assert set(json.loads(result.stdout)) == {"fmdj", "python", "facemap", "datajoint", "numpy", "torch"}


def test_the_shell_completes_commands() -> None:
    words = {"_FMDJ_COMPLETE": "complete_bash", "COMP_WORDS": "fmdj re", "COMP_CWORD": "1"}
    name = "from fmdj_cloud.cli.app import main; import sys; sys.argv[0] = 'fmdj'; main()"
    result = subprocess.run(
        [sys.executable, "-c", name], capture_output=True, text=True, env={**os.environ, **words}, timeout=60
    )
    assert {"retry", "release", "recover"} <= set(result.stdout.split())


def test_every_check_of_the_loader_that_can_be_accepted_is_known() -> None:
    assert set(ACCEPTABLE_CHECKS) >= ACCEPTABLE
