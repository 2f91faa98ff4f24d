"""Free places go to pipelines in turn; what another run computes isn't computed beside it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest

from fmdj_cloud.contracts import Kind, RunRecord, RunState
from fmdj_cloud.control.actions import Launch
from fmdj_cloud.control.decide import RunView, decide
from fmdj_cloud.control.profiles import KubernetesProfiles
from fmdj_cloud.settings import ControllerSettings, KubernetesSettings, Settings

NOW = dt.datetime(2026, 1, 31, 12)
MakeRun = Callable[..., RunRecord]


@pytest.fixture
def ready(make_run: MakeRun) -> Callable[..., list[RunView]]:
    """Views of ready runs called ``<pipeline><n>``, older ones first."""

    def make(pipeline: str, number: int, **changes: Any) -> list[RunView]:
        created = [NOW + dt.timedelta(seconds=n) for n in range(number)]
        return [
            RunView(make_run(**{"run_id": f"{pipeline}{n}", "pipeline": pipeline, "created": when} | changes))
            for n, when in enumerate(created)
        ]

    return make


def launched(views: list[RunView], places: int, served: dict[str, int] | None = None) -> list[str]:
    actions = decide(views, (), {}, ControllerSettings(max_active=places), NOW, None, served)
    return [action.run_id for action in actions if isinstance(action, Launch)]


def test_pipelines_take_turns_however_many_one_has(ready: Callable[..., list[RunView]]) -> None:
    views = [*ready("a", 100), *ready("b", 2), *ready("c", 3)]
    assert launched(views, 7) == ["a0", "b0", "c0", "a1", "b1", "c1", "a2"]


def test_within_a_pipeline_the_most_urgent_goes_first(ready: Callable[..., list[RunView]]) -> None:
    views = [*ready("a", 2, priority=5), *ready("b", 1), *ready("b", 1, run_id="urgent", priority=-1)]
    assert launched(views, 3) == ["urgent", "a0", "b0"]


def test_a_single_place_goes_to_who_was_served_longest_ago(ready: Callable[..., list[RunView]]) -> None:
    views = [*ready("a", 100), *ready("b", 1)]
    assert launched(views, 1) == ["a0"]
    assert launched(views, 1, {"a": 1}) == ["b0"]
    assert launched(views, 1, {"a": 1, "b": 2}) == ["a0"]


def test_who_holds_fewer_places_comes_first(ready: Callable[..., list[RunView]]) -> None:
    held = ready("a", 2, state=RunState.LAUNCHED)
    views = [*held, *ready("a", 9, run_id="more"), *ready("b", 3)]
    assert launched(views, 4, {"b": 9}) == ["b0", "b1"]


def test_places_of_different_profiles_are_counted_apart(make_run: MakeRun) -> None:
    kubernetes = KubernetesSettings(profiles={"svd": {"max_active": 1}, "pose": {"max_active": 1}})
    profiles = KubernetesProfiles(Settings(kubernetes=kubernetes))
    runs = [
        make_run(run_id=f"{pipeline}-{kind}", pipeline=pipeline, kind=kind)
        for pipeline in ("a", "b")
        for kind in (Kind.SVD, Kind.POSE)
    ]
    actions = decide([RunView(run) for run in runs], (), {}, ControllerSettings(), NOW, profiles)
    assert len(actions) == 2
    assert {action.run_id.rpartition("-")[0] for action in actions if isinstance(action, Launch)} == {"a", "b"}


def test_equal_content_is_not_computed_twice_at_a_time(make_run: MakeRun) -> None:
    runs = [make_run(run_id=f"svd-{n}", content_digest="same") for n in range(3)]
    views = [RunView(run) for run in runs]
    assert launched(views, 9) == ["svd-0"]
    under_way = RunView(make_run(run_id="svd-9", content_digest="same", state=RunState.LAUNCHED))
    assert launched([under_way, *views], 9) == []
    apart = decide(views, (), {}, ControllerSettings(max_active=9, reuse=False), NOW)
    assert [action.run_id for action in apart if isinstance(action, Launch)] == ["svd-0", "svd-1", "svd-2"]


def test_equal_content_of_another_kind_is_another_thing(make_run: MakeRun) -> None:
    views = [RunView(make_run(run_id=f"r-{kind}", kind=kind, content_digest="same")) for kind in (Kind.SVD, Kind.POSE)]
    assert len(launched(views, 9)) == 2
