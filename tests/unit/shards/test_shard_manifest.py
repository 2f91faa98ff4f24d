from __future__ import annotations

import datetime as dt

from fmdj_cloud.contracts import Kind, Manifest
from fmdj_cloud.worker.stages.merge import added_up
from tests.support.shards.commits import IDENTITY, VIEW, WHEN, a_basis, a_part

MERGED = Manifest(
    **IDENTITY.model_dump(),
    kind=Kind.SVD,
    nonce="m",
    files=(),
    nframes=100,
    views=(VIEW,),
    versions={"fmdj": "1"},
    device="cpu (m)",
    threads=1,
    timings_s={"merge": 0.5, "fetch": 0.25},
    signals=(),
    warnings=("merged",),
    started=WHEN + dt.timedelta(minutes=3),
    finished=WHEN + dt.timedelta(minutes=4),
)
BASIS = a_basis(timings_s={"basis": 2.0}, warnings=("few",), versions={"fmdj": "1", "numpy": "1.26"}, device="cpu (b)")


def parts(**changes):
    return [a_part(n, shard, timings_s={"project": 1.5}, **changes) for n, shard in enumerate(BASIS.shards)]


def test_times_of_all_pods_are_added_by_what_they_did():
    made = added_up(MERGED, BASIS, parts())
    assert made.timings_s == {"basis": 2.0, "project": 3.0, "merge": 0.5, "fetch": 0.25}


def test_a_warning_of_several_pods_is_told_once_and_in_order():
    made = added_up(MERGED, BASIS, parts(warnings=("noisy",)))
    assert made.warnings == ("few", "noisy", "merged")


def test_devices_are_those_that_computed():
    assert added_up(MERGED, BASIS, parts(device="cpu (b)")).device == "cpu (b)"
    assert added_up(MERGED, None, parts(device="cuda (x)")).device == "cuda (x)"


def test_different_versions_are_told():
    made = added_up(MERGED, BASIS, parts(versions={"numpy": "1.25"}))
    assert made.versions == {"fmdj": "1", "numpy": "1.26, 1.25"}
    assert made.warnings[-1] == "Its shards were computed with different versions: numpy 1.26 and 1.25."


def test_it_began_when_the_first_pod_did():
    assert added_up(MERGED, BASIS, parts()).started == WHEN
    assert added_up(MERGED, BASIS, parts()).finished == MERGED.finished
