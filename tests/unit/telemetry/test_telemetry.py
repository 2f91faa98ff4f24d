"""What is measured: names that say their units, one registry, and what the helpers show."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from prometheus_client import generate_latest

from fmdj_cloud import telemetry
from fmdj_cloud.contracts import Kind, RunState


@pytest.fixture(autouse=True)
def _follower() -> Iterator[None]:
    yield
    telemetry.show_leadership(False)


def value(name: str, **labels: str) -> float | None:
    return telemetry.REGISTRY.get_sample_value(name, labels)


def test_the_issues_metrics_are_there() -> None:
    found = {metric.name: metric.labels for metric in telemetry.DESCRIBED}
    assert found["fmdj_runs"] == ("state", "kind", "pipeline")
    assert set(found) >= {
        "fmdj_launches_total",
        "fmdj_outcomes_total",
        "fmdj_attempt_seconds",
        "fmdj_queue_age_seconds",
        "fmdj_reconcile_seconds",
        "fmdj_api_requests_total",
        "fmdj_cache_age_seconds",
        "fmdj_loader_rows_total",
        "fmdj_loader_bytes_total",
        "fmdj_transaction_seconds",
        "fmdj_gpu_seconds_total",
        "fmdj_stages_total",
        "fmdj_leader",
        "fmdj_build_info",
    }
    assert found["fmdj_api_requests_total"] == ("verb", "resource", "code")
    assert found["fmdj_outcomes_total"][0] == "class"


@pytest.mark.parametrize("metric", telemetry.DESCRIBED, ids=lambda metric: metric.name)
def test_names_say_their_unit(metric: telemetry.Described) -> None:
    assert metric.name.startswith("fmdj_")
    assert metric.name.endswith("_total") == (metric.kind == "counter")
    assert metric.what.endswith(".")
    words = metric.name.split("_")
    assert ("Time" in metric.what or "their time" in metric.what) == ("seconds" in words)
    assert metric.what.startswith("Bytes") == ("bytes" in words)


def test_every_metric_of_ours_is_described() -> None:
    shown = {family.name for family in telemetry.REGISTRY.collect() if family.name.startswith("fmdj_")}
    described = {metric.name.removesuffix("_total").removesuffix("_info") for metric in telemetry.DESCRIBED}
    assert shown == described
    assert len(telemetry.DESCRIBED) == len(described)


def test_memory_of_the_process_is_shown() -> None:
    assert b"process_resident_memory_bytes" in generate_latest(telemetry.REGISTRY)


def test_runs_that_are_no_more_are_zero_and_not_gone() -> None:
    labels = {"kind": "svd", "pipeline": "lab"}
    telemetry.show_runs({("lab", Kind.SVD, RunState.READY): 3, ("lab", Kind.SVD, RunState.LAUNCHED): 1})
    assert value("fmdj_runs", state="ready", **labels) == 3
    telemetry.show_runs({("lab", Kind.SVD, RunState.LOADED): 4})
    assert value("fmdj_runs", state="ready", **labels) == 0
    assert value("fmdj_runs", state="launched", **labels) == 0
    assert value("fmdj_runs", state="loaded", **labels) == 4


def test_who_leads_no_more_shows_nothing_that_only_the_leader_knows() -> None:
    telemetry.show_leadership(True)
    telemetry.show_runs({("lab", Kind.SVD, RunState.READY): 3})
    telemetry.QUEUE_AGE.labels("lab").set(60)
    telemetry.JOBS_UNKNOWN.set(2)
    assert value("fmdj_leader") == 1
    telemetry.show_leadership(False)
    assert value("fmdj_leader") == 0
    assert value("fmdj_runs", state="ready", kind="svd", pipeline="lab") is None
    assert value("fmdj_queue_age_seconds", pipeline="lab") is None
    assert value("fmdj_jobs_unknown") == 0
    telemetry.show_runs({})
    assert value("fmdj_runs", state="ready", kind="svd", pipeline="lab") is None
