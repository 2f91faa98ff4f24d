"""Large recordings in bounded memory and in statements that the server takes; what can't fit is final, by name."""

from __future__ import annotations

import contextlib
import os
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fmdj_cloud.contracts import FailureClass, Kind, Origin, RunState, SvdParams, ViewFrames
from fmdj_cloud.load.results import LoadEnd
from fmdj_cloud.signals_h5 import FULL_FRAME, RegionInfo, SignalsReader, SignalsWriter
from tests.integration.load.conftest import World, make

pytestmark = pytest.mark.integration
MIB = 1 << 20
SIDES = (24, 32)
COMPONENTS = 500
SLACK_MIB = 24
"""What a load of any size takes: imports of the first use, buffers of the store's client."""


def frames_of(count: int) -> dict[str, Any]:
    """What a manifest says of a recording with so many frames."""
    view = ViewFrames(height=32, width=48, fps=30.0, frames=(count,), header_frames=(count,))
    return {"nframes": count, "views": (view,)}


class Large(World):
    """Recordings of the full frame with 500 components."""

    def params(self) -> dict[str, Any]:
        return {"svd": SvdParams(sbin=4)}


def write_large(path: Path, *, run_id: str, nframes: int, seed: int = 0) -> Path:
    """Write noise, a chunk at a time."""
    rng = np.random.default_rng(seed)
    pixels = tuple(np.arange(side * scale) for scale in (4, 1) for side in SIDES)
    with SignalsWriter(path, kind=Kind.SVD, run_id=run_id, nframes=nframes, sbin=4, fps=30.0) as writer:
        writer.summary(rng.random(SIDES), rng.random(SIDES))
        writer.region(RegionInfo(0, FULL_FRAME, "FullSVD", -1, *pixels, Origin.FACEMAP))
        writer.motion(0, rng.random(nframes) + 1)
        group = writer._file.require_group("regions/0/mot")
        group.create_dataset("masks", data=make.unit_masks(rng, *SIDES, COMPONENTS), chunks=(*SIDES, 8))
        chunks = (min(nframes, 65_536), 8)
        projections = group.create_dataset("projections", (nframes, COMPONENTS), np.float32, chunks=chunks)
        for start in range(0, nframes, 65_536):
            stop = min(nframes, start + 65_536)
            projections[start:stop] = rng.standard_normal((stop - start, COMPONENTS), np.float32)
    return path


@pytest.fixture
def large(make_world) -> Iterator[Large]:
    with make_world(Large) as made:
        made.made = types.SimpleNamespace(write=write_large, manifest=make.manifest)
        yield made


def status(name: str) -> int:
    """A number of kB that the kernel keeps of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(f"{name}:")).split()[1])


def load_apart(world: World, warm: Any) -> tuple[str, int]:
    """Load in a process of its own; return how it ended, and by how many MiB it grew at its largest."""
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        try:
            loader = world.loader()
            loader._open_labs()
            warm()
            Path("/proc/self/clear_refs").write_text("5")  # what is resident now is the peak so far
            before = status("VmRSS")
            (result,) = loader.run_pass()
            os.write(writing, f"{result.end} {(status('VmHWM') - before) // 1024} {result.sentence}".encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        end, grown, *_ = pipe.read().split()
    os.waitpid(child, 0)
    return end, int(grown)


def check_memory(world: Large, nframes: int, slice_mib: int) -> None:
    load = world.settings.load.model_copy(update={"slice_mib": slice_mib})
    world.settings = world.settings.model_copy(update={"load": load})
    key = world.insert_task()
    world.publish(key, file={"nframes": nframes}, **frames_of(nframes))

    end, grown = load_apart(world, lambda: None)

    assert end == "loaded"
    assert grown < 12 * slice_mib + 600 * nframes / MIB + SLACK_MIB
    element = world.lab.element
    assert len(element.MotionSVD & key) == COMPONENTS
    with SignalsReader(world.folder / "n1.h5") as signals:
        _, sent = signals.components(0, "mot", COMPONENTS - 1, COMPONENTS)
    found = (element.MotionSVD & key & {element.component: COMPONENTS - 1}).fetch1("projection")
    np.testing.assert_array_equal(found, sent[0])
    assert found.dtype == np.float32


def test_a_recording_loads_in_bounded_memory(large: Large) -> None:
    check_memory(large, 25_000, 1)  # 50 MB


@pytest.mark.long
@pytest.mark.timeout(0)
@pytest.mark.parametrize("nframes", [100_000, 700_000])
def test_a_large_recording_loads_in_bounded_memory(large: Large, nframes: int) -> None:
    check_memory(large, nframes, 2)  # 0.2 and 1.4 GB


def test_only_as_many_components_as_wanted_are_loaded(world: World) -> None:
    load = world.settings.load.model_copy(update={"max_components": 3})
    world.settings = world.settings.model_copy(update={"load": load})
    key = world.insert_task()
    world.publish(key)

    assert [result.end for result in world.loader().run_pass()] == [LoadEnd.LOADED]

    rows = world.rows(key)
    assert (rows["MotionSVD"], rows["MovieSVD"], rows["Region"]) == (6, 6, 5)
    element = world.lab.element
    assert max((element.MotionSVD & key).to_arrays(element.component)) == 2


@contextlib.contextmanager
def packet_limit(world: World, mib: int) -> Iterator[None]:
    """Have connections that begin now take only so much."""
    ((before,),) = world.database.query("SELECT @@GLOBAL.max_allowed_packet")
    world.database.execute(f"SET GLOBAL max_allowed_packet = {mib * MIB}")
    try:
        yield
    finally:
        world.database.execute(f"SET GLOBAL max_allowed_packet = {before}")


@pytest.mark.parametrize("database_server", ["mariadb"], indirect=True)
@pytest.mark.parametrize(
    ("mib", "nframes", "end"), [(1, 6_000, "loaded"), (1, 20_000, "failed"), (16, 20_000, "loaded")]
)
def test_the_server_s_packet_limit_decides_what_fits(world: World, mib: int, nframes: int, end: str) -> None:
    key = world.insert_task()
    run = world.publish(key, file={"nframes": nframes}, **frames_of(nframes))
    with packet_limit(world, mib):
        loader = world.loader()
        (result,) = loader.run_pass()
        assert result.end == end
        if end == "failed":
            found = world.run(run)
            assert (found.state, found.failure_class) == (RunState.FAILED, FailureClass.LOAD)
            assert "axdir of a row of" in found.sentence
            assert "raise max_allowed_packet on the server to at least 2 MiB" in found.sentence
            assert set(world.rows(key).values()) == {0}
            assert not loader.run_pass(), "and is never tried again by itself"
    if end == "loaded":
        with SignalsReader(world.folder / "n1.h5") as signals:
            sent = signals.pupil(2)
        assert sent is not None
        for name, trace in sent.items():  # one by one: the row is larger than a small packet
            np.testing.assert_array_equal((world.lab.signals.Pupil & key).fetch1(name), trace)


@pytest.mark.parametrize("database_server", ["postgres"], indirect=True)
def test_a_text_that_no_column_takes_is_final(world: World) -> None:
    key = world.insert_task()
    run = world.publish(key, versions={"facemap": "1.0.8\0"})  # MariaDB takes a NUL
    (result,) = world.loader().run_pass()
    assert result.end is LoadEnd.FAILED
    found = world.run(run)
    assert (found.state, found.failure_class) == (RunState.FAILED, FailureClass.LOAD)
    assert "hold a value that no column takes" in found.sentence
    assert set(world.rows(key).values()) == {0}


def test_a_value_that_a_column_is_too_small_for_is_final(world: World) -> None:
    table = world.lab.element.FacemapProcessing.full_table_name
    change = "ALTER COLUMN package_version TYPE" if world.database.backend == "postgresql" else "MODIFY package_version"
    default = "" if world.database.backend == "postgresql" else " NOT NULL DEFAULT ''"
    key = world.insert_task()
    run = world.publish(key)
    world.database.execute(f"ALTER TABLE {table} {change} varchar(2){default}")
    try:
        (result,) = world.loader().run_pass()
    finally:
        world.database.execute(f"ALTER TABLE {table} {change} varchar(16){default}")
    assert result.end is LoadEnd.FAILED
    found = world.run(run)
    assert found.failure_class is FailureClass.LOAD
    assert "don't fit the tables" in found.sentence
    assert ("package_version" if world.database.backend == "mysql" else "character varying(2)") in found.sentence
    assert set(world.rows(key).values()) == {0}
