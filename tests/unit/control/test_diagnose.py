"""The exit code decides what happened; the worker's last word gives the sentence."""

from __future__ import annotations

import signal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmdj_cloud.contracts import FailureClass, TerminationMessage
from fmdj_cloud.control.diagnose import ProcessEnd, diagnose
from fmdj_cloud.errors import FmdjError


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (1, FailureClass.CRASH),
        (2, FailureClass.CRASH),
        (9, FailureClass.CRASH),
        (10, FailureClass.INPUT),
        (11, FailureClass.INPUT),
        (12, FailureClass.CHANGED),
        (19, FailureClass.INPUT),
        (20, FailureClass.CONFIG),
        (29, FailureClass.CONFIG),
        (30, FailureClass.STORAGE),
        (39, FailureClass.STORAGE),
        (40, FailureClass.GPU),
        (49, FailureClass.GPU),
        (50, FailureClass.MEMORY),
        (54, FailureClass.MEMORY),
        (55, FailureClass.DISK),
        (59, FailureClass.DISK),
        (60, FailureClass.BUDGET),
        (61, FailureClass.CRASH),
        (137, FailureClass.MEMORY),
        (143, FailureClass.DISRUPTED),
        (255, FailureClass.CRASH),
    ],
)
def test_exit_codes(code, expected):
    assert diagnose(ProcessEnd(exit_code=code), None).failure_class is expected


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (signal.SIGKILL, FailureClass.MEMORY),
        (signal.SIGTERM, FailureClass.DISRUPTED),
        (signal.SIGSEGV, FailureClass.CRASH),
        (signal.SIGABRT, FailureClass.CRASH),
        (200, FailureClass.CRASH),
    ],
)
def test_signals(number, expected):
    outcome = diagnose(ProcessEnd(signal=int(number)), None)
    assert outcome.failure_class is expected
    assert "killed by" in outcome.sentence


def test_success_carries_the_manifest_digest():
    message = TerminationMessage(code="done", exit_code=0, manifest_sha256="ab")
    outcome = diagnose(ProcessEnd(exit_code=0), message)
    assert outcome.ok
    assert outcome.manifest_sha256 == "ab"


def test_the_workers_sentence_and_check_are_kept():
    message = TerminationMessage(code="input", exit_code=10, sentence="cam1.avi is truncated.", check="frames")
    outcome = diagnose(ProcessEnd(exit_code=10), message)
    assert (outcome.sentence, outcome.check) == ("cam1.avi is truncated.", "frames")


def test_a_last_word_that_says_otherwise_is_only_evidence():
    message = TerminationMessage(code="done", exit_code=0, sentence="All went well.")
    outcome = diagnose(ProcessEnd(signal=signal.SIGSEGV), message)
    assert outcome.failure_class is FailureClass.CRASH
    assert "SIGSEGV" in outcome.sentence
    assert outcome.evidence == {"exit_code": "139", "code": "done"}


def test_a_kill_at_the_end_of_the_grace_is_a_disruption():
    assert diagnose(ProcessEnd(signal=signal.SIGKILL, stopped=True), None).failure_class is FailureClass.DISRUPTED


def test_an_input_failure_stays_one_when_asked_to_stop():
    assert diagnose(ProcessEnd(exit_code=10, stopped=True), None).failure_class is FailureClass.INPUT


def test_a_worker_that_ignores_its_budget():
    assert diagnose(ProcessEnd(signal=signal.SIGKILL, overdue=True), None).failure_class is FailureClass.BUDGET


def test_a_worker_that_cannot_be_started_is_a_matter_of_configuration():
    outcome = diagnose(ProcessEnd(error="No such file or directory: 'python'"), None)
    assert outcome.failure_class is FailureClass.CONFIG
    assert "No such file" in outcome.sentence


def test_every_error_of_ours_has_the_class_its_exit_code_says():
    def all_errors(base: type[FmdjError]):
        for error in base.__subclasses__():
            yield error
            yield from all_errors(error)

    for error in all_errors(FmdjError):
        if error.exit_code >= 10:
            found = diagnose(ProcessEnd(exit_code=error.exit_code), None).failure_class
            assert found is not FailureClass.CRASH, error


@given(
    st.none() | st.integers(-300, 300),
    st.none() | st.integers(-300, 300),
    st.booleans(),
    st.booleans(),
    st.builds(TerminationMessage, code=st.text(max_size=5), exit_code=st.integers(0, 255)) | st.none(),
)
def test_it_is_total_and_never_silent(code, number, stopped, overdue, message):
    outcome = diagnose(ProcessEnd(exit_code=code, signal=number, stopped=stopped, overdue=overdue), message)
    assert outcome.ok or outcome.sentence
