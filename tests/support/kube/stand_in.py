"""A kubectl for tests, where exec is the wire: what would run in the pod runs here, with nothing of the caller's.

``get`` and the like go to the real kubectl that STAND_IN_KUBECTL names, or are answered from the file STAND_IN_PODS.
Every call is a line of JSON in the file STAND_IN_CALLS. As with the real one, what runs in the pod gets no signal, and
goes on when kubectl dies; its standard input ends then.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path


def main() -> int:
    words = sys.argv[1:]
    with Path(os.environ["STAND_IN_CALLS"]).open("a") as calls:
        calls.write(json.dumps(words) + "\n")
    if "exec" in words:
        return run_in_pod(words)
    real = os.environ.get("STAND_IN_KUBECTL")
    if real:
        os.execv(real, [real, *words])
    if "get" in words:
        sys.stdout.write(Path(os.environ["STAND_IN_PODS"]).read_text())
        return 0
    sys.stderr.write("error: no such thing here\n")
    return 1


def run_in_pod(words: list[str]) -> int:
    command = words[words.index("--") + 1 :]
    interactive = "--stdin" in words
    pod = subprocess.Popen(
        command,
        stdin=subprocess.PIPE if interactive else subprocess.DEVNULL,
        env={"PATH": os.environ["PATH"], "HOME": "/", "STAND_IN_FOLDER": os.environ["STAND_IN_FOLDER"]},
        start_new_session=True,
    )
    if interactive:
        threading.Thread(target=_copy_stdin, args=(pod,), daemon=True).start()
    code = pod.wait()
    if code:
        sys.stderr.write(f"command terminated with exit code {code}\n")
    return code


def _copy_stdin(pod: subprocess.Popen[bytes]) -> None:
    assert pod.stdin is not None
    while data := os.read(0, 4096):
        pod.stdin.write(data)
        pod.stdin.flush()
    pod.stdin.close()


if __name__ == "__main__":
    sys.exit(main())
