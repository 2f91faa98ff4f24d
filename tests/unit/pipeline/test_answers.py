"""Which errors of a server are answers to a statement, and which trouble of its own."""

from __future__ import annotations

import pytest

from fmdj_cloud.pipeline.dialect import MYSQL, POSTGRESQL


@pytest.mark.parametrize(
    ("code", "expected"), [(3100, True), (1180, True), (1305, True), (1114, False), (2013, False), (0, False)]
)
def test_mysqls_answers(code: int, expected: bool) -> None:
    assert MYSQL.was_answered(MYSQL.driver_error(code, "why")) is expected


def test_what_isnt_the_drivers_is_no_answer() -> None:
    assert not MYSQL.was_answered(ValueError(1305))
    assert not POSTGRESQL.was_answered(POSTGRESQL.driver_error("connection closed"))


@pytest.mark.parametrize(("code", "large", "rule"), [(1197, True, False), (4025, False, True), (1062, False, False)])
def test_mysqls_refusals_for_good(code: int, large: bool, rule: bool) -> None:
    error = MYSQL.driver_error(code, "why")
    assert (MYSQL.is_too_large(error), MYSQL.is_against_rules(error)) == (large, rule)


def test_a_commit_that_group_replication_undoes_may_be_repeated() -> None:
    assert MYSQL.is_deadlock(MYSQL.driver_error(3101, "why"))
