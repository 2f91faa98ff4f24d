"""A worker on its leash lives only as long as its owner shows itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fmdj_cloud.contracts import FailureClass
from fmdj_cloud.populate.work import Leash, Work, now

SLEEP = "import time; print('begun', flush=True); time.sleep(60)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEP}"
LEASH = Leash(silent_s=30, grace_s=30, deadline_s=30)


@pytest.fixture
def start(tmp_path):
    started = []

    def run(code, leash=LEASH):
        written = f"import os; open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); {code}"
        started.append(Work([sys.executable, "-c", written], os.environ, tmp_path, now(), leash))
        return started[-1]

    yield run
    for work in started:
        work.close()


def begun(work):
    give_up = time.monotonic() + 20
    while "begun" not in work.log():
        assert time.monotonic() < give_up
        time.sleep(0.01)


def ends(pid):
    give_up = time.monotonic() + 20
    while time.monotonic() < give_up:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.01)
    return False


def test_its_exit_code_and_log_are_told(start):
    work = start("print('words'); raise SystemExit(12)")
    assert work.wait().failure_class is FailureClass.CHANGED
    assert work.log() == "words\n"


def test_waiting_ends_in_time(start):
    assert start(SLEEP).wait(0.1) is None


def test_it_ends_in_order_when_asked(start):
    work = start(SLEEP)
    begun(work)
    work.stop()
    outcome = work.wait()
    assert (outcome.failure_class, outcome.evidence["exit_code"]) == (FailureClass.DISRUPTED, "143")


def test_it_is_killed_after_the_grace(start):
    work = start(STUBBORN, Leash(silent_s=30, grace_s=0.1, deadline_s=30))
    begun(work)
    work.stop()
    assert work.wait().evidence["exit_code"] == "137"


def test_it_is_killed_when_nothing_is_heard_of_its_owner(start):
    work = start(SLEEP, Leash(silent_s=0.5, grace_s=30, deadline_s=30))
    began = time.monotonic()
    assert work.wait().failure_class is FailureClass.DISRUPTED
    assert time.monotonic() - began < 10


def test_signs_of_life_keep_it(start):
    work = start("import time; time.sleep(1.2)", Leash(silent_s=1.0, grace_s=30, deadline_s=30))
    while (outcome := work.wait(0.1)) is None:
        work.renew(now())
    assert outcome.ok


def test_an_old_sign_of_life_counts_from_when_it_was_given(start):
    work = start(SLEEP, Leash(silent_s=5.0, grace_s=30, deadline_s=30))
    work.renew(now() - 4.5)  # given before the first, and said late: the first one counts
    assert work.wait(0.3) is None


def test_it_is_ended_when_it_is_overdue(start):
    work = start(SLEEP, Leash(silent_s=30, grace_s=30, deadline_s=0.3))
    assert work.wait().failure_class is FailureClass.BUDGET


def test_a_command_that_cannot_be_started_is_told(tmp_path):
    work = Work([str(tmp_path / "nothing")], os.environ, tmp_path, now(), LEASH)
    outcome = work.wait()
    work.close()
    assert outcome.failure_class is FailureClass.CONFIG
    assert "No such file" in outcome.sentence


def test_it_dies_with_its_leash(start, tmp_path):
    work = start(SLEEP)
    begun(work)
    os.kill(work._process.pid, signal.SIGKILL)
    assert work.wait().failure_class is FailureClass.VANISHED
    assert ends(int((tmp_path / "pid").read_text()))


def test_it_dies_with_its_owner_and_leaves_nothing(tmp_path):
    code = f"import os; print(os.getpid(), flush=True); {STUBBORN}"
    owner = (
        "import os, sys, time; from pathlib import Path; from fmdj_cloud.populate.work import Leash, Work, now\n"
        f"command = [sys.executable, '-c', {code!r}]\n"
        f"work = Work(command, os.environ, Path({str(tmp_path)!r}), now(), Leash(60, 60, 60))\n"
        "time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", owner])
    log = tmp_path / "output.log"
    give_up = time.monotonic() + 30
    while not (log.exists() and "begun" in log.read_text()):
        assert time.monotonic() < give_up
        time.sleep(0.02)
    worker = int(log.read_text().split()[0])
    process.kill()
    process.wait()
    assert ends(worker)
    while tmp_path.exists():
        assert time.monotonic() < give_up
        time.sleep(0.02)
