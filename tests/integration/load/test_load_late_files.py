"""A store that shows a manifest before the files that it names."""

from __future__ import annotations

import pytest

from fmdj_cloud.contracts import FailureClass, RunState
from fmdj_cloud.load.loop import Loader
from fmdj_cloud.load.results import LoadEnd

pytestmark = pytest.mark.integration
WAIT_S = 300.0
LATE = ("n1/signals.h5", "spec.json")


class Patient:
    """A loader that waits for files, and its clock."""

    def __init__(self, world) -> None:
        self.now = 0.0
        load = world.settings.load.model_copy(update={"missing_wait_s": WAIT_S})
        settings = world.settings.model_copy(update={"load": load})
        self.loader = Loader(settings, world.database, world.store, clock=lambda: self.now)

    def after(self, seconds: float) -> list[LoadEnd]:
        self.now += seconds
        return [result.end for result in self.loader.run_pass()]


@pytest.mark.parametrize("name", LATE)
def test_a_file_that_comes_later_than_its_manifest_is_waited_for(world, name: str) -> None:
    key = world.insert_task()
    run = world.publish(key)
    uri = f"{run.output_dir}/a1/{name}"
    data = world.store.get_bytes(uri, max_bytes=1 << 24)
    world.store.delete(uri)
    patient = Patient(world)

    assert patient.after(0) == [LoadEnd.LATER]
    assert patient.after(WAIT_S / 2) == [LoadEnd.LATER]
    assert world.run(run).state is RunState.PUBLISHED
    assert set(world.rows(key).values()) == {0}
    world.store.put_bytes(uri, data)

    assert patient.after(WAIT_S) == [LoadEnd.LOADED]


def test_manifests_that_are_shown_nowhere_yet_are_waited_for(world) -> None:
    run = world.publish(world.insert_task())
    names = [f"{run.output_dir}/a1/{name}" for name in ("manifest.json", "n1/manifest.json")]
    data = [world.store.get_bytes(uri, max_bytes=1 << 24) for uri in names]
    for uri in names:
        world.store.delete(uri)
    patient = Patient(world)

    assert patient.after(0) == [LoadEnd.LATER]
    for uri, manifest in zip(names, data, strict=True):
        world.store.put_bytes(uri, manifest)

    assert patient.after(WAIT_S) == [LoadEnd.LOADED]


def test_what_never_comes_is_missed_for_good_after_its_time(world) -> None:
    run = world.publish(world.insert_task())
    world.store.delete(f"{run.output_dir}/a1/n1/signals.h5")
    patient = Patient(world)

    assert patient.after(0) == [LoadEnd.LATER]
    assert patient.after(WAIT_S) == [LoadEnd.FAILED]

    failed = world.run(run)
    assert (failed.state, failed.failure_class) == (RunState.FAILED, FailureClass.LOAD)
    assert "is gone since it was published" in failed.sentence
