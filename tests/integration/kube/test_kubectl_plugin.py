"""``kubectl fmdj`` as a process: started by the real kubectl; what it would run in a pod runs here."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.support.kube import stand_in
from tests.support.kube.tools import KUBECTL, tool

pytestmark = pytest.mark.integration

FMDJ = f"""#!{sys.executable}
import os, sys, threading
from fmdj_cloud.kubectl.lifeline import hold_if_asked
hold_if_asked()
folder = os.environ["STAND_IN_FOLDER"]
if sys.argv[1] == "exit":
    sys.exit(int(sys.argv[2]))
if sys.argv[1] == "environment":
    sys.stdout.write(" ".join(f"{{k}}={{v}}" for k, v in sorted(os.environ.items()) if k in ("NO_COLOR", "COLUMNS")))
elif "--watch" in sys.argv:
    open(folder + "/up", "w").close()
    try:
        threading.Event().wait(60)
    except KeyboardInterrupt:
        open(folder + "/interrupted", "w").close()
        sys.stdout.write("bye")
elif sys.argv[1] == "lines":
    for _ in range(100000):
        sys.stdout.write("line\\n")
else:
    sys.stdout.write(" ".join(sys.argv[1:]) + "|" + sys.stdin.read())
"""


def controller(name: str, release: str) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": "lab", "labels": {"fmdj.dev/instance": release}},
        "status": {
            "conditions": [{"type": "Ready", "status": "True"}],
            "containerStatuses": [{"name": "controller", "state": {"running": {}}}],
        },
    }


@dataclass
class Laptop:
    """A PATH with a stand-in kubectl, the plugin, and what would be in the pod."""

    folder: Path
    kubectl: Path
    environment: dict[str, str] = field(default_factory=dict)

    def runs(self, *releases: str) -> None:
        """Have a controller of each release in the cluster."""
        pods = [controller(f"{release}-controller", release) for release in releases]
        (self.folder / "pods.json").write_text(json.dumps({"items": pods}))

    def start(self, *words: str, **options: Any) -> subprocess.Popen[str]:
        environment = {"PATH": "", "HOME": str(self.folder), **self.environment}
        command = [str(self.kubectl), "fmdj", *words]
        return subprocess.Popen(command, env=environment, text=True, **options)

    def run(self, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        with self.start(*words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            out, err = process.communicate(stdin, timeout=60)
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    def calls(self) -> list[list[str]]:
        path = self.folder / "calls"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture
def laptop(tmp_path: Path) -> Laptop:
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    (bin_folder / "kubectl").write_text(f'#!/bin/sh\nexec {sys.executable} -I {stand_in.__file__} "$@"\n')
    (bin_folder / "fmdj").write_text(FMDJ)
    (bin_folder / "kubectl-fmdj").symlink_to(Path(sys.executable).with_name("kubectl-fmdj"))
    for path in bin_folder.iterdir():
        if not path.is_symlink():
            path.chmod(0o755)
    found = Laptop(tmp_path, tool(KUBECTL))
    found.environment = {
        "PATH": f"{bin_folder}:/usr/bin:/bin",
        "STAND_IN_PODS": str(tmp_path / "pods.json"),
        "STAND_IN_CALLS": str(tmp_path / "calls"),
        "STAND_IN_FOLDER": str(tmp_path),
        **{name: value for name, value in os.environ.items() if name.startswith("COVERAGE")},
    }
    found.runs("fmdj")
    return found


def eventually(condition: Callable[[], Any], what: str) -> None:
    give_up = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < give_up, f"{what} didn't happen"
        time.sleep(0.02)


def after(words: Sequence[str], name: str) -> list[str]:
    return list(words[words.index(name) :])


def test_a_command_answers_from_the_pod(laptop: Laptop) -> None:
    result = laptop.run("explain", "subject=m1", "recording_id=3")

    assert (result.stdout, result.stderr, result.returncode) == ("explain subject=m1 recording_id=3|", "", 0)
    get, execute = laptop.calls()
    assert get[:2] == ["get", "pods"]
    assert after(execute, "exec")[1:5] == ["fmdj-controller", "--container", "controller", "--"]


def test_options_of_kubectl_are_passed_on_to_every_call(laptop: Laptop) -> None:
    laptop.run("--context", "c", "--as", "ann", "-n", "lab", "plan")
    assert [call[:3] for call in laptop.calls()] == [["--context=c", "--as=ann", "--namespace=lab"]] * 2


@pytest.mark.parametrize("code", [0, 1, 4, 21, 143])
def test_its_exit_code_is_the_command_s(laptop: Laptop, code: int) -> None:
    assert laptop.run("exit", str(code)).returncode == code


def test_the_release_is_chosen(laptop: Laptop) -> None:
    laptop.runs("one", "two")

    assert laptop.run("plan", "--release", "two").stdout == "plan|"
    assert "two-controller" in laptop.calls()[-1]


def test_several_releases_are_named(laptop: Laptop) -> None:
    laptop.runs("one", "two")
    result = laptop.run("plan")

    expected = "fmdj: Several releases are in namespace lab: choose one or two with `--release`.\n"
    assert (result.returncode, result.stderr, result.stdout) == (2, expected, "")


def test_no_controller_is_one_sentence(laptop: Laptop) -> None:
    laptop.runs()
    result = laptop.run("status")

    assert result.returncode == 21
    assert result.stderr.startswith("fmdj: No fmdj controller is in namespace default: ")
    assert result.stderr.count("\n") == 1


def test_no_kubectl_is_one_sentence(laptop: Laptop) -> None:
    (laptop.folder / "bin" / "kubectl").unlink()
    laptop.environment["PATH"] = str(laptop.folder / "bin")
    result = laptop.run("status")

    assert (result.returncode, result.stderr.count("\n")) == (20, 1)
    assert "no kubectl on the PATH" in result.stderr


def test_a_cluster_that_does_not_answer_is_told_by_kubectl_and_by_us(laptop: Laptop) -> None:
    laptop.environment |= {"STAND_IN_KUBECTL": str(laptop.kubectl)}
    result = laptop.run("--server", "http://127.0.0.1:9", "status")

    assert result.returncode == 20
    assert "127.0.0.1:9 was refused" in result.stderr
    assert "kubectl can't list the controller's pods" in result.stderr.splitlines()[-1]


def test_something_else_than_kubectl_is_noticed(laptop: Laptop) -> None:
    (laptop.folder / "pods.json").write_text("hello")
    result = laptop.run("status")

    assert (result.returncode, result.stderr.count("\n")) == (20, 1)
    assert "is it kubectl?" in result.stderr


def test_wishes_for_the_output_reach_the_pod(laptop: Laptop) -> None:
    laptop.environment |= {"NO_COLOR": "1", "COLUMNS": "99"}
    assert laptop.run("environment").stdout == "COLUMNS=99 NO_COLOR=1"


def test_the_next_lines_of_a_script_stay_the_script_s(laptop: Laptop) -> None:
    script = 'while read id; do kubectl-fmdj retry "$id"; done'
    result = subprocess.run(
        ["/bin/sh", "-c", script],
        input="svd-1\nsvd-2\n",
        capture_output=True,
        text=True,
        env=laptop.environment,
        timeout=60,
        check=True,
    )
    assert result.stdout == "retry svd-1|retry svd-2|"


def test_a_terminal_is_passed_on(laptop: Laptop) -> None:
    ours, theirs = pty.openpty()
    with laptop.start("exit", "3", stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        assert process.wait(60) == 3
    os.close(ours)
    assert after(laptop.calls()[-1], "exec")[1:4] == ["--stdin", "--tty", "fmdj-controller"]


def test_a_terminal_behind_a_pipe_is_none(laptop: Laptop) -> None:
    ours, theirs = pty.openpty()
    with laptop.start("plan", stdin=theirs, stdout=subprocess.PIPE) as process:
        out, _ = process.communicate(timeout=60)
    os.close(ours)
    os.close(theirs)
    assert out == "plan|"
    assert "--tty" not in laptop.calls()[-1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupting_a_watch_interrupts_it_in_the_pod(laptop: Laptop, number: signal.Signals) -> None:
    with laptop.start("status", "--watch", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        eventually((laptop.folder / "up").exists, "the start")
        process.send_signal(number)
        out, _ = process.communicate(timeout=20)
    assert out == "bye"


def test_a_watch_in_the_pod_ends_when_the_plugin_is_killed(laptop: Laptop) -> None:
    with laptop.start("status", "--watch", stdin=subprocess.DEVNULL) as process:
        eventually((laptop.folder / "up").exists, "the start")
        process.kill()
    eventually((laptop.folder / "interrupted").exists, "the end in the pod")


def test_a_watch_draws_on_a_terminal_and_ends_with_ctrl_c(laptop: Laptop) -> None:
    ours, theirs = pty.openpty()
    command = ["setsid", "--ctty", "--wait", str(laptop.kubectl), "fmdj", "status", "--watch"]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=laptop.environment) as process:
        os.close(theirs)
        eventually((laptop.folder / "up").exists, "the start")
        os.write(ours, b"\x03")
        process.wait(20)
    drawn = os.read(ours, 4096)
    os.close(ours)
    assert b"bye" in drawn
    execute = after(laptop.calls()[-1], "exec")
    assert "--tty" not in execute
    assert "FORCE_COLOR=1" in execute


def test_a_reader_that_has_enough_ends_it_quietly(laptop: Laptop) -> None:
    script = f"{laptop.kubectl} fmdj lines | head -n 1"
    result = subprocess.run(
        ["/bin/sh", "-c", script], capture_output=True, text=True, env=laptop.environment, timeout=60, check=True
    )
    assert result.stdout == "line\n"


def test_kubectl_completes_its_words(laptop: Laptop) -> None:
    complete = laptop.folder / "bin" / "kubectl_complete-fmdj"
    complete.symlink_to(Path(sys.executable).with_name("kubectl_complete-fmdj"))
    result = subprocess.run(
        [str(laptop.kubectl), "__complete", "fmdj", "ex"],
        capture_output=True,
        text=True,
        env=laptop.environment,
        timeout=60,
        check=True,
    )
    assert result.stdout.splitlines() == ["explain", ":4"]
