"""What is written into a Lease."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from kubernetes_validate import validate

from fmdj_cloud.control.kube.lease import claimed, given_up, lease_name, micro_time

NOON = dt.datetime(2026, 1, 31, 12, 0, tzinfo=dt.UTC)
LATER = NOON + dt.timedelta(seconds=10, microseconds=250)


def first(holder: str = "one") -> dict[str, Any]:
    return claimed(None, "lab-controller", holder, 30, NOON)


def test_the_name_is_the_installations() -> None:
    assert lease_name("lab") == "lab-controller"


def test_a_new_lease_says_whose_it_is() -> None:
    lease = first()
    assert lease["metadata"] == {"name": "lab-controller", "labels": {"fmdj.dev/instance": "lab"}}
    assert lease["spec"] == {
        "holderIdentity": "one",
        "leaseDurationSeconds": 30,
        "acquireTime": "2026-01-31T12:00:00.000000Z",
        "renewTime": "2026-01-31T12:00:00.000000Z",
        "leaseTransitions": 0,
    }


def test_who_renews_keeps_when_it_began() -> None:
    spec = claimed(first(), "lab-controller", "one", 30, LATER)["spec"]
    assert spec["acquireTime"] == "2026-01-31T12:00:00.000000Z"
    assert spec["renewTime"] == "2026-01-31T12:00:10.000250Z"
    assert spec["leaseTransitions"] == 0


@pytest.mark.parametrize("before", ["one", ""])
def test_who_takes_it_counts_as_a_transition(before: str) -> None:
    spec = claimed(first(before), "lab-controller", "two", 30, LATER)["spec"]
    assert (spec["holderIdentity"], spec["leaseTransitions"]) == ("two", 1)
    assert spec["acquireTime"] == spec["renewTime"] == "2026-01-31T12:00:10.000250Z"


def test_what_others_wrote_stays() -> None:
    lease = first()
    lease["metadata"] |= {"resourceVersion": "7", "uid": "u", "annotations": {"lab/note": "x"}}
    lease["spec"]["strategy"] = "example.com/any"
    taken = claimed(lease, "lab-controller", "two", 30, LATER)
    assert taken["metadata"] == lease["metadata"]
    assert taken["spec"]["strategy"] == "example.com/any"


def test_a_lease_that_is_given_up_is_nobodys() -> None:
    lease = given_up(first(), LATER)
    assert lease["spec"]["holderIdentity"] == ""
    assert lease["spec"]["leaseDurationSeconds"] == 1
    assert claimed(lease, "lab-controller", "two", 30, LATER)["spec"]["leaseTransitions"] == 1


@pytest.mark.parametrize(("lease_s", "written"), [(30, 30), (2.5, 3), (0.2, 1)])
def test_durations_are_whole_seconds_and_never_none(lease_s: float, written: int) -> None:
    assert claimed(None, "lab-controller", "one", lease_s, NOON)["spec"]["leaseDurationSeconds"] == written


@pytest.mark.parametrize(
    "spec", [None, {}, {"leaseTransitions": "many", "acquireTime": None}, {"leaseTransitions": -1}]
)
def test_a_lease_that_somebody_has_spoilt_is_mended(spec: Any) -> None:
    lease = {"metadata": {"name": "lab-controller", "resourceVersion": "7"}, "spec": spec}
    taken = claimed(lease, "lab-controller", "one", 30, NOON)["spec"]
    assert (taken["leaseTransitions"], taken["acquireTime"]) == (1, "2026-01-31T12:00:00.000000Z")


def test_times_are_utc_with_six_digits() -> None:
    berlin = dt.timezone(dt.timedelta(hours=1))
    assert micro_time(dt.datetime(2026, 1, 31, 13, 0, tzinfo=berlin)) == "2026-01-31T12:00:00.000000Z"


@pytest.mark.parametrize("version", ["1.31", "1.36"])
def test_kubernetes_takes_what_is_written(version: str) -> None:
    for lease in (first(), claimed(first(), "lab-controller", "two", 30, LATER), given_up(first(), LATER)):
        validate(lease, version, strict=True)
