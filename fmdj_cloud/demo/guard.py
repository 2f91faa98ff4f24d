"""Run a command for as long as the process that asked for it lives (``python guard.py ... -- COMMAND``).

The guard reads its standard input, whose other end the caller holds: end of file means that the caller
closed it or is gone, by whatever signal. The guard then stops the command, removes the folders it was
told to and exits. It lives in a session of its own, so that Ctrl-C in a terminal reaches the caller
alone, which may still need the server to finish. Only the standard library: it must start at once.
"""

from __future__ import annotations

import argparse
import os
import pwd
import shutil
import signal
import subprocess
import sys
import threading

_PATIENCE_S = 5.0
"""From one signal to the next, harder one."""
_SIGNALS = ("SIGINT", "SIGQUIT", "SIGKILL")
"""SIGINT is what PostgreSQL understands as "stop now, cleanly" and Python as Ctrl-C."""


def main(argv: list[str] | None = None) -> int:
    """Run the command until it ends or standard input does; return its exit code (0 if we stopped it)."""
    parser = argparse.ArgumentParser(description="Run a command for as long as standard input stays open.")
    parser.add_argument("--user", help="run the command as this user, with its group alone")
    parser.add_argument("--remove", action="append", default=[], help="folder to remove at the end")
    parser.add_argument("--signal", action="append", help="signal that ends the command, the gentlest first")
    parser.add_argument("command", nargs="+")
    arguments = parser.parse_args(argv)
    caller, ours = os.dup(0), os.open(os.devnull, os.O_RDONLY)
    os.dup2(ours, 0)  # the command must not read the caller's line

    owner = pwd.getpwnam(arguments.user) if arguments.user else None

    stopping = threading.Event()
    process = subprocess.Popen(
        arguments.command,
        user=owner.pw_uid if owner else None,
        group=owner.pw_gid if owner else None,
        extra_groups=[] if owner else None,
        cwd="/",
    )

    def stop_when_caller_is_gone() -> None:
        while os.read(caller, 4096):
            pass
        stopping.set()
        for name in arguments.signal or _SIGNALS:
            process.send_signal(signal.Signals[name])
            try:
                process.wait(_PATIENCE_S)
            except subprocess.TimeoutExpired:
                continue
            return

    threading.Thread(target=stop_when_caller_is_gone, daemon=True).start()
    code = process.wait()
    for folder in arguments.remove:
        shutil.rmtree(folder, ignore_errors=True)
    return 0 if stopping.is_set() else code


if __name__ == "__main__":
    sys.exit(main())
