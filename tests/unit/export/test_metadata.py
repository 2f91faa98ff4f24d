from __future__ import annotations

import datetime as dt

import pytest

from fmdj_cloud.errors import UsageError
from fmdj_cloud.export.metadata import read_metadata


def test_what_people_say_is_read(tmp_path) -> None:
    path = tmp_path / "m.yaml"
    path.write_text("nwbfile: {experimenter: [A. B.]}\nsubject: {date_of_birth: 2025-01-31}\n")
    assert read_metadata(path) == {
        "nwbfile": {"experimenter": ["A. B."]},
        "subject": {"date_of_birth": dt.date(2025, 1, 31)},
    }


def test_numbers_name_animals_and_one_text_is_a_list(tmp_path) -> None:
    path = tmp_path / "m.yaml"
    path.write_text("nwbfile: {session_id: 3, keywords: face}\nsubject: {subject_id: 5, weight: 0.02, sex: null}\n")
    assert read_metadata(path) == {
        "nwbfile": {"session_id": "3", "keywords": ["face"]},
        "subject": {"subject_id": "5", "weight": 0.02, "sex": None},
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nwbfile: {experimentr: x}", "nwbfile.experimentr, which has no place"),
        ("devices: {}", "devices, which has no place"),
        ("- 1", "must have the sections"),
        ("subject: {date_of_birth: spring}", "'spring' is no date"),
        ("a: [", "can't be read as YAML"),
        ("subject: {date_of_birth: 2025-13-45}", "can't be read as YAML"),
        ("subject: {age: 90}", "subject.age 90 is no text: write it as one, such as age: 'P90D'"),
        ("subject: {weight: 20}", "such as weight: '0.02 kg'"),
        ("nwbfile: {lab: [x]}", "nwbfile.lab .* is no text"),
        ("nwbfile: {keywords: [face, 3]}", "is no list of texts"),
    ],
)
def test_what_has_no_place_is_refused(tmp_path, text, words) -> None:
    path = tmp_path / "m.yaml"
    path.write_text(text)
    with pytest.raises(UsageError, match=words):
        read_metadata(path)
    with pytest.raises(UsageError, match="can't be read"):
        read_metadata(tmp_path / "none.yaml")
