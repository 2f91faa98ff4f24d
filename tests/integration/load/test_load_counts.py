"""What the loader does is counted, and its loop shows itself."""

from __future__ import annotations

import threading

import pytest

from fmdj_cloud.load.results import LoadEnd
from fmdj_cloud.telemetry import REGISTRY

pytestmark = pytest.mark.integration
PIPELINE = "lab"


def counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels | {"pipeline": PIPELINE}) or 0.0


def test_a_load_counts_its_rows_bytes_and_seconds(world) -> None:
    world.publish(world.insert_task())
    file = world.folder / "n1.h5"
    names = {
        "region": ("fmdj_loader_rows_total", {"table": "Region"}),
        "motion": ("fmdj_loader_rows_total", {"table": "MotionSVD"}),
        "bytes": ("fmdj_loader_bytes_total", {}),
        "transactions": ("fmdj_transaction_seconds_count", {}),
        "seconds": ("fmdj_transaction_seconds_sum", {}),
        "loads": ("fmdj_loads_total", {"end": "loaded"}),
    }
    before = {what: counted(name, **labels) for what, (name, labels) in names.items()}

    (result,) = world.loader().run_pass()

    more = {what: counted(name, **labels) - before[what] for what, (name, labels) in names.items()}
    assert result.end is LoadEnd.LOADED
    assert more["region"] == result.rows["Region"] == 5
    assert more["motion"] == result.rows["MotionSVD"] == 14
    assert more["bytes"] == file.stat().st_size
    assert (more["transactions"], more["loads"]) == (1, 1)
    assert 0 < more["seconds"] < result.seconds


def test_rows_that_are_rolled_back_dont_count(world) -> None:
    key = world.insert_task()
    world.publish(key)
    world.lab.element.FacemapTask.update1(key | {"facemap_params": {"sbin": 8}})
    before = counted("fmdj_loader_rows_total", table="Region"), counted("fmdj_loads_total", end="superseded")

    (result,) = world.loader().run_pass()

    assert result.end is LoadEnd.SUPERSEDED
    after = counted("fmdj_loader_rows_total", table="Region"), counted("fmdj_loads_total", end="superseded")
    assert after == (before[0], before[1] + 1)


def test_the_loop_shows_itself(world) -> None:
    world.publish(world.insert_task())
    world.publish(world.insert_task())
    beats: list[str] = []
    stop = threading.Event()

    def beat(name: str) -> None:
        beats.append(name)
        if len(beats) == 4:
            stop.set()

    world.loader(beat=beat).run_forever(stop)

    assert beats == ["pass", "database", "pass", "pass"], "once round, and once for each run"
