"""Which pod is the controller's."""

from __future__ import annotations

from typing import Any

import pytest

from fmdj_cloud.errors import UsageError
from fmdj_cloud.kubectl.pods import NoControllerError, choose, releases


def pod(
    name: str,
    release: str = "fmdj",
    *,
    ready: bool = True,
    state: dict[str, Any] | None = None,
    container: str = "controller",
    helm: str = "",
    phase: str = "Running",
    **metadata: Any,
) -> dict[str, Any]:
    labels = {"fmdj.dev/instance": release} | ({"app.kubernetes.io/instance": helm} if helm else {})
    return {
        "metadata": {"name": name, "namespace": "lab", "labels": labels, **metadata},
        "status": {
            "phase": phase,
            "conditions": [{"type": "Ready", "status": str(ready)}],
            "containerStatuses": [{"name": container, "state": {"running": {}} if state is None else state}],
        },
    }


PLACE = "namespace lab"
WAITING = {"waiting": {"reason": "CrashLoopBackOff"}}


def test_the_controller_is_found() -> None:
    target = choose([pod("a")], None, PLACE)
    assert (target.pod, target.namespace, target.remark) == ("a", "lab", "")


def test_the_release_is_chosen_by_its_instance() -> None:
    assert choose([pod("a", "one"), pod("b", "two")], "two", PLACE).pod == "b"


def test_the_release_is_chosen_by_its_helm_name() -> None:
    assert choose([pod("a", "one", helm="x"), pod("b", "two", helm="y")], "y", PLACE).pod == "b"


def test_of_several_pods_the_newest_ready_one_is_taken() -> None:
    pods = [
        pod("old", creationTimestamp="2026-01-01T00:00:00Z"),
        pod("new", creationTimestamp="2026-01-02T00:00:00Z"),
        pod("starting", creationTimestamp="2026-01-03T00:00:00Z", ready=False),
        pod("ending", creationTimestamp="2026-01-04T00:00:00Z", deletionTimestamp="2026-01-05T00:00:00Z"),
    ]
    assert choose(pods, None, PLACE).pod == "new"


def test_one_that_runs_but_is_not_ready_is_taken_with_a_remark() -> None:
    target = choose([pod("a", ready=False), pod("b", ready=False, state=WAITING)], None, PLACE)
    assert target.pod == "a"
    assert "isn't ready" in target.remark


def test_none_at_all_says_where_to_look() -> None:
    with pytest.raises(NoControllerError, match=r"No fmdj controller is in namespace lab: .*--namespace.*--context"):
        choose([], None, PLACE)


def test_none_of_that_release_names_those_there_are() -> None:
    with pytest.raises(NoControllerError, match=r"release three is in namespace lab: there is one or two\."):
        choose([pod("a", "one"), pod("b", "two")], "three", PLACE)


def test_none_of_that_release_where_there_is_no_other() -> None:
    with pytest.raises(NoControllerError, match="No controller of release three is in namespace lab"):
        choose([], "three", PLACE)


def test_several_releases_are_named() -> None:
    with pytest.raises(UsageError, match=r"Several releases .*choose a, b or c with `--release`"):
        choose([pod("x", "b"), pod("y", "a"), pod("z", "c")], None, PLACE)


@pytest.mark.parametrize(
    ("one", "why"),
    [
        (pod("a", state=WAITING), "pod a is CrashLoopBackOff"),
        (pod("a", state={"terminated": {"reason": "OOMKilled"}}), "pod a is OOMKilled"),
        (pod("a", deletionTimestamp="2026-01-01T00:00:00Z"), "pod a is being deleted"),
        (pod("a", container="other"), "pod a has no container `controller`"),
        (pod("a", state={}, phase="Pending"), "pod a is Pending"),
        ({"metadata": {"name": "a", "labels": {"fmdj.dev/instance": "fmdj"}}}, "pod a is new"),
    ],
)
def test_one_that_does_not_run_says_why(one: dict[str, Any], why: str) -> None:
    with pytest.raises(NoControllerError, match=why):
        choose([one], None, PLACE)


def test_releases_are_those_of_the_pods() -> None:
    assert releases([pod("x", "b"), pod("y", "a"), pod("z", "b"), {"metadata": {"name": "n"}}]) == ["a", "b"]
