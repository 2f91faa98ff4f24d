"""What the shell offers after ``kubectl fmdj``."""

from __future__ import annotations

import pytest
import typer

from fmdj_cloud.cli.app import app
from fmdj_cloud.kubectl.completion import COMMANDS, complete

_NOT_FOR_PEOPLE = {
    "demo",
    "controller",
    "loader",
    "worker",
    "selftest",
    "serve",
    "report",
    "uninstall",
    "export",
    "compare",
}
"""What runs elsewhere, or what deployments and hooks of the chart call."""


def test_the_commands_are_those_of_fmdj() -> None:
    group = typer.main.get_command(app)
    found = {
        name: {option for parameter in command.params for option in parameter.opts if option.startswith("--")}
        for name, command in group.commands.items()  # type: ignore[attr-defined]
        if name not in _NOT_FOR_PEOPLE
    }
    assert {name: set(options) for name, options in COMMANDS.items()} == found


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        (["re"], ["retry", "release", "recover"]),
        (["--release", "a", "exp"], ["explain"]),
        (["-n", "status", "pl"], ["plan"]),
        (["--rel"], ["--release"]),
        (["--names"], ["--namespace"]),
        (["status", "--wa"], ["--watch"]),
        (["status", "--rel"], ["--release"]),
        (["status", "--output", ""], ["table", "json"]),
        (["explain", "sub"], []),
        (["nonsense", "--he"], ["--help"]),
    ],
)
def test_words_are_completed(typed: list[str], offered: list[str]) -> None:
    assert complete(typed) == offered


def test_nothing_typed_offers_every_command() -> None:
    assert complete([""]) == list(COMMANDS)
