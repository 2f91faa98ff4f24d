"""A signal at an exact point of a real process: at its n-th step that leaves a trace outside of it.

Steps are database statements, requests to the object store, files written, made, renamed or removed, and processes
started. What a test asks for comes in the environment, so that the programs themselves need no seam for it:

- ``FMDJKILL_DIR``: folder whose file ``trips`` gets one JSON line before each signal;
- ``FMDJKILL_SEED``: seed of the workers' mishaps;
- ``FMDJKILL_SHOT``: a shot for this process;
- ``FMDJKILL_SHOTS``: JSON list of shots for a worker's first attempts, in place of what the seed draws.
"""

from __future__ import annotations

import dataclasses
import json
import os
import random
import signal
import sys
import threading
from pathlib import Path

_EVENTS = frozenset(
    {"os.rename", "os.mkdir", "os.rmdir", "os.remove", "shutil.rmtree", "subprocess.Popen", "http.client.send"}
)
CALM = "calm"
"""File in the folder: no more workers are shot."""
SIGNALS = ("SIGKILL", "SIGTERM", "SIGSTOP")


@dataclasses.dataclass(frozen=True)
class Shot:
    """What happens at which step to whom: ``self`` or ``parent`` (a worker's is its supervisor).

    Only steps count whose description holds `match`, such as ``statement COMMIT``.
    """

    signal: str
    step: int = 1
    target: str = "self"
    match: str = ""

    def __str__(self) -> str:
        return f"{self.signal}:{self.step}:{self.target}:{self.match}"

    @classmethod
    def parse(cls, text: str) -> Shot:
        name, step, target, match = text.split(":", 3)
        return cls(name, int(step), target, match)


@dataclasses.dataclass(frozen=True)
class Trip:
    """A signal that was sent, and at what."""

    role: str
    pid: int
    signal: str
    step: int
    at: str

    def __str__(self) -> str:
        return f"{self.signal} to {self.role} {self.pid} at step {self.step}, {self.at}"


def read_trips(folder: Path) -> list[Trip]:
    """Return every signal sent so far, oldest first."""
    log = folder / "trips"
    return [Trip(**json.loads(line)) for line in log.read_text().splitlines()] if log.exists() else []


def arm(role: str, shot: Shot) -> None:
    """Count this process's steps from now on, and fire at the one that the shot names."""
    lock = threading.Lock()
    done = 0
    fired = False

    def step(what: str) -> None:
        nonlocal done, fired
        with lock:
            if fired or shot.match not in what:
                return
            done += 1
            if done < shot.step:
                return
            fired = True
        pid = os.getpid() if shot.target == "self" else os.getppid()
        name = role if shot.target == "self" else f"{role}'s supervisor"
        trip = Trip(name, pid, shot.signal, done, what[:160])
        with (Path(os.environ["FMDJKILL_DIR"]) / "trips").open("a") as log:
            log.write(json.dumps(dataclasses.asdict(trip)) + "\n")
        os.kill(pid, signal.Signals[shot.signal])

    def audit(event: str, arguments: tuple[object, ...]) -> None:
        if event in _EVENTS:
            step(f"{event} {_words(event, arguments)}")
        elif event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax"):
            step(f"open {arguments[0]!r}")

    if role != "worker":
        _count_statements(step)
    sys.addaudithook(audit)


def arm_from_environment(role: str) -> None:
    """Arm a program that the test started with a shot."""
    if text := os.environ.get("FMDJKILL_SHOT"):
        arm(role, Shot.parse(text))


def worker_shot(task: str, attempt: int) -> Shot | None:
    """Return what befalls an attempt: the first two of a task have two chances in three, later ones none."""
    if shots := json.loads(os.environ.get("FMDJKILL_SHOTS", "[]")):
        return Shot.parse(shots[attempt - 1]) if attempt <= len(shots) else None
    seed = os.environ.get("FMDJKILL_SEED")
    if seed is None or (Path(os.environ["FMDJKILL_DIR"]) / CALM).exists():
        return None
    rng = random.Random(f"{seed} {task} {attempt}")
    if attempt > 2 or rng.random() < 1 / 3:
        return None
    return Shot(rng.choice(SIGNALS), rng.randint(1, 45), rng.choice(("self", "self", "parent")))


def _words(event: str, arguments: tuple[object, ...]) -> str:
    if event != "http.client.send":
        return " ".join(map(str, arguments[:2]))
    data = arguments[1]
    line = data.partition(b"\r\n")[0] if isinstance(data, bytes) else b""
    return line.decode() if line.endswith(b"HTTP/1.1") else "a body"


def _count_statements(step) -> None:
    from datajoint.connection import Connection

    plain = Connection.query

    def query(connection, statement, *args, **kwargs):
        step(f"statement {' '.join(statement.split())}")
        return plain(connection, statement, *args, **kwargs)

    Connection.query = query
