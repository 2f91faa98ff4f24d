"""Whatever the cluster shows, diagnosis says something valid, and never that what may run is over."""

from __future__ import annotations

import copy
import datetime as dt
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from fmdj_cloud.contracts import JobPhase
from fmdj_cloud.control.launchers.kubernetes.cases import SIGNS, Case
from fmdj_cloud.control.launchers.kubernetes.diagnosis import Finding, diagnose_job
from fmdj_cloud.control.launchers.kubernetes.indexed import INDEX_LABEL
from fmdj_cloud.control.launchers.kubernetes.pods import GONE
from fmdj_cloud.settings import KubernetesSettings
from tests.support.kube.ended_jobs import ENDINGS
from tests.support.kube.statuses import NOW, ago
from tests.support.kube.waiting_jobs import WAITINGS

SETTINGS = KubernetesSettings()
KNOWN = [*ENDINGS.values(), *WAITINGS.values()]

words = st.sampled_from(
    [
        "",
        "True",
        "False",
        "Running",
        "Failed",
        "Succeeded",
        "Evicted",
        "OOMKilled",
        "worker",
        "node-1",
        ago(0),
        ago(10**6),
    ]
)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | words | st.text(max_size=8)
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words | st.text(max_size=4), inner, max_size=3)
)


def paths(value: Any, path: tuple[Any, ...] = ()):
    """All places in a JSON value."""
    if path:
        yield path
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from paths(child, (*path, key))


def indexed(job: dict[str, Any], pods: list[dict[str, Any]], shards: list[int]) -> None:
    """Make it a Job with a pod for every shard."""
    job["spec"] |= {"completionMode": "Indexed", "completions": 4, "parallelism": 2}
    for pod, shard in zip(pods, shards, strict=False):
        pod["metadata"].setdefault("labels", {})[INDEX_LABEL] = str(shard)


@st.composite
def damaged(draw):
    """A known Job with a few places lost, or holding anything at all."""
    seen = draw(st.sampled_from(KNOWN))
    whole: dict[str, Any] = copy.deepcopy({"job": seen.job, "pods": seen.pods, "events": seen.events})
    if draw(st.booleans()):
        indexed(whole["job"], whole["pods"], draw(st.lists(st.integers(0, 3), min_size=9, max_size=9)))
    for _ in range(draw(st.integers(0, 3))):
        places = [path for path in paths(whole) if len(path) > 1]
        if not places:
            break
        path = draw(st.sampled_from(places))
        target = whole
        for key in path[:-1]:
            target = target[key]
        if isinstance(target, dict) and draw(st.booleans()):
            del target[path[-1]]
        else:
            target[path[-1]] = draw(anything)
    return whole["job"], whole["pods"], whole["events"]


def check(finding: Finding) -> None:
    over = finding.phase is JobPhase.ENDED
    assert (finding.outcome is not None) == over
    assert not (over and finding.give_up is not None)
    assert not (over and finding.waiting)
    assert not (finding.leaked and not over)
    assert over or finding.waiting or finding.case is Case.RUNNING
    for outcome in (finding.outcome, finding.give_up):
        if outcome is not None and not outcome.ok:
            assert outcome.sentence
            named = SIGNS[Case(outcome.evidence["case"])].failure if "case" in outcome.evidence else None
            assert named in (None, outcome.failure_class)
    assert Finding.model_validate_json(finding.model_dump_json()) == finding


@settings(max_examples=400, deadline=None)
@given(damaged())
def test_it_is_total_over_damaged_statuses(seen):
    job, pods, events = seen
    check(diagnose_job(job, pods, events, NOW, SETTINGS))


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(st.sampled_from(["metadata", "spec", "status"]), anything),
    st.lists(st.dictionaries(st.sampled_from(["metadata", "spec", "status", GONE]), anything), max_size=3),
    st.lists(st.dictionaries(st.sampled_from(["involvedObject", "reason", "message", "series"]), anything), max_size=3),
)
def test_it_is_total_over_anything_at_all(job, pods, events):
    check(diagnose_job(job, pods, events, NOW, SETTINGS))


def alive(pod: dict[str, Any]) -> bool:
    """Whether a Pod may run, as Kubernetes documents it."""
    ended = pod.get("status", {}).get("phase") in ("Succeeded", "Failed")
    unbound = "deletionTimestamp" in pod["metadata"] and not pod.get("spec", {}).get("nodeName")
    return not (ended or unbound or pod.get(GONE))


@settings(max_examples=500, deadline=None)
@given(st.sampled_from(KNOWN), st.sampled_from(KNOWN), st.integers(-(10**7), 10**7))
def test_what_may_still_run_is_never_over_unless_leaked(job_of, pods_of, seconds):
    now = NOW + dt.timedelta(seconds=seconds)
    finding = diagnose_job(job_of.job, pods_of.pods, pods_of.events, now, SETTINGS)
    if any(alive(pod) for pod in pods_of.pods):
        assert finding.phase is JobPhase.RUNNING or finding.leaked


@given(st.sampled_from(KNOWN), st.integers(0, 10**6), st.integers(0, 10**6))
def test_time_alone_never_brings_back_what_was_over(seen, first, later):
    def at(seconds: int) -> Finding:
        return diagnose_job(seen.job, seen.pods, seen.events, NOW + dt.timedelta(seconds=seconds), SETTINGS)

    before, after = at(min(first, later)), at(max(first, later))
    if before.phase is JobPhase.ENDED:
        assert after.phase is JobPhase.ENDED


@given(st.sampled_from(KNOWN), st.permutations(range(4)))
def test_the_order_in_which_things_are_told_does_not_matter(seen, order):
    def shuffled(things: list[Any]) -> list[Any]:
        return [things[index] for index in order if index < len(things)]

    assert diagnose_job(seen.job, shuffled(seen.pods), shuffled(seen.events), NOW, SETTINGS) == diagnose_job(
        seen.job, seen.pods, seen.events, NOW, SETTINGS
    )


@given(st.sampled_from(KNOWN))
def test_nothing_that_is_shown_is_changed(seen):
    before = copy.deepcopy(tuple(seen[:3]))
    diagnose_job(*seen[:3], NOW, SETTINGS)
    assert tuple(seen[:3]) == before
