"""Queries of lists, patterns of keys, names of hosts: what the page takes, and what it doesn't."""

from __future__ import annotations

import datetime as dt
import decimal
import re
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmdj_cloud.contracts import FailureClass, RunState
from fmdj_cloud.errors import UsageError
from fmdj_cloud.names import canonical_key
from fmdj_cloud.pipeline.ledger_search import task_patterns
from fmdj_cloud.serve.page.asked import read_query
from fmdj_cloud.serve.page.program import host_names

KNOWN = ("subject", "session_id")


def matches(key: dict[str, Any], name: str, value: str) -> bool:
    """What the database does with LIKE and ESCAPE '!'."""
    text = canonical_key(key)
    return any(re.fullmatch(_expression(pattern), text, re.DOTALL) for pattern in task_patterns(name, value))


def _expression(pattern: str) -> str:
    pieces = re.findall(r"!.|.", pattern, re.DOTALL)
    return "".join(".*" if one == "%" else "." if one == "_" else re.escape(one[-1]) for one in pieces)


def test_a_query_becomes_a_filter() -> None:
    asked = read_query([("state", "failed"), ("class", "gpu"), ("key.subject", " m1 "), ("page", "3")], KNOWN)
    assert asked.filter.states == (RunState.FAILED,)
    assert asked.filter.failure_class is FailureClass.GPU
    assert (asked.filter.task, asked.page) == ({"subject": "m1"}, 3)
    assert asked.query(4) == "state=failed&class=gpu&key.subject=m1&page=4"


@pytest.mark.parametrize("page", ["0", "-1", "x", "9" * 20, ""])
def test_an_odd_page_is_one_that_there_is(page: str) -> None:
    assert read_query([("page", page)], KNOWN).page in (0, 1)


@pytest.mark.parametrize(
    "query", [("state", "odd"), ("key.password", "x"), ("sort", "x"), ("pipeline", "p" * 201), ("key.subject", "m\0")]
)
def test_what_nobody_can_ask_for_is_refused(query: tuple[str, str]) -> None:
    with pytest.raises(UsageError):
        read_query([query], KNOWN)


@pytest.mark.parametrize(
    ("value", "typed"),
    [
        ("m1", "m1"),
        ("a,b", "a,b"),
        ('say "hi" \\ 50%_!', 'say "hi" \\ 50%_!'),
        (7, "7"),
        ("7", "7"),
        (True, "true"),
        (dt.datetime(2026, 1, 31, 9, 5), "2026-01-31"),
        (dt.datetime(2026, 1, 31, 9, 5), "2026-01-31 09:05"),
        (dt.date(2026, 1, 31), "2026-01-31"),
        (dt.time(9, 5), "09:05"),
        (decimal.Decimal("1.50"), "1.5"),
        (2.0, "2"),
        (uuid.UUID(int=5), str(uuid.UUID(int=5))),
    ],
)
def test_a_value_is_found_as_people_type_it(value: Any, typed: str) -> None:
    assert matches({"a": 1, "name": value, "z": "end"}, "name", typed)
    assert matches({"name": value}, "name", typed)


@given(st.text(max_size=8), st.text(max_size=8), st.text(max_size=20))
def test_only_a_whole_value_of_that_attribute_is_found(wanted: str, other: str, elsewhere: str) -> None:
    key = {"name": other, "note": f'"name":"{wanted}"{elsewhere}', "un": 5}
    assert matches(key, "name", wanted) == (wanted == other)


def test_a_number_is_not_the_beginning_of_another() -> None:
    assert not matches({"recording_id": 22, "z": 1}, "recording_id", "2")


@pytest.mark.parametrize(
    ("host", "hosts", "names"),
    [
        ("127.0.0.1", (), True),
        ("localhost", (), True),
        ("", (), False),
        ("0.0.0.0", (), False),
        ("", ("fmdj.lab.example",), True),
    ],
)
def test_a_page_of_one_machine_has_its_names_only(host: str, hosts: tuple[str, ...], names: bool) -> None:
    found = host_names(host, hosts)
    assert bool(found) == names
    assert "example.org" not in found
