"""Owners take turns."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fmdj_cloud.pipeline.turns import in_turn


def first(item: str) -> str:
    return item[0]


def test_one_of_each_after_the_other() -> None:
    assert list(in_turn(["a1", "a2", "a3", "b1", "a4", "c1", "c2"], first)) == [
        "a1",
        "b1",
        "c1",
        "a2",
        "c2",
        "a3",
        "a4",
    ]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers())))
def test_nothing_is_lost_each_order_stays_and_nobody_waits_for_two_of_another(items: list[tuple[str, int]]) -> None:
    found = list(in_turn(items, lambda item: item[0]))
    assert sorted(found) == sorted(items)
    for owner in "abc":
        assert [item for item in found if item[0] == owner] == [item for item in items if item[0] == owner]
        last = max((at for at, item in enumerate(found) if item[0] == owner), default=0)
        before = [item[0] for item in found[:last]]
        own = before.count(owner)
        assert all(before.count(other) <= own + 1 for other in "abc")
