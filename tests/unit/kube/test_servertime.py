"""Which time of day Kubernetes' timestamps are compared with."""

import datetime as dt

import pytest

from fmdj_cloud.control.kube.servertime import ServerTime

HERE = dt.datetime(2026, 11, 22, 12, 0, tzinfo=dt.UTC)


def server_time() -> ServerTime:
    return ServerTime(lambda: HERE)


def test_before_the_first_answer_it_is_this_machine_s():
    assert server_time()() == HERE


@pytest.mark.parametrize("hours", [-1, 1, 24 * 400])
def test_a_clock_that_is_wrong_is_put_right(hours: int):
    time = server_time()
    there = HERE + dt.timedelta(hours=hours)
    time.hear(there.strftime("%a, %d %b %Y %H:%M:%S GMT"), 0.1)
    assert time() == there


def test_a_clock_that_agrees_is_left_alone():
    time = server_time()
    time.hear("Sun, 22 Nov 2026 11:59:59 GMT", 0.1)
    assert time() == HERE


def test_a_clock_that_was_put_right_is_believed_again():
    time = server_time()
    time.hear("Sun, 22 Nov 2026 13:00:00 GMT", 0.1)
    time.hear("Sun, 22 Nov 2026 12:00:00 GMT", 0.1)
    assert time() == HERE


@pytest.mark.parametrize("date", [None, "", "yesterday", "Sun, 99 Nov 2026 99:00:00 GMT"])
def test_what_says_nothing_changes_nothing(date: str | None):
    time = server_time()
    time.hear(date, 0.1)
    assert time() == HERE


def test_an_answer_that_came_late_says_nothing():
    time = server_time()
    time.hear("Sun, 22 Nov 2026 13:00:00 GMT", 12.0)
    assert time() == HERE


def test_it_is_told_once(caplog: pytest.LogCaptureFixture):
    time = server_time()
    for _ in range(3):
        time.hear("Sun, 22 Nov 2026 11:00:00 GMT", 0.1)
    (record,) = caplog.records
    assert "3600 s ahead of" in record.getMessage()
