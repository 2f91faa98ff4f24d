"""What strangers wrote reaches terminals, tables and logs as text, and does nothing there."""

from __future__ import annotations

import io
import json
import logging
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.table import Table

from fmdj_cloud.cli import app
from fmdj_cloud.cli.common import emit_json
from fmdj_cloud.cli.views import escape, progress_cell
from fmdj_cloud.contracts import Progress
from fmdj_cloud.errors import InputError
from fmdj_cloud.logs import JsonFormatter, TextFormatter, log_context
from fmdj_cloud.printable import printable, printable_json

ATTACKS = [
    "\x1b[2J\x1b[1;31mFAILED",
    "\x9b31mred",
    "\x1b]0;title\x07",
    "a\r\nb",
    "one\nERROR forged",
    "over\b\b\b\bthem",
    "\x7f",
    "\u202egnp.avi",
    "a\u2028b",
    "\x00",
]
ESCAPES = ("\x1b", "\x9b", "\r", "\b", "\x07", "\x7f", "\u202e", "\u2028", "\x00")


def is_harmless(text):
    return not any(mark in text for mark in ESCAPES)


@given(st.text())
def test_nothing_that_acts_is_left_and_nothing_else_is_changed(text):
    shown = printable(text, keep="")
    assert is_harmless(shown)
    assert "\n" not in shown
    if text.isprintable():
        assert shown == text


@given(st.recursive(st.text(), lambda inner: st.dictionaries(st.text(), inner)))
def test_json_says_the_same_and_does_nothing(value):
    document = printable_json(json.dumps(value, ensure_ascii=False, indent=1))
    assert is_harmless(document)
    assert json.loads(document) == value


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()], ids=["text", "json"])
def test_a_log_line_is_one_line_whatever_its_values_are(attack, formatter):
    record = logging.LogRecord("fmdj_cloud", logging.INFO, "", 0, "video %s", (attack,), None)
    with log_context(task=attack):
        line = formatter.format(record)
    assert is_harmless(line)
    assert len(line.splitlines()) == 1


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()], ids=["text", "json"])
def test_a_traceback_is_as_harmless(attack, formatter):
    try:
        raise ValueError(attack)
    except ValueError:
        record = logging.LogRecord("fmdj_cloud", logging.ERROR, "", 0, "it failed", (), sys.exc_info())
    assert is_harmless(formatter.format(record))


@pytest.mark.parametrize("attack", [*ATTACKS, "[red]x[/]", r"\[red]x", r"\\[link=http://x]y[/link]", "[/]", "\\"])
def test_a_table_shows_what_is_there(attack):
    buffer = io.StringIO()
    table = Table(box=None, show_header=False)
    table.add_row(escape(attack))
    Console(file=buffer, force_terminal=True, width=200, color_system="truecolor").print(table)
    assert is_harmless(buffer.getvalue())
    if attack.isprintable():
        assert attack in buffer.getvalue()


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_error_is_printed_as_text(attack, monkeypatch, capsys):
    def fail():
        raise InputError(f"The video {attack} is empty.")

    monkeypatch.setattr(app, "app", fail)
    assert app.main() == InputError.exit_code
    assert is_harmless(capsys.readouterr().err)


def test_a_json_answer_is_printed_as_text(capsys):
    emit_json({"task": "".join(ATTACKS)})
    out = capsys.readouterr().out
    assert is_harmless(out)
    assert json.loads(out) == {"task": "".join(ATTACKS)}


@pytest.mark.parametrize("attack", [*ATTACKS, "[red]x[/]"])
def test_what_a_worker_says_of_its_progress_is_shown_as_text(attack):
    buffer = io.StringIO()
    progress = Progress(
        run_id="x",
        attempt=1,
        stage=attack,
        frames_done=1,
        frames_total=2,
        frames_per_s=1.0,
        eta_s=1.0,
        at_epoch_s=0.0,
    )
    Console(file=buffer, width=200).print(progress_cell(progress))
    assert is_harmless(buffer.getvalue())
