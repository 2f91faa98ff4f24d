"""The demo's servers as one program, so that they can outlive the demo (``python -m fmdj_cloud.demo.keeper DIR``).

It starts both servers, writes the settings that reach them to ``DIR/config.yaml``, prints one line and waits:
for the end of its standard input, or for SIGTERM or SIGINT where it was told to stay (``--stay``).
"""

from __future__ import annotations

import argparse
import fcntl
import os
import signal
import sys
from pathlib import Path
from typing import Any

import yaml
from pydantic import SecretStr

from fmdj_cloud.demo.servers import embedded_mariadb, embedded_postgres, embedded_s3
from fmdj_cloud.settings import Section

BUCKET = "fmdj-demo"
CONFIG = "config.yaml"
PID = "keeper.pid"
DATABASES = {"postgresql": embedded_postgres, "mariadb": embedded_mariadb}


def plain(section: Section) -> dict[str, Any]:
    """Return a section as YAML may hold it, secrets in the open: these servers are the demo's own."""
    values = section.model_dump(mode="json", exclude_none=True)
    for name, value in section:
        if isinstance(value, SecretStr):
            values[name] = value.get_secret_value()
        elif isinstance(value, Section):
            values[name] = plain(value)
    return values


def main(argv: list[str] | None = None) -> int:
    """Run the servers until told to stop."""
    parser = argparse.ArgumentParser(description="Run the demo's database and S3 servers.")
    parser.add_argument("workdir", type=Path)
    parser.add_argument("--database", choices=sorted(DATABASES), default="postgresql")
    parser.add_argument("--stay", action="store_true", help="until SIGTERM, not until standard input ends")
    arguments = parser.parse_args(argv)
    workdir: Path = arguments.workdir.resolve()
    with (workdir / PID).open("w", encoding="ascii") as pid_file:
        fcntl.flock(pid_file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # held until this process is gone, whatever ends it
        pid_file.write(str(os.getpid()))
        pid_file.flush()
        with DATABASES[arguments.database](workdir) as database, embedded_s3(workdir, BUCKET) as s3:
            config = workdir / CONFIG
            config.touch(mode=0o600)
            config.write_text(yaml.safe_dump({"database": plain(database), "storage": {"s3": plain(s3)}}), "utf-8")
            # Not before: the servers would inherit the mask
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
            sys.stdout.write("ready\n")
            sys.stdout.flush()
            if arguments.stay:
                signal.sigwait({signal.SIGINT, signal.SIGTERM})
            else:
                sys.stdin.buffer.read()
        (workdir / PID).unlink()
    return 0


def running_keeper(workdir: Path) -> int | None:
    """Return the process id of the keeper that runs in a folder, None if none does."""
    try:
        with (workdir / PID).open("r", encoding="ascii") as pid_file:
            fcntl.flock(pid_file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return None
    except BlockingIOError:
        return int((workdir / PID).read_text("ascii"))
    return None  # a keeper that was killed left the file behind


if __name__ == "__main__":
    sys.exit(main())
