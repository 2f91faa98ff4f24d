"""What a run has taken, from what its attempts were given and how long they lasted."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from fmdj_cloud.contracts import AttemptRecord, Estimate, Kind, Limits, RunRecord, RunState, Stage, StageRecord, Wanted
from fmdj_cloud.control.usage import usage_of
from fmdj_cloud.settings import Settings

NOON = dt.datetime(2026, 1, 31, 12)
LIMITS = Limits(time_budget_s=60, memory_mib=2048, scratch_mib=1024, threads=2)


def run(**changes: Any) -> RunRecord:
    estimate = Estimate(frames=1, height=1, width=1, seconds=1, memory_mib=1, scratch_mib=1, source="guess")
    fields: dict[str, Any] = {
        **{"run_id": "svd-0123456789abcdef", "kind": Kind.SVD, "task_kind": Kind.SVD, "pipeline": "lab", "task": "{}"},
        **{"task_digest": "", "content_digest": "", "param_digest": "", "state": RunState.LAUNCHED},
        **{"wanted": Wanted.RUN, "attempt": 1, "priority": 0, "output_dir": "s3://b/r", "manifest_sha256": None},
        **{"failure_class": None, "sentence": "", "not_before": None, "failures": {}, "estimate": estimate},
        **{"created": NOON, "updated": NOON},
    }
    return RunRecord(**fields | changes)


def attempt(hours: float | None, **changes: Any) -> AttemptRecord:
    fields: dict[str, Any] = {
        **{"run_id": "svd-0123456789abcdef", "attempt": 1, "folder": "s3://b/r/a1", "spec_sha256": ""},
        **{"launcher": "local", "job_name": "j", "job_uid": None, "started": NOON - dt.timedelta(hours=4)},
        **{"finished": None if hours is None else NOON - dt.timedelta(hours=4 - hours), "outcome": None},
        **{"sentence": "", "evidence": {}, "limits": LIMITS},
    }
    return AttemptRecord(**fields | changes)


def stage(gpu_seconds: float | None) -> StageRecord:
    none: dict[str, Any] = {"launcher": "kubernetes", "job_name": "j", "job_uid": None, "node": None, "outcome": None}
    return StageRecord(stage=Stage.ALL, shards=1, pods=1, gpu_seconds=gpu_seconds, **none)


def test_attempts_add_up_and_one_under_way_counts_until_now() -> None:
    found = usage_of(run(), [(attempt(1.0), []), (attempt(None), [])], Settings(), NOON)
    assert (found.hours, found.core_h, found.memory_gib_h, found.gpu_h) == (5.0, 10.0, 10.0, 0.0)
    assert found.cost is None


def test_outputs_of_another_run_cost_nothing() -> None:
    assert usage_of(run(), [(attempt(1.0, launcher="reuse"), [])], Settings(), NOON).hours == 0


def test_every_pod_of_shards_counts() -> None:
    assert usage_of(run(), [(attempt(2.0, pods=4), [])], Settings(), NOON).core_h == 16


def test_cores_are_those_of_the_profile_on_kubernetes() -> None:
    settings = Settings(controller={"launcher": "kubernetes"}, kubernetes={"profiles": {"svd": {"cpu": 8}}})
    assert usage_of(run(), [(attempt(1.0), [])], settings, NOON).core_h == 8
    gone = usage_of(run(profile="gone"), [(attempt(1.0), [])], settings, NOON)
    assert gone.core_h == 2


def test_measured_gpu_time_counts_where_there_is_one() -> None:
    limits = LIMITS.model_copy(update={"gpu": 1})
    measured = usage_of(run(), [(attempt(2.0, limits=limits), [stage(1800)])], Settings(), NOON)
    assert measured.gpu_h == 0.5
    assert usage_of(run(), [(attempt(2.0, limits=limits), [stage(None)])], Settings(), NOON).gpu_h == 2.0


def test_prices_make_a_cost() -> None:
    settings = Settings(page={"price_core_h": 0.05, "price_gib_h": 0.01, "currency": "EUR"})
    found = usage_of(run(), [(attempt(1.0), [])], settings, NOON)
    assert found.cost == pytest.approx(2 * 0.05 + 2 * 0.01)
    assert found.currency == "EUR"
