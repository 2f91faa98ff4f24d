"""What the words after ``kubectl fmdj`` mean."""

from __future__ import annotations

import contextlib

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from fmdj_cloud.cli.app import app
from fmdj_cloud.errors import UsageError
from fmdj_cloud.kubectl.options import ANYWHERE, CommandLine, parse

CASES: dict[str, tuple[str, CommandLine]] = {
    "a command alone": ("status", CommandLine(("status",))),
    "its options are its own": ("status -n 5 --watch", CommandLine(("status", "-n", "5", "--watch"))),
    "a release before": ("--release a status", CommandLine(("status",), "a")),
    "a release with =": ("--release=a status", CommandLine(("status",), "a")),
    "a release after": ("status --release a -w", CommandLine(("status", "-w"), "a")),
    "a namespace": ("-n lab status", CommandLine(("status",), kubectl=("--namespace=lab",))),
    "a namespace, short": ("-nlab status", CommandLine(("status",), kubectl=("--namespace=lab",))),
    "a namespace, short with =": ("-n=lab status", CommandLine(("status",), kubectl=("--namespace=lab",))),
    "a namespace after": ("status --namespace lab", CommandLine(("status",), kubectl=("--namespace=lab",))),
    "several of kubectl's": (
        "--context c --as=ann --as-group g --insecure-skip-tls-verify plan",
        CommandLine(("plan",), kubectl=("--context=c", "--as=ann", "--as-group=g", "--insecure-skip-tls-verify")),
    ),
    "-- ends ours": ("--release a -- --help", CommandLine(("--help",), "a")),
    "nothing is taken after --": (
        "priority a=1 -- -10 --release b",
        CommandLine(("priority", "a=1", "--", "-10", "--release", "b")),
    ),
    "fmdj's own options": ("--debug status", CommandLine(("--debug", "status"))),
    "its version": ("--version", CommandLine(("--version",))),
    "a command's help": ("status --help", CommandLine(("status", "--help"))),
    "our help": ("--release a --help status", CommandLine(help=True)),
    "nothing": ("", CommandLine(help=True)),
    "no command": ("--release a", CommandLine((), "a", help=True)),
}


@pytest.mark.parametrize(("text", "expected"), CASES.values(), ids=CASES.keys())
def test_words_are_taken_apart(text: str, expected: CommandLine) -> None:
    assert parse(text.split()) == expected


@pytest.mark.parametrize(
    ("text", "named"),
    [("--relase a status", "--relase"), ("-x status", "-x"), ("--release", "--release"), ("status --context", "--con")],
)
def test_what_is_not_understood_is_named(text: str, named: str) -> None:
    with pytest.raises(UsageError, match=named):
        parse(text.split())


def test_the_last_namespace_counts() -> None:
    assert parse(["-n", "a", "status", "--namespace", "b"]).namespace == "b"
    assert parse(["status"]).namespace is None


@given(st.lists(st.text(min_size=1)))
def test_what_follows_dashes_reaches_the_pod_as_it_is(words: list[str]) -> None:
    assert parse(["--", "logs", "--", *words]).command == ("logs", "--", *words)


@given(st.lists(st.text()))
def test_any_words_are_understood_or_refused(words: list[str]) -> None:
    with contextlib.suppress(UsageError):
        parse(words)


def test_no_command_has_an_option_that_we_take_for_ours() -> None:
    group = typer.main.get_command(app)
    taken = {
        option
        for command in (group, *group.commands.values())  # type: ignore[attr-defined]
        for parameter in command.params
        for option in (*parameter.opts, *parameter.secondary_opts)
    }
    assert taken.isdisjoint(ANYWHERE)
