"""Lives of one task after the other, in each of which the controller dies one step later."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from tests.support.kube_controller.doom import DoomedProgram, Killed
from tests.support.kube_controller.program import Program
from tests.support.kube_controller.world import PIPELINE, KubeWorld

Key = dict[str, Any]
Life = Callable[[Program, Key], object]
LEASE_S = 35.0
"""Longer than a Lease lasts."""


def succeeded(world: KubeWorld, program: Program) -> None:
    """Be another process than the one that led, and wait until its Lease has run out."""
    program.turn()
    world.cluster.advance(LEASE_S)


def deaths(world: KubeWorld, live: Life) -> Iterator[tuple[str, Key]]:
    """Yield every step with a task whose controller died after it; `live` goes on from wherever that was."""
    program = world.start(make=DoomedProgram)
    program.turn()
    at = 0
    while True:
        at += 1
        key = world.insert_task()
        program.doom.die(at)
        try:
            live(program, key)
        except Killed:
            died_after = program.doom.steps[-1]
            program.close()
            world.programs.remove(program)
            program = world.start(make=DoomedProgram)
            succeeded(world, program)
            live(program, key)
            yield f"{at}: {died_after}", key
        else:
            return


def made(world: KubeWorld, run_id: str) -> Counter[str]:
    """Return how many Jobs were ever made for the attempts of a run."""
    return Counter(
        name.rpartition("-a")[2]
        for request in world.cluster.requests.find("create jobs")
        if request.code == 201 and run_id in (name := request.name or _name_in(request.body))
    )


def _name_in(body: bytes) -> str:
    return str(json.loads(body)["metadata"]["name"])


def told(world: KubeWorld, key: Key) -> Any:
    """Return all that the ledger says of a task."""
    run = world.run_of(key)
    return run, world.ledger.attempts(run.run_id), world.ledger.binding(PIPELINE, run.kind, key)
