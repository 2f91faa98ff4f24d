"""Real processes: what is started outlives the launcher that started it, and how it ended is known to the next."""

from __future__ import annotations

import datetime as dt
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from fmdj_cloud.contracts import FailureClass, JobPhase, JobRequest, Kind, Limits
from fmdj_cloud.control.launchers import supervisor
from fmdj_cloud.errors import ConfigError
from fmdj_cloud.settings import Settings

pytestmark = pytest.mark.integration
NAME = "fmdj-svd-0123456789abcdef-a1"


def request(sha256: str = "s1", **limits) -> JobRequest:
    return JobRequest(
        name=NAME,
        run_id="svd-0123456789abcdef",
        attempt=1,
        kind=Kind.SVD,
        spec_uri="nothing",
        spec_sha256=sha256,
        limits=Limits(**{"time_budget_s": 600.0, "memory_mib": 1, "scratch_mib": 1, "threads": 1} | limits),
    )


@pytest.fixture
def ended(eventually):
    """Waits for the end of the only Job, and returns how it ended."""

    def wait(launcher):
        return eventually(lambda: next((j for j in launcher.observe() if j.phase is JobPhase.ENDED), None), "the end")

    return wait


@pytest.fixture
def started(eventually, workers):
    """Waits until the first worker runs, and returns its process id."""
    return lambda: eventually(workers.pids, "the start")[0]


def pid_of_supervisor(tmp_path: Path) -> int:
    return json.loads((tmp_path / "state" / NAME / supervisor.STARTED).read_text())["pid"]


def test_success_is_observed(make_launcher, ended):
    launcher = make_launcher()
    uid = launcher.create(request())
    job = ended(launcher)
    assert (job.name, job.uid, job.spec_sha256, job.attempt) == (NAME, uid, "s1", 1)
    assert job.outcome.ok
    assert len(job.nonces) == 1
    assert "tiny worker says publish" in launcher.read_log(NAME)


def test_a_refusal_is_observed_in_the_workers_words(make_launcher, workers, ended):
    workers.behave("exit 10")
    launcher = make_launcher()
    launcher.create(request())
    outcome = ended(launcher).outcome
    assert (outcome.failure_class, outcome.sentence, outcome.check) == (
        FailureClass.INPUT,
        "Told to exit 10.",
        "frames",
    )


def test_a_kill_is_observed(make_launcher, workers, ended):
    workers.behave("kill")
    launcher = make_launcher()
    launcher.create(request())
    assert ended(launcher).outcome.failure_class is FailureClass.MEMORY


def test_a_worker_that_is_not_installed_is_a_matter_of_configuration(make_launcher, ended):
    launcher = make_launcher(command=("/nowhere/python",))
    launcher.create(request())
    outcome = ended(launcher).outcome
    assert outcome.failure_class is FailureClass.CONFIG
    assert "/nowhere/python" in outcome.sentence


def test_creating_twice_makes_one_job(make_launcher, workers, started):
    workers.behave("wait")
    first, second = make_launcher(), make_launcher()
    assert first.create(request()) == second.create(request())
    started()
    assert len(first.observe()) == len(workers.starts()) == 1


def test_launchers_that_race_make_one_job(make_launcher, workers, started):
    workers.behave("wait")
    launchers = [make_launcher() for _ in range(4)]
    uids: list[str] = []
    threads = [threading.Thread(target=lambda it=it: uids.append(it.create(request()))) for it in launchers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    started()
    assert len(uids) == 4
    assert len(set(uids)) == 1
    assert len(workers.starts()) == 1


def test_a_new_launcher_adopts_what_another_process_started(make_launcher, workers, started, ended, tmp_path):
    """The process that created the Job is gone, with its whole session, before the worker ends."""
    workers.behave("wait")
    creator = (
        "import sys, json, pathlib\n"
        "from fmdj_cloud.control.launchers.local import LocalLauncher\n"
        "from fmdj_cloud.contracts import JobRequest\n"
        "from fmdj_cloud.settings import Settings, LocalSettings\n"
        "settings = Settings(local=LocalSettings(state_dir=sys.argv[1], stop_grace_s=1))\n"
        "launcher = LocalLauncher(settings, worker_command=json.loads(sys.argv[2]))\n"
        "print(launcher.create(JobRequest.model_validate_json(sys.argv[3])))\n"
    )
    command = [sys.executable, "-I", str(Path(__file__).with_name("tiny_worker.py"))]
    made = subprocess.run(
        [
            *(sys.executable, "-c", creator),
            *(str(tmp_path / "state"), json.dumps(command), request().model_dump_json()),
        ],
        env={**os.environ, "TINY_WORKER": str(workers.folder)},
        capture_output=True,
        text=True,
        check=True,
        start_new_session=True,
    )
    started()
    launcher = make_launcher()
    (job,) = launcher.observe()
    assert (job.uid, job.phase) == (made.stdout.strip(), JobPhase.RUNNING)
    assert job.created is not None
    made_at = next(tmp_path.rglob("job.json")).stat().st_mtime
    assert job.created.replace(tzinfo=dt.UTC).timestamp() == pytest.approx(made_at, abs=1e-3)
    assert launcher.create(request()) == job.uid
    workers.release()
    assert ended(launcher).outcome.ok


def test_an_exit_is_recorded_while_nobody_looks(make_launcher, workers, started, eventually, is_alive):
    workers.behave("wait")
    make_launcher().create(request())
    pid = started()
    workers.release()
    eventually(lambda: not is_alive(pid))
    (job,) = eventually(lambda: [j for j in make_launcher().observe() if j.phase is JobPhase.ENDED])
    assert job.outcome.ok


def test_a_killed_supervisor_takes_its_worker_along(make_launcher, workers, started, ended, is_alive, tmp_path):
    workers.behave("stubborn")
    launcher = make_launcher()
    launcher.create(request())
    pid = started()
    os.kill(pid_of_supervisor(tmp_path), signal.SIGKILL)
    assert ended(launcher).outcome.failure_class is FailureClass.VANISHED
    time.sleep(0.1)
    assert not is_alive(pid)


def test_a_job_that_vanished_is_not_started_again(make_launcher, workers, started, ended, tmp_path):
    workers.behave("wait")
    launcher = make_launcher()
    uid = launcher.create(request())
    started()
    os.kill(pid_of_supervisor(tmp_path), signal.SIGKILL)
    ended(launcher)
    assert make_launcher().create(request()) == uid
    assert len(workers.starts()) == 1


def test_stopping_passes_the_signal_on(make_launcher, workers, started, ended, is_alive):
    workers.behave("wait")
    launcher = make_launcher()
    launcher.create(request())
    pid = started()
    launcher.stop(NAME)
    launcher.stop(NAME)
    outcome = ended(launcher).outcome
    assert (outcome.failure_class, outcome.evidence["exit_code"]) == (FailureClass.DISRUPTED, "143")
    assert not is_alive(pid)


def test_stopping_kills_after_the_grace(make_launcher, workers, started, ended, is_alive):
    workers.behave("stubborn")
    launcher = make_launcher()
    launcher.create(request())
    pid = started()
    asked = time.monotonic()
    launcher.stop(NAME)
    outcome = ended(launcher).outcome
    assert outcome.failure_class is FailureClass.DISRUPTED
    assert 0.9 < time.monotonic() - asked < 10
    assert not is_alive(pid)


def test_a_job_with_another_spec_is_replaced(make_launcher, workers, started, eventually, is_alive):
    workers.behave("wait")
    launcher = make_launcher()
    first = launcher.create(request("s1"))
    pid = started()
    second = launcher.create(request("s2"))
    assert first != second
    assert not is_alive(pid)
    eventually(lambda: len(workers.starts()) == 2)
    (job,) = launcher.observe()
    assert (job.spec_sha256, job.phase, job.uid) == ("s2", JobPhase.RUNNING, second)


def test_a_job_that_was_made_but_never_started_is_started_by_the_next(make_launcher, workers, tmp_path, ended):
    """The controller died between making the folder and starting the supervisor."""
    launcher = make_launcher()
    launcher._make(tmp_path / "state" / NAME, request())
    assert launcher.observe() == ()
    make_launcher().create(request())
    assert ended(launcher).outcome.ok
    assert len(workers.starts()) == 1


def test_a_job_of_another_installation_is_left_alone(make_launcher, workers, started):
    workers.behave("wait")
    mine, other = make_launcher(Settings(instance="mine")), make_launcher(Settings(instance="other"))
    mine.create(request())
    started()
    assert other.observe() == ()
    with pytest.raises(ConfigError, match=f"{NAME}.*'mine'"):
        other.create(request())
    mine.stop(NAME)


def test_a_job_that_cannot_be_read_is_left_alone_and_reported(make_launcher, workers, tmp_path):
    folder = tmp_path / "state" / NAME
    folder.mkdir(parents=True)
    (folder / supervisor.JOB).write_bytes(b"\xff")
    launcher = make_launcher()
    (job,) = launcher.observe()
    assert (job.name, job.run_id, job.phase) == (NAME, "", JobPhase.ENDED)
    with pytest.raises(ConfigError, match=f"{NAME}.*can't be read"):
        launcher.create(request())
    assert workers.starts() == []


def test_what_runs_is_not_forgotten_and_what_ended_leaves_nothing(make_launcher, workers, started, ended, tmp_path):
    workers.behave("wait")
    launcher = make_launcher()
    launcher.create(request())
    started()
    launcher.forget(NAME)
    assert len(launcher.observe()) == 1
    workers.release()
    ended(launcher)
    # the supervisor lets go of its lock a moment after the exit is recorded
    while launcher.observe():
        launcher.forget(NAME)
    launcher.forget(NAME)
    launcher.stop(NAME)
    assert launcher.read_log(NAME) == ""
    assert list((tmp_path / "state").iterdir()) == []


def test_a_worker_that_ignores_its_budget_is_ended(make_launcher, workers, ended, monkeypatch):
    monkeypatch.setattr("fmdj_cloud.control.launchers.local_job._OVERDUE_S", 0.0)
    workers.behave("stubborn")
    launcher = make_launcher()
    launcher.create(request(time_budget_s=0.3))
    assert ended(launcher).outcome.failure_class is FailureClass.BUDGET


def test_no_credentials_are_written_to_disk(make_launcher, workers, ended, tmp_path):
    from fmdj_cloud.settings import S3Settings, StorageSettings

    secret = StorageSettings(s3=S3Settings(access_key_id="AKIA-SECRET", secret_access_key="SECRET-KEY"))
    launcher = make_launcher(Settings(storage=secret))
    launcher.create(request())
    ended(launcher)
    for path in (tmp_path / "state").rglob("*"):
        assert not path.is_file() or b"SECRET" not in path.read_bytes(), path
