"""The worker's own machinery: stopping, scratch, progress, the child's environment and last words."""

import errno
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from fmdj_cloud.contracts import Kind, Limits, RunSpec, TerminationMessage
from fmdj_cloud.errors import (
    BudgetError,
    ConfigError,
    DiskFullError,
    GpuError,
    InputError,
    MemoryExhaustedError,
    StoppedError,
    StorageError,
)
from fmdj_cloud.worker.compute import Child, ChildCrashError, child_environment
from fmdj_cloud.worker.handover import ChildJob, Desk
from fmdj_cloud.worker.last_word import last_word, say
from fmdj_cloud.worker.mishaps import as_ours
from fmdj_cloud.worker.progress import Rate, Teller, Where, read_told
from fmdj_cloud.worker.scratch import scratch_folder
from fmdj_cloud.worker.stop import Stop


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_work_goes_on_until_it_is_asked_to_stop():
    stop = Stop()
    stop.check()
    stop.ask()
    with pytest.raises(StoppedError):
        stop.check()


def test_the_budget_counts_from_the_start():
    clock = Clock()
    stop = Stop(clock)
    stop.limit(7200)
    clock.now += 7200
    stop.check()
    clock.now += 1
    with pytest.raises(BudgetError, match="budget of 2 h"):
        stop.check()


def test_waiting_ends_when_asked_to_stop():
    stop = Stop()
    threading.Timer(0.05, stop.ask).start()
    stop.wait(60)
    with pytest.raises(StoppedError):
        stop.check()


def test_scratch_is_removed_after_an_error(tmp_path):
    with pytest.raises(RuntimeError), scratch_folder(tmp_path, "run-1") as folder:  # noqa: PT012
        (folder / "sub").mkdir()
        (folder / "sub" / "file").write_text("x")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_nobody_else_looks_into_scratch(tmp_path):
    with scratch_folder(tmp_path, "run-1") as folder:
        assert folder.stat().st_mode & 0o077 == 0


def test_scratch_of_a_killed_worker_is_removed_by_the_next(tmp_path):
    code = (
        "import os, sys, pathlib; from fmdj_cloud.worker.scratch import scratch_folder\n"
        "with scratch_folder(pathlib.Path(sys.argv[1]), 'killed') as f: (f / 'x').write_text('x'); os._exit(1)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert (tmp_path / "fmdj-worker-killed" / "x").exists()
    with scratch_folder(tmp_path, "next"):
        assert not (tmp_path / "fmdj-worker-killed").exists()


def test_scratch_of_a_living_worker_is_left_alone(tmp_path):
    with scratch_folder(tmp_path, "one") as one, scratch_folder(tmp_path, "two"):
        assert one.exists()


def test_scratch_that_cant_be_written_is_a_configuration_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"worker\.scratch_dir"), scratch_folder(tmp_path / "file", "run"):
        pass


def test_a_teller_writes_new_stages_at_once_and_frames_now_and_then(tmp_path):
    clock, path = Clock(), tmp_path / "told.json"
    teller = Teller(path, clock)
    assert read_told(path) is None
    teller.tell(Where("main", 0, 100))
    teller.tell(Where("main", 10, 100))
    assert read_told(path) == Where("main", 0, 100)
    clock.now += 1
    teller.tell(Where("main", 20, 100))
    assert read_told(path) == Where("main", 20, 100)
    teller.tell(Where("pupil1", 100, 200))
    assert read_told(path) == Where("pupil1", 100, 200)


def test_the_rate_is_that_of_the_last_minute():
    rate = Rate()
    assert (rate.per_s(), rate.eta_s(10)) == (0.0, None)
    for second in range(0, 200, 10):
        rate.see(second, 100 * min(second, 100) + 10 * max(0, second - 100))
    assert rate.per_s() == pytest.approx(10)
    assert rate.eta_s(1000) == pytest.approx(100)


def test_the_child_gets_pinned_threads_and_no_credentials(tmp_path):
    ours = {"AWS_SECRET_ACCESS_KEY": "s", "FMDJ_STORAGE__S3__REGION": "x", "DJ_PASS": "p", "PATH": "/bin"}
    made = child_environment(ours, threads=3, desk=Desk(tmp_path))
    assert made["PATH"] == "/bin"
    assert {made[f"{name}_NUM_THREADS"] for name in ("OMP", "OPENBLAS", "MKL", "NUMBA")} == {"3"}
    assert not {"AWS_SECRET_ACCESS_KEY", "FMDJ_STORAGE__S3__REGION", "DJ_PASS"} & set(made)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (-signal.SIGKILL, MemoryExhaustedError),
        (50, MemoryExhaustedError),
        (55, DiskFullError),
        (-signal.SIGSEGV, ChildCrashError),
        (1, ChildCrashError),
        (0, ChildCrashError),
    ],
)
def test_a_child_that_leaves_no_word_is_judged_by_its_end(tmp_path, code, kind):
    limits = Limits(time_budget_s=1, memory_mib=64, scratch_mib=1, threads=1)
    spec = RunSpec(
        run_id="svd-1",
        kind=Kind.SVD,
        pipeline="lab",
        task="{}",
        task_digest="",
        content_digest="",
        attempt=1,
        attempt_uri="s3://bucket/a1",
        videos=(),
        limits=limits,
    )
    child = Child(Desk(tmp_path), ChildJob(spec=spec, videos=(), parent=1))
    with pytest.raises(kind):
        child.judge(code)


def test_an_error_comes_back_from_the_child_as_it_was(tmp_path):
    desk = Desk(tmp_path)
    assert desk.get_failure() is None
    desk.put_failure(InputError("The video is short.", check="few_frames"))
    error = desk.get_failure()
    assert type(error) is InputError
    assert (error.sentence, error.check) == ("The video is short.", "few_frames")
    desk.put_failure(MemoryExhaustedError("No memory."))
    assert type(desk.get_failure()) is MemoryExhaustedError


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (StorageError("Down."), StorageError),
        (MemoryError("Unable to allocate 9 GiB"), MemoryExhaustedError),
        (OSError(errno.ENOSPC, "No space left on device"), DiskFullError),
        (OSError("Can't write data (errno = 28, error message = 'No space left')"), DiskFullError),
        (RuntimeError("OpenCV: Insufficient memory: Failed to allocate 9 bytes"), MemoryExhaustedError),
        (RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB.\nGPU 0 has ..."), GpuError),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), GpuError),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
            MemoryExhaustedError,
        ),
        (RuntimeError("size mismatch"), type(None)),
        (OSError(errno.ENOENT, "No such file"), type(None)),
        (ValueError("wrong"), type(None)),
    ],
)
def test_errors_of_libraries_are_told_apart(error, kind):
    assert type(as_ours(error)) is kind


def test_a_full_disk_is_recognised_as_it_really_occurs():
    with pytest.raises(OSError, match="No space") as caught, Path("/dev/full").open("wb", buffering=0) as file:
        file.write(b"x")
    assert isinstance(as_ours(caught.value), DiskFullError)


def test_a_last_word_names_code_sentence_and_check(tmp_path):
    path = tmp_path / "word"
    say(last_word(InputError("Short.", check="few_frames")), path)
    assert TerminationMessage.model_validate_json(path.read_bytes()) == TerminationMessage(
        code="input", exit_code=10, sentence="Short.", check="few_frames"
    )


@pytest.mark.parametrize("letter", ["x", "ü", "\n", "𝄞"])
def test_a_last_word_is_cut_to_4_kib(tmp_path, letter):
    path = tmp_path / "word"
    say(last_word(ValueError(letter * 9000)), path)
    assert path.stat().st_size <= 4096
    word = json.loads(path.read_bytes())
    assert (word["code"], word["exit_code"]) == ("crash", 1)
    assert word["sentence"].endswith("…")


def test_the_environment_of_tests_has_no_termination_log(tmp_path):
    say(last_word(ValueError("x")), None)
    assert os.listdir(tmp_path) == []
