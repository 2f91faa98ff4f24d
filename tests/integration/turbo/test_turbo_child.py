"""The computing child: what it leaves on the desk, what it refuses, and what it doesn't load."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fmdj_cloud.contracts import Basis, Engine, Limits, SvdParams
from fmdj_cloud.errors import DiskFullError, InputError, MemoryExhaustedError
from fmdj_cloud.signals_h5 import SignalsReader
from fmdj_cloud.worker.handover import ChildJob, ChildResult, Desk
from fmdj_cloud.worker.turbo.child import compute
from fmdj_cloud.worker.turbo.inputs import with_true_frames
from tests.support.turbo import coded, runs

pytestmark = pytest.mark.integration

LIMITS = Limits(time_budget_s=300, memory_mib=2048, scratch_mib=2048, threads=1)
PARAMS = SvdParams(sbin=2)


@pytest.fixture
def video(tmp_path) -> Path:
    return coded.write(tmp_path / "cam.avi", coded.moving(600, 48, 64), "mjpeg", "yuvj420p")


@pytest.fixture
def run(tmp_path, video):
    """Compute on a desk of its own."""

    def start(params: SvdParams = PARAMS, basis: Basis = Basis.EXACT, **limits) -> tuple[Desk, ChildResult]:
        desk = Desk(tmp_path / "desk")
        desk.outputs.mkdir(parents=True)
        spec = runs.spec([[video]], params, engine=Engine.TURBO, basis=basis, limits=LIMITS.model_copy(update=limits))
        return desk, compute(desk, ChildJob(spec=spec, videos=((str(video),),), parent=os.getpid()))

    return start


def test_it_leaves_signals_and_facemaps_file(run):
    desk, result = run()
    assert result.gui_file == "facemap/main/cam_proc.npy"
    assert np.load(desk.outputs / result.gui_file, allow_pickle=True).item()["motSVD"][0].shape[0] == 600
    assert sorted(path.name for path in desk.outputs.iterdir()) == ["facemap", "signals.h5"]
    with SignalsReader(desk.signals) as reader:
        assert (reader.nframes, reader.sbin) == (600, 2)
    assert (result.nframes, result.views[0].frames) == (600, (600,))


def test_it_says_how_it_computed(run):
    _, result = run()
    assert {"numpy", "scipy", "numba", "h5py", "opencv", "av", "fmdj", "python"} == set(result.versions)
    assert result.device.startswith("cpu")
    assert {"check", "basis", "project", "merge"} <= set(result.timings_s)
    assert {origin.origin for origin in result.signals} == {"turbo"}


def test_facemaps_basis_names_what_made_it(run):
    _, result = run(basis=Basis.FACEMAP)
    assert "scikit-learn" in result.versions


def test_progress_counts_what_the_basis_reads_and_all_frames(run):
    desk, _ = run()
    assert json.loads(desk.told.read_text()) == ["merge", 1800, 1800]


def test_too_little_memory_is_told_before_anything_is_computed(run):
    with pytest.raises(MemoryExhaustedError, match="MiB of memory and the run has 100"):
        run(memory_mib=100)


def test_too_little_scratch_is_told_too(run):
    with pytest.raises(DiskFullError, match="MiB of scratch"):
        run(scratch_mib=1)


def test_nothing_of_facemap_torch_or_scikit_learn_is_loaded():
    code = (
        "import sys, fmdj_cloud.worker.turbo.child; "
        "print(sorted({'facemap', 'torch', 'sklearn', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.fixture
def broken(tmp_path) -> Path:
    """A video whose last frames can't be decoded, though packets are there."""
    path = coded.write(tmp_path / "broken.avi", coded.moving(120, 48, 64), "mjpeg", "yuvj420p")
    data = bytearray(path.read_bytes())
    starts = [at for at in range(len(data) - 8) if data[at : at + 4] == b"00dc"]
    frames = [at for at in starts if data[at + 8 : at + 10] == b"\xff\xd8"]
    for at in frames[-2:]:
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        data[at + 8 : at + 8 + size] = bytes(size)
    path.write_bytes(data)
    return path


def test_frames_that_turn_out_missing_are_left_out_within_what_may_be_missing(broken, tmp_path):
    spec = runs.spec([[broken]], PARAMS)
    found = runs.inputs([[broken]], PARAMS)

    def decode(inputs):
        with inputs.recording(1) as recording:
            return sum(block.stop - block.start for block in recording.blocks(0, inputs.nframes))

    inputs, count = with_true_frames(found, spec, decode)
    assert count == inputs.nframes == 118
    assert any("118" in warning for warning in inputs.warnings)

    strict = spec.model_copy(update={"limits": spec.limits.model_copy(update={"max_missing_frames": 1})})
    with pytest.raises(InputError, match="120 frames and 118 can be decoded"):
        with_true_frames(found, strict, decode)
