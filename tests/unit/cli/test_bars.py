"""Bars are drawn on a terminal, and leave nothing where there is none."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from fmdj_cloud.cli.bars import amount, steps
from fmdj_cloud.cli.views import progress_cell
from fmdj_cloud.contracts import Progress


class _Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def screen() -> tuple[_Screen, Console]:
    out = _Screen()
    return out, Console(file=out, force_terminal=True, width=100)


def test_steps_and_amounts_are_seen_on_a_terminal() -> None:
    out, console = screen()
    with steps("Drawing", 3, on=console) as step:
        for name in ("m1", "m2 [odd]", "m3"):
            step(name)
    assert "Drawing m3" in out.getvalue()
    assert "2/3" in out.getvalue()
    out, console = screen()
    with amount("Writing", on=console) as told:
        told(500_000, 1_000_000)
    assert "0.5/1.0 MB" in out.getvalue()


def test_nothing_is_written_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    forced = io.StringIO()  # as notebooks have it: rich is told that this is a terminal
    for console in (None, Console(file=forced, force_terminal=True)):
        with steps("Drawing", 1, on=console) as step, amount("Writing", on=console) as told:
            step("m1")
            told(1, 2)
    assert forced.getvalue() == ""
    said = capsys.readouterr()
    assert said.out + said.err == ""


def test_progress_is_a_bar_with_words() -> None:
    out, console = screen()
    progress = Progress(
        run_id="r",
        attempt=1,
        stage="project",
        frames_done=500,
        frames_total=1000,
        frames_per_s=50,
        eta_s=10,
        at_epoch_s=0,
    )
    console.print(progress_cell(progress))
    assert "━━━━━" in out.getvalue()
    assert "50 %, 500/1000 frames, 50 frames/s, 10 s to go" in out.getvalue()
    assert progress_cell(None) == ""


def test_an_export_tells_how_much_of_its_arrays_is_written(tmp_path: Path) -> None:
    import numpy as np

    from fmdj_cloud.export.iterators import trace

    told: list[int] = []
    whole = np.zeros((2_000_000, 2))
    pieces = trace(lambda: whole, whole.shape, "float64")
    pieces.on_bytes = told.append
    assert len(list(pieces)) == len(told) > 1
    assert sum(told) == pieces.nbytes == whole.nbytes
