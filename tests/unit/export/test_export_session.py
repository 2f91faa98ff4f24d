from __future__ import annotations

import datetime as dt

import pytest

from fmdj_cloud.pipeline.session import session_facts

KEY = {"subject": "m1", "session_id": 3, "recording_id": 1}
START = dt.datetime(2026, 1, 31, 9, 30)


def test_names_that_elements_use_are_known() -> None:
    facts = session_facts(
        KEY,
        [
            {**KEY, "device": "side camera"},
            {"subject": "m1", "session_id": 3, "session_datetime": START},
            {"subject": "m1", "sex": "f", "subject_birth_date": dt.date(2025, 10, 1), "subject_description": "tame"},
            {"species": "Mus musculus", "line": "C57"},
        ],
    )
    assert (facts.session_id, facts.start, facts.device) == ("m1_3", START, "side camera")
    assert facts.subject is not None
    assert facts.subject.subject_id == "m1"
    assert facts.subject.fields == {
        "sex": "F",
        "date_of_birth": dt.date(2025, 10, 1),
        "description": "tame",
        "species": "Mus musculus",
        "strain": "C57",
    }
    assert facts.notes == ()


def test_a_time_in_the_key_counts() -> None:
    facts = session_facts({"mouse": 7, "session_datetime": START, "recording_id": 1}, [])
    assert (facts.start, facts.session_id) == (START, "7_2026-01-31T09:30:00")
    assert facts.subject is not None
    assert (facts.subject.subject_id, facts.subject.fields) == ("7", {"sex": "U"})


def test_a_mere_date_stands_for_its_midnight_and_is_told() -> None:
    facts = session_facts({"animal_id": 7, "session_date": START.date(), "recording_id": 1}, [])
    assert facts.start == dt.datetime(2026, 1, 31)
    assert "midnight" in facts.notes[0]


@pytest.mark.parametrize("rows", [[], [{"sex": "hermaphrodite", "dob": "spring"}]])
def test_what_is_unknown_is_left_out(rows) -> None:
    facts = session_facts({"subject": "m1", "session": 1, "recording_id": 1}, rows)
    assert facts.start is None
    assert facts.subject is not None
    assert facts.subject.fields == {"sex": "U"}
    assert session_facts({"session": 1, "recording_id": 1}, rows).subject is None
