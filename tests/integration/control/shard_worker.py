"""A worker of stages: obeys the test's behaviours, and has done what its stage demands where there is a spec to read.

Standard library only, so that it starts at once: the test's process does the work, asked for over the socket ``desk``.
``SHARD_WORKER`` is a folder with ``behaviours.json``: behaviours by ``<stage>`` or ``project/<shard>``, one for every
try, of which the last goes on: ``done``; ``exit N`` (with a last word); ``kill`` (SIGKILL on itself); ``wait`` (until
there is ``go``, then do it; SIGTERM ends it with 143); ``late`` (do it, then SIGKILL). Every start adds a line to
``starts``: what it is, its attempt, its process id, its nonce; every end of its work one to ``work``.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import signal
import socket
import sys
import time
from pathlib import Path

FOLDER = Path(os.environ["SHARD_WORKER"])


def note(name: str, *words: object) -> int:
    """Add a line to a file and return how many lines before it are about the same."""
    with (FOLDER / name).open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        before = sum(line.split()[0] == words[0] for line in file)
        file.write(" ".join(map(str, words)) + "\n")
    return before


def work(arguments: argparse.Namespace) -> None:
    with socket.socket(socket.AF_UNIX) as desk:
        desk.connect(str(FOLDER / "desk"))
        desk.sendall(json.dumps(vars(arguments)).encode() + b"\n")
        said = desk.makefile().readline().split()
    note("work", arguments.stage, *said)


def main() -> int:
    parser = argparse.ArgumentParser()
    for name in ("--spec", "--sha256", "--nonce", "--termination-log", "--stage"):
        parser.add_argument(name, required=True)
    parser.add_argument("--index", type=int)
    arguments = parser.parse_args()
    what = arguments.stage if arguments.index is None else f"{arguments.stage}/{arguments.index}"
    told = json.loads((FOLDER / "behaviours.json").read_text())
    tries = told.get(what) or told.get(arguments.stage) or ["done"]
    if "wait" in tries:
        signal.signal(signal.SIGTERM, lambda *_: os._exit(143))
    number = note("starts", what, os.getpid(), arguments.nonce)
    print(f"{what} says {number}", flush=True)
    behaviour = tries[min(number, len(tries) - 1)].split()
    while behaviour[0] == "wait" and not (FOLDER / "go").exists():
        time.sleep(0.02)
    if behaviour[0] == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    code = int(behaviour[1]) if behaviour[0] == "exit" else 0
    if code == 0 and arguments.spec.startswith("s3://"):
        work(arguments)
    if behaviour[0] == "late":
        os.kill(os.getpid(), signal.SIGKILL)
    word = {"code": "told", "exit_code": code, "sentence": f"Told to exit {code}." if code else ""}
    Path(arguments.termination_log).write_text(json.dumps(word))
    return code


if __name__ == "__main__":
    sys.exit(main())
