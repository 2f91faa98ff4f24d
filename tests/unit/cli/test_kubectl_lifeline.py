"""A command in a pod ends with whoever started it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

SOURCE = """
import os, signal, sys, threading
from fmdj_cloud.kubectl.lifeline import hold_if_asked
hold_if_asked(grace_s=0.2)
assert "KUBECTL_FMDJ" not in os.environ
deaf, seconds = sys.argv[1:]
if deaf == "deaf":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
try:
    sys.stdout.write("up\\n"); sys.stdout.flush()
    threading.Event().wait(float(seconds))
except KeyboardInterrupt:
    sys.exit(7)
"""


def start(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", SOURCE, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    return process


@pytest.mark.parametrize(("manners", "code"), [("polite", 7), ("deaf", 130)])
def test_the_end_of_its_input_ends_a_command(manners: str, code: int) -> None:
    with start(manners, "60", KUBECTL_FMDJ="lifeline") as process:
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(20) == code


def test_without_the_plugin_its_input_means_nothing() -> None:
    with start("polite", "0.3") as process:
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(20) == 0
