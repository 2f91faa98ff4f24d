"""Kills at the points where most can go wrong: between two steps that belong together."""

from __future__ import annotations

import json

import pytest

from fmdj_cloud.contracts import RunState
from tests.support.kills import oracle
from tests.support.kills.tripwire import Shot
from tests.support.kills.world import World, eventually

pytestmark = pytest.mark.integration

CONTROLLER = (
    "PUT /{bucket}/processed",  # the spec, after the run is launched
    "statement COMMIT",  # of whatever comes first
    "os.rename {jobs}/.new-",  # a Job's folder, before it appears
    "subprocess.Popen",  # its supervisor, after it has
    "os.rename {jobs}/fmdj-",  # a Job that is forgotten
    "shutil.rmtree {jobs}/.trash-",
)
WORKER = (
    "partNumber=2",  # of a file that goes up in parts
    "a2/manifest.json",  # its copy in the pod's folder is there
    "run.log",
)
LOADER = ("statement COMMIT", "statement INSERT INTO")


def _shots(world: World, points: tuple[str, ...]) -> list[Shot]:
    places = {"bucket": world.bucket.removeprefix("s3://"), "jobs": world.folder / "jobs"}
    return [Shot("SIGKILL", match=point.format(**places)) for point in points]


def test_a_controller_killed_between_two_steps_leaves_nothing_that_the_next_one_cannot_finish(kills: World) -> None:
    loader = kills.start("loader")
    key = kills.insert_task()
    for shot in _shots(kills, CONTROLLER):
        program = kills.start("controller", shot)
        eventually(lambda program=program: program.process.poll() is not None, f"{shot}")
        program.check_end()
    kills.start("controller")

    kills.until(key, RunState.LOADED)
    oracle.check_loaded(kills, key)
    oracle.check_clean(kills)
    assert loader.process.returncode == 0
    assert kills.run_of(key).attempt == 1


def test_a_worker_killed_between_two_steps_leaves_nothing_of_its_attempt(kills: World) -> None:
    kills.environment["FMDJKILL_SHOTS"] = json.dumps([str(shot) for shot in _shots(kills, WORKER)])
    kills.start("loader")
    kills.start("controller")
    key = kills.insert_task()

    kills.until(key, RunState.LOADED)
    oracle.check_loaded(kills, key)
    oracle.check_clean(kills)
    assert [trip.role for trip in kills.trips()] == ["worker"] * 3
    assert kills.run_of(key).attempt == 4


def test_a_loader_killed_in_its_transaction_leaves_nothing(kills: World) -> None:
    kills.start("controller")
    key = kills.insert_task()
    for shot in _shots(kills, LOADER):
        program = kills.start("loader", shot)
        eventually(lambda program=program: program.process.poll() is not None, f"{shot}")
        program.check_end()
        assert kills.run_of(key).state is RunState.PUBLISHED
        assert not len(kills.lab.element.FacialSignal & key)
    kills.start("loader")

    kills.until(key, RunState.LOADED)
    oracle.check_loaded(kills, key)
    oracle.check_clean(kills)
