"""KEY, and how ``fmdj`` fails."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
from typer.testing import CliRunner

from fmdj_cloud.cli import app as cli
from fmdj_cloud.cli.common import parse_key
from fmdj_cloud.contracts import Progress
from fmdj_cloud.control.progress import progress_text
from fmdj_cloud.control.words import duration_text
from fmdj_cloud.errors import UsageError


@pytest.mark.parametrize(
    ("words", "restriction"),
    [
        ([], {}),
        (["subject=m1", "recording_id=3"], {"subject": "m1", "recording_id": "3"}),
        (["note=a=b"], {"note": "a=b"}),
        (["subject=m1 recording_id=3"], {"subject": "m1", "recording_id": "3"}),
        (["note=two words"], {"note": "two words"}),
        (['{"subject": "m1", "recording_id": 3}'], {"subject": "m1", "recording_id": 3}),
        (['{"subject":', '"m 1"}'], {"subject": "m 1"}),
        (["svd-0123456789abcdef"], {"run_id": "svd-0123456789abcdef"}),
    ],
)
def test_a_key_is_words_json_or_a_run_id(words: list[str], restriction: dict[str, object]) -> None:
    assert parse_key(words) == restriction


@pytest.mark.parametrize("words", [["m1"], ["=3"], ["a-b=3"], ["{subject: m1}"], ["subject=m1", "3"]])
def test_anything_else_is_refused_with_an_example(words: list[str]) -> None:
    with pytest.raises(UsageError, match="KEY"):
        parse_key(words)


@pytest.mark.parametrize(
    ("progress", "text"),
    [
        ((0, 0, 0.0, None), "fetch"),
        ((50, 200, 100.0, 1.5), "fetch, 25 %, 50/200 frames, 100 frames/s, 2 s to go"),
    ],
)
def test_progress_in_one_line(progress: tuple[int, int, float, float | None], text: str) -> None:
    done, total, rate, eta = progress
    shown = Progress(
        run_id="svd-0123456789abcdef",
        attempt=1,
        stage="fetch",
        frames_done=done,
        frames_total=total,
        frames_per_s=rate,
        eta_s=eta,
        at_epoch_s=0,
    )
    assert progress_text(shown) == text


@pytest.mark.parametrize(("seconds", "text"), [(12, "12 s"), (600, "10 min"), (9000, "2.5 h")])
def test_time_spans_as_people_say_them(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


def test_help_names_every_command_and_exit_code() -> None:
    result = CliRunner().invoke(cli.app, ["--help"])
    assert result.exit_code == 0
    for command in ("demo", "controller", "loader", "worker", "plan", "status", "explain", "release", "logs", "doctor"):
        assert command in result.stdout
    assert "Exit codes" in result.stdout


@pytest.mark.parametrize("command", sorted(c.name or c.callback.__name__ for c in cli.app.registered_commands))
def test_every_command_says_what_it_does(command: str) -> None:
    result = CliRunner().invoke(cli.app, [command, "--help"])
    assert result.exit_code == 0
    assert len(result.stdout.strip().splitlines()) > 4


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["statsu"], 2, "statsu"),
        (["status", "--nope"], 2, "--nope"),
        (["status", "--state", "foo"], 2, "foo"),
        (["demo", "--frames", "3"], 2, "--frames"),
        (["worker"], 2, "--spec"),
        ([], 2, "Usage"),
    ],
)
def test_a_command_line_that_is_wrong_ends_with_2_and_no_traceback(arguments: list[str], code: int, words: str) -> None:
    result = subprocess.run([sys.executable, "-m", "fmdj_cloud", *arguments], capture_output=True, text=True)
    assert result.returncode == code
    assert words in result.stdout + result.stderr
    assert "Traceback" not in result.stderr


def test_an_error_nobody_expected_is_one_sentence_too(monkeypatch, capsys) -> None:
    def fail() -> None:
        raise OSError("the disk\nis gone")

    monkeypatch.setattr(cli, "app", fail)
    assert cli.main() == 1
    assert capsys.readouterr().err == "fmdj: OSError: the disk is gone (`fmdj --debug` shows where).\n"


@pytest.fixture
def sigterm() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures("sigterm")
def test_the_first_process_of_a_container_stops_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getpid", lambda: 1)
    monkeypatch.setattr(cli, "app", lambda: signal.raise_signal(signal.SIGTERM))
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 143
