"""Alerts and the dashboard ask for metrics that the programs show."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from fmdj_cloud.telemetry import DESCRIBED

pytestmark = pytest.mark.integration
Json = dict[str, Any]
SHOWN = {one.name: set(one.labels) for one in DESCRIBED}
SUFFIXES = ("", "_bucket", "_sum", "_count")
ADDED_BY_PROMETHEUS = {"namespace", "service", "le"}
ASKED_FOR = {
    "queue age": "fmdj_queue_age_seconds",
    "failure rate by class": "fmdj_outcomes_total",
    "stale cache": "fmdj_cache_age_seconds",
    "no leader": "fmdj_leader",
    "nothing loaded while runs wait": "fmdj_loads_total",
}


def rules(full: list[Json]) -> list[Json]:
    (found,) = (one for one in full if one["kind"] == "PrometheusRule")
    (group,) = found["spec"]["groups"]
    return list(group["rules"])


def dashboard(full: list[Json]) -> Json:
    (found,) = (one for one in full if one["metadata"]["name"] == "lab-dashboard")
    loaded: Json = json.loads(found["data"]["lab.json"])
    return loaded


@pytest.fixture(scope="session")
def queries(full: list[Json]) -> list[str]:
    """Every query of both."""
    targets = [target["expr"] for panel in dashboard(full)["panels"] for target in panel["targets"]]
    return [*(rule["expr"] for rule in rules(full)), *targets]


def metric(name: str) -> str:
    """Return the metric that a series belongs to."""
    return next((name.removesuffix(suffix) for suffix in SUFFIXES if name.removesuffix(suffix) in SHOWN), name)


def test_every_metric_exists(queries: list[str]) -> None:
    asked = {name for query in queries for name in re.findall(r"\bfmdj_\w+", query)}
    assert {metric(name) for name in asked} <= SHOWN.keys()


def test_every_label_is_one_that_the_metric_has(queries: list[str]) -> None:
    for query in queries:
        for name, matchers in re.findall(r"\b(fmdj_\w+)\{([^}]*)\}", query):
            labels = set(re.findall(r"(\w+)\s*=~?|(\w+)\s*!~?", matchers))
            used = {first or second for first, second in labels}
            assert used <= SHOWN[metric(name)] | ADDED_BY_PROMETHEUS, query


def test_brackets_are_closed(queries: list[str]) -> None:
    for query in queries:
        depth = 0
        for sign in query:
            depth += (sign in "([{") - (sign in ")]}")
            assert depth >= 0, query
        assert depth == 0, query


def test_there_is_an_alert_for_each_thing_that_goes_wrong_unseen(full: list[Json]) -> None:
    expressions = [rule["expr"] for rule in rules(full)]
    for what, name in ASKED_FOR.items():
        assert any(name in expression for expression in expressions), what


def test_every_alert_says_what_to_do(full: list[Json]) -> None:
    for rule in rules(full):
        assert rule["labels"]["severity"] in ("info", "warning", "critical")
        assert rule["annotations"].keys() == {"summary", "description"}
        assert rule["for"]


def test_failures_of_one_class_are_compared_with_all_attempts(full: list[Json]) -> None:
    (rule,) = (one for one in rules(full) if one["alert"] == "FmdjAttemptsFail")
    assert "group_left" in rule["expr"]
    assert 'class!~"published|disrupted"' in rule["expr"]


def test_alerts_are_of_this_release(full: list[Json]) -> None:
    for rule in rules(full):
        for matchers in re.findall(r"\bfmdj_\w+\{([^}]*)\}", rule["expr"]):
            assert 'namespace="lab-ns"' in matchers
            assert re.search(r'service="lab-(controller|loader)"', matchers)


def test_panels_don_t_lie_on_each_other(full: list[Json]) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard(full)["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
