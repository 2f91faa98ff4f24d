"""Requests overlap, what follows from them doesn't, and answers come in the order of the questions."""

from __future__ import annotations

import threading

import pytest

from fmdj_cloud.control.outbox import Outbox, in_advance


def test_alone_each_request_is_sent_and_followed_up_at_once():
    told: list[object] = []
    outbox = Outbox(1)
    for number in range(3):
        outbox.send(lambda n=number: (told.append(f"sent {n}"), n)[1], lambda answer: told.append(answer()))
    assert told == ["sent 0", 0, "sent 1", 1, "sent 2", 2]


def test_as_many_requests_overlap_as_are_asked_for():
    meeting = threading.Barrier(4, timeout=20)
    told: list[int] = []
    outbox = Outbox(4)
    for _ in range(8):  # each waits for three others: fewer at a time would never end
        outbox.send(meeting.wait, lambda answer: told.append(answer()))
    outbox.settle()
    assert sorted(told) == [0, 0, 1, 1, 2, 2, 3, 3]


def test_one_thread_alone_follows_up():
    threads: set[int] = set()
    outbox = Outbox(4)
    for _ in range(20):
        outbox.send(threading.get_ident, lambda answer: threads.add(threading.get_ident()))
    outbox.settle()
    assert threads == {threading.get_ident()}


def test_what_a_request_raises_reaches_who_follows_up():
    told: list[str] = []

    def follow(answer):
        with pytest.raises(ValueError, match="no"):
            answer()
        told.append("seen")

    def refuse():
        raise ValueError("no")

    for at_a_time in (1, 3):
        outbox = Outbox(at_a_time)
        outbox.send(refuse, follow)
        outbox.settle()
    assert told == ["seen", "seen"]


def test_of_what_is_dropped_nothing_more_is_sent_or_followed_up():
    sent: list[int] = []
    followed: list[int] = []
    begun, go = threading.Event(), threading.Event()

    def request(number):
        sent.append(number)
        begun.set()
        go.wait(20)

    outbox = Outbox(2)
    outbox.send(lambda: request(0), lambda answer: followed.append(0))
    begun.wait(20)
    go.set()
    outbox.drop()
    outbox.settle()
    assert sent == [0]
    assert followed == []


def test_when_following_up_fails_the_rest_is_dropped():
    followed: list[bool] = []
    go = threading.Event()

    def follow(answer):
        followed.append(answer())
        raise RuntimeError

    outbox = Outbox(3)
    for _ in range(2):
        outbox.send(lambda: go.wait(20), follow)
    go.set()
    with pytest.raises(RuntimeError):
        outbox.settle()
    outbox.settle()
    assert len(followed) == 1


@pytest.mark.parametrize("at_a_time", [1, 3, 50])
def test_answers_come_in_the_order_of_the_items(at_a_time):
    found = [(item, answer()) for item, answer in in_advance(range(20), lambda n: lambda: n * n, at_a_time)]
    assert found == [(n, n * n) for n in range(20)]


def test_what_comes_after_is_asked_while_one_is_being_looked_at():
    third = threading.Event()

    def prepare(number):
        return third.set if number == 2 else lambda: third.wait(20)

    told = [answer() for _, answer in in_advance(range(3), prepare, 3)]
    assert told[:2] == [True, True]


def test_one_error_spoils_no_other_answer():
    def prepare(number):
        return (lambda: 1 // 0) if number == 1 else (lambda: number)

    found = []
    for number, answer in in_advance(range(3), prepare, 2):
        if number == 1:
            with pytest.raises(ZeroDivisionError):
                answer()
        else:
            found.append(answer())
    assert found == [0, 2]


def test_who_stops_looking_asks_no_more():
    asked: list[int] = []
    answers = in_advance(range(100), lambda n: lambda: asked.append(n), 4)
    next(answers)
    answers.close()
    assert len(asked) <= 4
