"""The ``kubectl-fmdj`` program: finds the controller's pod and becomes ``kubectl exec ... -- fmdj ...``."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from fmdj_cloud.errors import ConfigError, FmdjError
from fmdj_cloud.kubectl.follow import follow
from fmdj_cloud.kubectl.lifeline import LIFELINE, VARIABLE
from fmdj_cloud.kubectl.options import CommandLine, parse
from fmdj_cloud.kubectl.pods import CONTAINER, SELECTOR, Target, choose

HELP = """\
Run `fmdj` in the controller's pod: what it can do there, from any machine with a kubeconfig.

Usage: kubectl fmdj [--release NAME] [options of kubectl] COMMAND [...]

  kubectl fmdj status --watch                    progress of every run
  kubectl fmdj explain subject=m1 recording_id=3 why a task is not done, and what to do
  kubectl fmdj logs subject=m1 recording_id=3    what its newest attempt wrote
  kubectl fmdj plan                              what pending tasks will cost
  kubectl fmdj retry | cancel | hold | release | priority KEY
  kubectl fmdj COMMAND --help; kubectl fmdj -- --help for all commands

  --release NAME      which installation, where a namespace holds several
  -n, --namespace     where it is; otherwise the namespace of kubectl's context
  --context, --kubeconfig, --as, ...   as for every command of kubectl

Options of kubectl stand before COMMAND, its own options after it. It needs the rights to list pods and to create
pods/exec in the namespace. The exit code is that of `fmdj`; 20 and 21 if there is no kubectl or no controller.
"""
_WISHES = ("NO_COLOR", "FORCE_COLOR", "COLUMNS")
"""How the caller wants its output; passed into the pod."""
_TERMINAL = ("TERM", "COLORTERM")
"""What it can show, if it goes to a terminal."""
_ORDERS = frozenset({"cancel", "hold", "import", "priority", "recover", "release", "retry"})
"""Commands that record who asked."""
_PERSON = ("LOGNAME", "USER")


def main() -> int:
    """Run the plugin; an error is one sentence on standard error."""
    try:
        return run(sys.argv[1:])
    except FmdjError as error:
        sys.stderr.write(f"fmdj: {error.sentence}\n")
        return error.exit_code
    except KeyboardInterrupt:
        return 130


def run(words: Sequence[str]) -> int:
    """Do what a command line says. For a command that ends by itself this process becomes kubectl.

    Signals, terminal and exit code are kubectl's own then.

    Parameters
    ----------
    words : sequence of str
        What follows ``kubectl fmdj``.

    Raises
    ------
    FmdjError
        If there is no kubectl, or no controller to run it in.
    """
    line = parse(words)
    if line.help:
        sys.stdout.write(HELP)
        return 0
    kubectl = find_kubectl()
    pods = list_pods(kubectl, line)
    target = choose(pods, line.release, _place(kubectl, line, pods))
    if target.remark:
        sys.stderr.write(f"fmdj: {target.remark}\n")
    terminal = os.get_terminal_size(1) if os.isatty(0) and os.isatty(1) else None
    command = exec_command(kubectl, line, target, os.environ, terminal)
    if is_endless(line.command):
        return follow(command)
    if terminal is None:
        _close_stdin()
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # which Python ignores: `kubectl fmdj status | head` ends
    os.execv(kubectl, command)  # noqa: S606 - no shell is wanted


def find_kubectl() -> str:
    """Return the path of kubectl.

    Raises
    ------
    ConfigError
        If there is none.
    """
    found = shutil.which("kubectl")
    if found is None:
        raise ConfigError("There is no kubectl on the PATH: install it (https://kubernetes.io/docs/tasks/tools).")
    return found


def list_pods(kubectl: str, line: CommandLine) -> list[dict[str, Any]]:
    """Return the controllers' pods of the namespace.

    Raises
    ------
    ConfigError
        If kubectl can't list them. Why is what it has written itself: it may also ask people to log in.
    """
    command = [kubectl, *line.kubectl, "get", "pods", f"--selector={SELECTOR}", "--output=json"]
    answer = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    if answer.returncode:
        raise ConfigError(
            "kubectl can't list the controller's pods, for the reason above: `kubectl fmdj` needs a cluster that "
            "answers, and the rights to list pods and to create pods/exec in the namespace."
        )
    try:
        pods: list[dict[str, Any]] = json.loads(answer.stdout)["items"]
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{kubectl} answered something else than a list of pods: is it kubectl?") from error
    return pods


def exec_command(
    kubectl: str,
    line: CommandLine,
    target: Target,
    environment: Mapping[str, str],
    terminal: os.terminal_size | None = None,
) -> list[str]:
    """Return the command that reaches into the pod: pure.

    Parameters
    ----------
    kubectl : str
    line : CommandLine
    target : Target
    environment : mapping of str to str
        The caller's.
    terminal : os.terminal_size, optional
        Size of the terminal, if a person sits in front of standard input and output.
    """
    names = (*_WISHES, *_TERMINAL) if terminal else _WISHES
    passed = {name: environment[name] for name in names if name in environment}
    person = next((environment[name] for name in _PERSON if environment.get(name)), None)
    if person is not None and _ORDERS.intersection(line.command[:2]):  # the first may be `--debug`
        passed["LOGNAME"] = person
    options: list[str] = []
    if is_endless(line.command):
        options = ["--stdin"]
        passed[VARIABLE] = LIFELINE
        if terminal:
            passed = _picture(terminal) | passed
    elif terminal:
        options = ["--stdin", "--tty"]
    namespace = [f"--namespace={target.namespace}"] if target.namespace and not line.namespace else []
    return [
        *(kubectl, *line.kubectl, *namespace, "exec", *options, target.pod, "--container", CONTAINER, "--"),
        *(("env", *(f"{name}={value}" for name, value in passed.items())) if passed else ()),
        *("fmdj", *line.command),
    ]


def _picture(terminal: os.terminal_size) -> dict[str, str]:
    """Return what makes a command without a terminal draw on ours: rich goes by these variables."""
    size = {"COLUMNS": terminal.columns, "LINES": terminal.lines}
    return {"FORCE_COLOR": "1"} | {name: str(value) for name, value in size.items() if value}


def is_endless(command: Sequence[str]) -> bool:
    """Whether a command goes on until it is interrupted."""
    words = command[: command.index("--")] if "--" in command else command
    return any(word == "--watch" or re.fullmatch(r"-[a-z]*w[a-z]*", word) for word in words)


def _close_stdin() -> None:
    """Give kubectl an empty standard input: no command reads one, and a script's next lines aren't for it."""
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)


def _place(kubectl: str, line: CommandLine, pods: Sequence[Mapping[str, Any]]) -> str:
    """Return where pods were looked for, for sentences."""
    namespace = line.namespace or next((pod["metadata"].get("namespace") for pod in pods), None)
    if not namespace:
        command = [kubectl, *line.kubectl, "config", "view", "--minify", "--output=jsonpath={..namespace}"]
        answer = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
        namespace = answer.stdout.strip() or "default"
    return f"namespace {namespace}"
