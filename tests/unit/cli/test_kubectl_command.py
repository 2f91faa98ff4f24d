"""What ``kubectl fmdj`` becomes, and what it needs for that."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from fmdj_cloud.kubectl.options import parse
from fmdj_cloud.kubectl.plugin import exec_command, is_endless
from fmdj_cloud.kubectl.pods import Target

HEAVY = ("boto3", "botocore", "datajoint", "kubernetes", "numpy", "pydantic", "rich", "typer", "yaml")


TERMINAL = os.terminal_size((90, 30))


def command(text: str, terminal: os.terminal_size | None = None, *, namespace: str = "lab", **environment: str) -> str:
    words = exec_command("kubectl", parse(text.split()), Target("pod-1", namespace), environment, terminal)
    return " ".join(words)


def test_a_command_is_run_in_the_controller() -> None:
    expected = "kubectl --namespace=lab exec pod-1 --container controller -- fmdj status -o json"
    assert command("status -o json") == expected


def test_a_terminal_is_passed_on() -> None:
    assert " exec --stdin --tty pod-1 " in command("status", TERMINAL)


def test_options_of_kubectl_are_passed_on() -> None:
    expected = "kubectl --context=c --as=ann --namespace=x exec pod-1 --container controller -- fmdj plan"
    assert command("--context c --as ann -n x plan", namespace="x") == expected


def test_wishes_for_the_output_are_passed_on() -> None:
    text = command("status", NO_COLOR="1", COLUMNS="120", HOME="/home/ann", FMDJ_CONFIG="x", TERM="dumb")
    assert text.endswith(" -- env NO_COLOR=1 COLUMNS=120 fmdj status")


def test_the_kind_of_terminal_is_passed_on() -> None:
    text = command("status", TERMINAL, TERM="xterm-256color", COLORTERM="truecolor")
    assert text.endswith(" -- env TERM=xterm-256color COLORTERM=truecolor fmdj status")


def test_who_asks_is_passed_on_with_orders() -> None:
    assert command("retry a=1", USER="ann").endswith(" -- env LOGNAME=ann fmdj retry a=1")
    assert command("status", USER="ann").endswith(" -- fmdj status")


def test_what_goes_on_until_interrupted_gets_a_lifeline() -> None:
    text = command("status --watch")
    assert " exec --stdin pod-1 " in text
    assert text.endswith(" -- env KUBECTL_FMDJ=lifeline fmdj status --watch")


def test_what_goes_on_until_interrupted_draws_on_our_terminal_without_one_of_its_own() -> None:
    text = command("status --watch", TERMINAL, TERM="xterm")
    assert " exec --stdin pod-1 " in text
    assert " env FORCE_COLOR=1 COLUMNS=90 LINES=30 TERM=xterm KUBECTL_FMDJ=lifeline fmdj " in text


def test_what_people_set_goes_before_the_size_of_the_terminal() -> None:
    assert " COLUMNS=50 LINES=30 " in command("status --watch", TERMINAL, COLUMNS="50")


@pytest.mark.parametrize(
    ("text", "endless"),
    [("status -w", True), ("status --watch", True), ("status -wn 5", True), ("status", False), ("logs -- -w", False)],
)
def test_what_goes_on_until_interrupted_is_known(text: str, endless: bool) -> None:
    assert is_endless(text.split()) is endless


def test_the_plugin_imports_nothing_that_takes_time() -> None:
    source = (
        "import sys, fmdj_cloud.kubectl.plugin, fmdj_cloud.kubectl.completion;"
        f"sys.exit(' '.join(set({HEAVY}) & set(sys.modules)) or None)"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    result = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, env=environment)
    assert (result.returncode, result.stderr) == (0, "")
