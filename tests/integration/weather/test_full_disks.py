"""Disks that are full, under the worker and under the loader."""

from __future__ import annotations

import pytest

from fmdj_cloud.contracts import RunState
from tests.support.kills import oracle
from tests.support.kills.world import eventually
from tests.support.weather.full_disk import fill, small_disk
from tests.support.weather.lab import StormyLab
from tests.support.weather.no_room import VARIABLE

pytestmark = pytest.mark.integration
SIZE_KIB = 24 << 10
"""Enough for all that one run needs."""


@pytest.mark.parametrize("database_server", ["postgres"], indirect=True)
def test_a_worker_whose_scratch_is_full_is_tried_again_with_more(lab: StormyLab) -> None:
    with small_disk(lab.folder / "small", SIZE_KIB) as disk:
        lab.environment[VARIABLE] = str(disk)
        lab.sections["worker"] = {"scratch_dir": str(disk)}
        taken = fill(disk)
        lab.start("controller", retry={"disk": 100})
        lab.start("loader")
        key = lab.insert_task()
        eventually(lambda: "disk" in lab.outcomes(key), "the failure")
        first = lab.ledger.attempt(lab.run_of(key).run_id, 1)
        assert "scratch disk" in first.sentence
        taken.unlink()

        lab.until(key, RunState.LOADED)

        last = lab.attempt_of(key)
        assert last.limits.scratch_mib > first.limits.scratch_mib
        oracle.check_clean(lab)
        assert [path.name for path in disk.iterdir() if path.is_dir()] == []
    assert set(lab.outcomes(key)) == {"disk", "published"}


@pytest.mark.parametrize("database_server", ["postgres"], indirect=True)
def test_a_loader_whose_disk_is_full_loads_once_there_is_room(lab: StormyLab) -> None:
    with small_disk(lab.folder / "small", SIZE_KIB) as disk:
        lab.environment[VARIABLE] = str(disk)
        lab.sections["load"] = {"workdir": str(disk)}
        lab.start("controller")
        loader = lab.start("loader")
        key = lab.insert_task()
        taken = fill(disk)
        lab.until(key, RunState.PUBLISHED)
        eventually(lambda: loader.said("give it more scratch disk"), "the complaint")
        assert lab.run_of(key).state is RunState.PUBLISHED
        taken.unlink()

        lab.until(key, RunState.LOADED)

        oracle.check_loaded(lab, key)
        oracle.check_clean(lab)
        assert lab.run_of(key).attempt == 1
