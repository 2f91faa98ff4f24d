"""A FacemapRun as people write it, read."""

from __future__ import annotations

import datetime as dt

import pytest

from fmdj_cloud.contracts import Kind, Overrides
from fmdj_cloud.control.facemapruns.model import parse_duration, read_object, read_spec
from fmdj_cloud.errors import UsageError


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(90, 90), (0.5e2, 50), ("90s", 90), ("1h30m", 5400), ("1.5h", 5400), ("2m0.5s", 120.5), ("24h", 86400)],
)
def test_time_budgets_are_seconds_or_durations(value: object, seconds: float) -> None:
    assert parse_duration(value) == seconds


@pytest.mark.parametrize("value", ["", "h", "1", "1d", "-1h", "1h ", "1 h", "0s", 0, -5, True, None, [], "1e9h", 10**9])
def test_what_is_no_time_budget_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"neither seconds nor|not between"):
        parse_duration(value)


def test_a_whole_spec() -> None:
    spec = read_spec(
        {
            "pipeline": "lab",
            "kind": "import",
            "restriction": "subject = 'm1'",
            "keys": [{"subject": "m1", "recording_id": 3}],
            "priority": -10,
            "profile": "big",
            "shards": 4,
            "timeBudget": "1h30m",
            "retryFailed": True,
            "suspend": True,
        }
    )
    assert (spec.kind, spec.retry_failed, spec.suspend) == (Kind.IMPORT, True, True)
    assert spec.overrides == Overrides(priority=-10, profile="big", time_budget_s=5400, shards="4")


def test_a_spec_that_says_only_what_it_must() -> None:
    spec = read_spec({"pipeline": "lab", "restriction": "true"})
    assert (spec.kind, spec.overrides, spec.suspend) == (Kind.SVD, Overrides(), False)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"pipeline": None}, "spec.pipeline"),
        ({"pipeline": "Lab"}, "spec.pipeline"),
        ({"kind": "both"}, "spec.kind"),
        ({"restriction": " "}, "say which tasks"),
        ({"restriction": 7}, "spec.restriction"),
        ({"keys": [{}]}, "spec.keys.0"),
        ({"keys": [{"a": [1]}]}, "spec.keys.0.a"),
        ({"shards": 0}, "spec.shards"),
        ({"shards": "many"}, "spec.shards can't be understood: 'many' is neither a number from 1 to 1000 nor auto."),
        ({"timeBudget": "soon"}, "spec.timeBudget can't be understood: 'soon' is neither seconds"),
        ({"profile": "Big One"}, "spec.profile"),
        ({"prioritty": 3}, "spec.prioritty"),
    ],
)
def test_a_spec_that_cannot_be_understood_gets_one_sentence(change: dict, sentence: str) -> None:
    spec = {"pipeline": "lab", "restriction": "true"} | change
    with pytest.raises(UsageError) as caught:
        read_spec({name: value for name, value in spec.items() if value is not None})
    assert sentence in caught.value.sentence
    assert "\n" not in caught.value.sentence


@pytest.mark.parametrize("thing", [{}, {"metadata": None}, {"metadata": {"name": "a"}}, {"metadata": []}])
def test_what_has_no_name_and_uid_is_no_facemaprun(thing: dict) -> None:
    assert read_object(thing) is None


def test_whatever_else_is_missing_or_strange_is_no_trouble() -> None:
    run = read_object({"metadata": {"name": "a", "uid": "u", "labels": None}, "spec": None, "status": []})
    assert run is not None
    assert (run.owner, run.is_complete, run.condition("Complete"), run.observed_at()) == ("", False, {}, None)


def test_complete_is_complete_only_for_the_spec_that_was_seen() -> None:
    status = {
        "observedGeneration": 2,
        "observedAt": "2026-01-31T09:30:00.5Z",
        "instance": "there",
        "conditions": [{"type": "Complete", "status": "True"}],
    }
    metadata = {"name": "a", "uid": "u", "generation": 2, "labels": {"fmdj.dev/instance": "here"}}
    run = read_object({"metadata": metadata, "status": status})
    edited = read_object({"metadata": metadata | {"generation": 3}, "status": status})
    assert run is not None
    assert edited is not None
    assert (run.is_complete, edited.is_complete) == (True, False)
    assert run.observed_at() == dt.datetime(2026, 1, 31, 9, 30, 0, 500_000)
    assert edited.observed_at() is None
    assert run.owner == "here"
