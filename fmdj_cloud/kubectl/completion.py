"""Shell completion: kubectl runs ``kubectl_complete-fmdj`` with the words so far, the last of them to be completed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence

from fmdj_cloud.kubectl.options import ANYWHERE, RELEASE, SHORT, SWITCHES, VALUES

_PIPELINE = ("--pipeline",)
_OUTPUT = ("--pipeline", "--output")
_KIND = ("--kind",)
_ORDER = ("--all", "--yes", *_KIND, "--pipeline", "--output")
COMMANDS: dict[str, tuple[str, ...]] = {
    "plan": ("--limit", "--fleet", "--fleet-example", *_KIND, *_OUTPUT),
    "status": ("--state", "--limit", "--watch", "--interval", *_OUTPUT),
    "explain": (*_KIND, *_OUTPUT),
    "logs": ("--attempt", *_KIND, *_PIPELINE),
    "retry": ("--recompute", "--accept", *_ORDER),
    "cancel": _ORDER,
    "hold": _ORDER,
    "release": _ORDER,
    "priority": _ORDER,
    "import": ("--yes", *_OUTPUT),
    "audit": ("--repair", "--yes", "--renumber", "--keep", *_KIND, *_OUTPUT),
    "cite": ("--bibtex", "--session", *_KIND, *_OUTPUT),
    "doctor": ("--output",),
    "bug-report": ("--to", "--attempt", *_KIND, *_PIPELINE),
    "grants": ("--user", "--attempt-folder", *_OUTPUT),
    "migrate": (),
    "recover": ("--yes", *_OUTPUT),
    "gc": ("--yes", "--jobs", "--output"),
    "version": ("--output",),
}
"""Commands that make sense in the controller's pod, and their options (a test compares them with `fmdj` itself)."""
_NO_FILES = ":4"
"""Last line of the answer: the shell doesn't offer files."""
_VALUES = {"--output": ("table", "json"), "--kind": ("svd", "pose")}


def main() -> int:
    """Print what the last word may become, one a line."""
    words = sys.argv[1:] or [""]
    answer = ask_kubectl(words)
    sys.stdout.write("\n".join([*complete(words), _NO_FILES]) + "\n" if answer is None else answer)
    return 0


def complete(words: Sequence[str]) -> list[str]:
    """Return what the last word may become: pure.

    Parameters
    ----------
    words : sequence of str
        What follows ``kubectl fmdj``; the last one is empty if nothing of it has been typed.
    """
    *before, last = words
    command = _command(before)
    if before and before[-1] in _VALUES and command:
        choices: Sequence[str] = _VALUES[before[-1]]
    elif command is None:
        choices = (RELEASE, *VALUES, *SWITCHES, "--help") if last.startswith("-") else tuple(COMMANDS)
    elif last.startswith("-"):
        choices = (*COMMANDS.get(command, ()), *ANYWHERE, "--help")
    else:
        choices = ()
    return [choice for choice in choices if choice.startswith(last)]


def ask_kubectl(words: Sequence[str]) -> str | None:
    """Return kubectl's own answer if the last word is the value of an option of its own."""
    *before, last = words
    option = before[-1] if before else ""
    names = [name for name in ANYWHERE if name != RELEASE] if _command(before[:-1]) else [*VALUES, *SHORT]
    kubectl = shutil.which("kubectl")
    if option not in names or kubectl is None:
        return None
    command = [kubectl, "__complete", "get", "pods", option, last]
    answer = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
    return answer.stdout if answer.returncode == 0 else None


def _command(words: Sequence[str]) -> str | None:
    """Return the command among the words, if it is there already."""
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if not word.startswith("-"):
            return word
        if word in (RELEASE, *VALUES, *SHORT) and rest:
            rest.pop(0)
    return None
