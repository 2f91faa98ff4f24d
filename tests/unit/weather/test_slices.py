"""Slices of the long tests are whole together."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.slices import parse_slice, piece


@given(things=st.lists(st.integers(), unique=True), pieces=st.integers(1, 20))
def test_every_test_is_in_one_slice(things: list[int], pieces: int) -> None:
    slices = [piece(things, number, pieces) for number in range(1, pieces + 1)]

    assert sorted(one for part in slices for one in part) == sorted(things)
    assert max(map(len, slices)) - min(map(len, slices)) <= 1


def test_a_slice_is_written_as_a_fraction() -> None:
    assert parse_slice("2/5") == (2, 5)


@pytest.mark.parametrize("text", ["", "0/5", "6/5", "2", "a/b", "-1/5", "1/0"])
def test_nonsense_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="write I/N"):
        parse_slice(text)
