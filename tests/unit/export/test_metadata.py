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


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nwbfile: {experimentr: x}", "nwbfile.experimentr, which has no place"),
        ("devices: {}", "devices, which has no place"),
        ("- 1", "must have the sections"),
        ("subject: {date_of_birth: spring}", "'spring' is no date"),
        ("a: [", "can't be read as YAML"),
    ],
)
def test_what_has_no_place_is_refused(tmp_path, text, words) -> None:
    path = tmp_path / "m.yaml"
    path.write_text(text)
    with pytest.raises(UsageError, match=words):
        read_metadata(path)
    with pytest.raises(UsageError, match="can't be read"):
        read_metadata(tmp_path / "none.yaml")
