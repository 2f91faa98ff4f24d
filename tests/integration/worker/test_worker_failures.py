"""Every way in which a worker can fail: its exit code, its sentence, and that nothing counts as published."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from fmdj_cloud.contracts import Kind, Limits, SvdParams
from fmdj_cloud.demo.recordings import truncate_video
from fmdj_cloud.errors import ObjectMissingError
from fmdj_cloud.signals_h5 import SignalsReader

pytestmark = pytest.mark.integration

SMALL = SvdParams(sbin=8)


@pytest.fixture(scope="module")
def short(record):
    """A few frames: enough where nothing is computed."""
    return record("short", nframes=(60,))


@pytest.fixture(scope="module")
def uploaded(bench, short):
    return bench.upload(short.videos)


@pytest.fixture(scope="module")
def long_videos(bench, record):
    """Long enough to be interrupted."""
    return bench.upload(record("long", nframes=(3000,)).videos)


def assert_failed(ran, exit_code: int, code: str, *, check: str = "") -> None:
    assert ran.exit_code == exit_code, ran.output
    assert (ran.message.code, ran.message.exit_code, ran.message.check) == (code, exit_code, check)
    assert ran.manifest is None
    assert list(ran.scratch.iterdir()) == []
    assert ran.message.sentence in ran.output


def wait_for(condition, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def children(process: subprocess.Popen) -> list[psutil.Process]:
    return [child for child in psutil.Process(process.pid).children() if "svd.child" in " ".join(child.cmdline())]


def computing(bench, spec) -> bool:
    """Tell whether Facemap is at work, by the worker's own progress."""
    try:
        told = bench.store.get_bytes(f"{spec.attempt_uri}/pod-1/progress.json", max_bytes=1 << 16)
    except ObjectMissingError:
        return False
    return b'"stage":"main"' in told


def test_a_truncated_video_is_refused_with_both_counts(bench, record, tmp_path):
    recording = record("cut", nframes=(200,))
    path = truncate_video(recording.videos[0][0], tmp_path / "cut.avi", 0.6)
    ran = bench.run(bench.spec(bench.upload(((path,),)), SMALL))
    assert_failed(ran, 10, "input", check="missing_frames")
    assert ran.message.sentence.startswith("cut.avi claims 200 frames and ")
    assert "Upload it again" in ran.message.sentence
    assert ran.message.sentence in ran.fetch("run.log").read_text()
    assert ran.published() == ["pod-1/progress.json", "pod-1/run.log"]


def test_a_truncated_video_that_is_accepted_counts_as_far_as_it_goes(bench, record, tmp_path):
    recording = record("kept", nframes=(200,))
    path = truncate_video(recording.videos[0][0], tmp_path / "kept.avi", 0.6)
    spec = bench.spec(bench.upload(((path,),)), SMALL, accept=("missing_frames",))
    ran = bench.run(spec)
    assert ran.exit_code == 0, ran.output
    view = ran.manifest.views[0]
    assert view.header_frames == (200,)
    assert ran.manifest.nframes == view.frames[0] < 200
    assert "claims 200 frames" in ran.manifest.warnings[0]
    with SignalsReader(ran.signals) as reader:
        motion = reader.motion(0)
    assert len(motion) == ran.manifest.nframes
    assert motion.max() < 3 * motion[:50].max()  # no spike where the video ends
    assert Path(ran.proc()["filenames"][0][0]).name == "kept.avi"


def test_what_is_no_video_is_refused_and_doesnt_hang(bench, uploaded, tmp_path):
    path = tmp_path / "notes.avi"
    path.write_bytes(b"these are notes" * 999)
    (other,) = bench.upload(((path,),))
    ran = bench.run(bench.spec(((uploaded[0][0], other[0]),), SMALL))
    assert_failed(ran, 10, "input", check="readable")
    assert "notes.avi can't be read as a video" in ran.message.sentence


def test_a_roi_outside_of_the_frame_is_refused(bench, short, uploaded):
    (roi,) = bench.rois(short, "whisker")
    params = SMALL.model_copy(update={"rois": (roi.model_copy(update={"x1": 161}),)})
    assert_failed(bench.run(bench.spec(uploaded, params)), 10, "input", check="roi_inside")


def test_a_roi_in_a_view_that_isnt_there_is_refused(bench, short, uploaded):
    (roi,) = bench.rois(short, "whisker")
    params = SMALL.model_copy(update={"rois": (roi.model_copy(update={"view": 1}),)})
    assert_failed(bench.run(bench.spec(uploaded, params)), 10, "input", check="roi_view")


def test_a_video_that_was_replaced_since_is_changed(bench, short, tmp_path):
    path = shutil.copy(short.videos[0][0], tmp_path / "replaced.avi")
    videos = bench.upload(((Path(path),),))
    bench.store.put_bytes(videos[0][0].uri, Path(path).read_bytes()[:-1] + b"\1")
    ran = bench.run(bench.spec(videos, SMALL))
    assert_failed(ran, 12, "changed")
    assert "replaced.avi was replaced" in ran.message.sentence


def test_a_video_that_is_gone_is_missing(bench, short, tmp_path):
    path = shutil.copy(short.videos[0][0], tmp_path / "gone.avi")
    videos = bench.upload(((Path(path),),))
    bench.store.delete(videos[0][0].uri)
    ran = bench.run(bench.spec(videos, SMALL))
    assert_failed(ran, 11, "input_missing", check="missing")
    assert "gone.avi" in ran.message.sentence


def test_a_spec_that_isnt_the_one_launched_is_refused(bench, uploaded):
    ran = bench.run(bench.spec(uploaded, SMALL), sha256="0" * 64)
    assert_failed(ran, 31, "integrity")
    assert ran.published() == []


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        (Kind.POSE, "can't do pose runs"),
        (Kind.SVD, "can't do svd runs"),
        (Kind.IMPORT, "names 0 files to import"),
    ],
)
def test_specs_that_this_worker_cant_do_are_a_configuration_error(bench, uploaded, kind, sentence):
    ran = bench.run(bench.spec(uploaded, None, kind=kind))
    assert_failed(ran, 20, "config")
    assert sentence in ran.message.sentence


def test_a_nonce_that_cant_name_a_folder_is_a_configuration_error(tmp_path):
    from fmdj_cloud.settings import Settings
    from fmdj_cloud.worker.main import run_worker

    word = tmp_path / "word"
    assert run_worker("s3://b/spec.json", "0" * 64, "../x", Settings(), termination_log=word) == 20
    assert "nonce" in word.read_text()


def test_too_little_memory_is_known_before_computing(bench, uploaded):
    limits = Limits(time_budget_s=60, memory_mib=300, scratch_mib=1000, threads=1)
    ran = bench.run(bench.spec(uploaded, SMALL, limits=limits))
    assert_failed(ran, 50, "memory")
    assert "MiB of memory and the run has 300" in ran.message.sentence


def test_too_little_scratch_is_known_before_computing(bench, uploaded):
    limits = Limits(time_budget_s=60, memory_mib=8000, scratch_mib=0, threads=1)
    assert_failed(bench.run(bench.spec(uploaded, SMALL, limits=limits)), 55, "disk")


def test_a_run_past_its_budget_ends(bench, long_videos):
    limits = Limits(time_budget_s=3, memory_mib=8000, scratch_mib=8000, threads=1)
    ran = bench.run(bench.spec(long_videos, SvdParams(sbin=1), limits=limits))
    assert_failed(ran, 60, "budget")
    assert ran.seconds < 15


def test_sigterm_ends_everything_within_ten_seconds(bench, long_videos):
    spec = bench.spec(long_videos, SvdParams(sbin=1))
    began = time.monotonic()
    process = bench.start(spec)
    wait_for(lambda: computing(bench, spec))
    (child,) = children(process)
    asked = time.monotonic()
    process.send_signal(signal.SIGTERM)
    ran = bench.finish(process, spec, began)
    assert time.monotonic() - asked < 10
    assert_failed(ran, 143, "stopped")
    assert not child.is_running()


def test_a_child_that_the_kernel_kills_ran_out_of_memory(bench, long_videos):
    spec = bench.spec(long_videos, SvdParams(sbin=1))
    began = time.monotonic()
    process = bench.start(spec)
    wait_for(lambda: computing(bench, spec))
    children(process)[0].kill()
    ran = bench.finish(process, spec, began)
    assert_failed(ran, 50, "memory")
    assert "8192 MiB" in ran.message.sentence


def test_a_child_that_crashes_is_a_crash_with_its_trace_in_the_log(bench, long_videos):
    spec = bench.spec(long_videos, SvdParams(sbin=1))
    began = time.monotonic()
    process = bench.start(spec)
    wait_for(lambda: computing(bench, spec))
    children(process)[0].send_signal(signal.SIGABRT)
    ran = bench.finish(process, spec, began)
    assert_failed(ran, 1, "crash")
    assert "SIGABRT" in ran.message.sentence
    assert "Fatal Python error" in ran.fetch("run.log").read_text()


def test_a_child_doesnt_outlive_a_worker_that_is_killed(bench, long_videos):
    spec = bench.spec(long_videos, SvdParams(sbin=1))
    process = bench.start(spec)
    wait_for(lambda: computing(bench, spec))
    (child,) = children(process)
    process.kill()
    process.wait()
    wait_for(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, 5)


def test_sigterm_while_a_store_hangs_ends_within_ten_seconds(bench, uploaded, tmp_path):
    """The store accepts connections and never answers."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        config = tmp_path / "config.json"
        port = silent.getsockname()[1]
        config.write_text(
            f'{{"storage": {{"s3": {{"endpoint_url": "http://127.0.0.1:{port}", "access_key_id": "k",'
            f' "secret_access_key": "s", "region": "us-east-1"}}}}, "worker": {{"scratch_dir": "{tmp_path}"}}}}'
        )
        command = ["-m", "fmdj_cloud.worker", "--spec", "s3://b/spec.json", "--sha256", "0" * 64, "--nonce", "pod-1"]
        command += ["--termination-log", str(tmp_path / "word")]
        import sys

        process = subprocess.Popen(
            [sys.executable, *command],
            env={**os.environ, "FMDJ_CONFIG": str(config)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        connection, _ = silent.accept()
        asked = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 143
        assert time.monotonic() - asked < 10
        connection.close()
    assert '"stopped"' in (tmp_path / "word").read_text()


def test_views_that_differ_are_cut_to_the_shortest_once_accepted(bench, record, tmp_path):
    pair = record("uneven", nframes=(80,), views=2)
    one = record("shorter", nframes=(70,), views=2)
    second = shutil.copy(one.videos[0][1], tmp_path / pair.videos[0][1].name)
    videos = bench.upload(((pair.videos[0][0], Path(second)),))
    refused = bench.run(bench.spec(videos, SMALL))
    assert_failed(refused, 10, "input", check="view_frames")
    limits = Limits(time_budget_s=60, memory_mib=8000, scratch_mib=8000, threads=1, max_view_mismatch_frames=10)
    ran = bench.run(bench.spec(videos, SMALL, limits=limits))
    assert ran.exit_code == 0, ran.output
    assert ran.manifest.nframes == 70
    assert [view.frames for view in ran.manifest.views] == [(80,), (70,)]
    assert ran.proc()["motion"][0].shape == (70,)
