"""What housekeeping may delete: one behaviour at a time."""

from __future__ import annotations

import datetime as dt

import pytest
from pydantic import ValidationError

from fmdj_cloud.contracts import RunState
from fmdj_cloud.control.gc.decide import OVER, decide
from fmdj_cloud.control.gc.facts import (
    Facts,
    Heap,
    JobFact,
    References,
    RunFact,
    Thing,
    Upload,
    attempt_of,
    thing_of,
)
from fmdj_cloud.settings import GcSettings

NOW = dt.datetime(2026, 6, 1)
LONG_AGO = dt.datetime(2020, 1, 1)
RUN = "svd-0123456789abcdef"
PLACE = f"m1/facemap_0/{RUN}/a1"
KEEP = GcSettings()


def run(state=RunState.FAILED, **changes):
    values = {
        "run_id": RUN,
        "pipeline": "lab",
        "state": state,
        "attempt": 1,
        "updated": LONG_AGO,
    }
    return RunFact(**{**values, **changes})


def heap(thing=Thing.OUTPUTS, **changes):
    values = {
        "folder": f"s3://b/processed/{PLACE}",
        "place": PLACE,
        "run_id": RUN,
        "attempt": 1,
        "thing": thing,
        "files": 2,
        "size": 10,
        "newest": LONG_AGO,
    }
    return Heap(**{**values, **changes})


def facts(one, *heaps, **changes):
    runs = {} if one is None else {one.run_id: one}
    return Facts(**{"now": NOW, "runs": runs, "pipelines": {"lab"}, "heaps": heaps or (heap(),), **changes})


def goes(found):
    return [line.thing for line in decide(found, KEEP) if line.goes]


@pytest.mark.parametrize("state", sorted(OVER - {RunState.LOADED}))
def test_what_a_run_that_is_over_has_left_goes(state):
    assert goes(facts(run(state))) == [Thing.OUTPUTS]


@pytest.mark.parametrize("state", sorted(set(RunState) - OVER))
def test_nothing_of_a_run_under_way_goes_not_even_of_its_earlier_attempts(state):
    assert decide(facts(run(state, attempt=3), *(heap(thing) for thing in Thing)), KEEP) == ()


def test_loaded_outputs_stay_and_those_of_the_attempts_before_go():
    assert goes(facts(run(RunState.LOADED))) == []
    assert goes(facts(run(RunState.LOADED, attempt=2))) == [Thing.OUTPUTS]


def test_parts_of_loaded_outputs_go_although_the_task_points_at_them():
    references = References(runs={RUN}, attempts={(RUN, 1)})
    things = (Thing.OUTPUTS, Thing.PARTS, Thing.LOGS, Thing.SPECS)
    found = facts(run(RunState.LOADED, has_result=True), *(heap(thing) for thing in things), references=references)
    assert goes(found) == [Thing.PARTS]
    assert goes(found.model_copy(update={"references": References(places={PLACE})})) == []


def test_an_attempt_that_the_ledger_does_not_know_stays():
    assert goes(facts(run(attempt=1), heap(attempt=2))) == []


def test_outputs_stay_whose_task_has_results_that_may_be_these():
    superseded = run(RunState.SUPERSEDED, manifest_sha256="d" * 64, has_result=True)
    assert goes(facts(superseded)) == []
    assert goes(facts(superseded.model_copy(update={"has_result": False}))) == [Thing.OUTPUTS]


@pytest.mark.parametrize(
    "references",
    [
        References(runs={RUN}),
        References(attempts={(RUN, 1)}),
        References(places={PLACE}),
        References(places={"m1/facemap_0"}),
    ],
    ids=["facemap_output_dir", "manifest", "loaded from", "loaded from a folder above"],
)
def test_what_is_referred_to_stays(references):
    assert goes(facts(run(), references=references)) == []


def test_a_reference_to_another_folder_keeps_nothing():
    others = References(runs={"svd-" + "f" * 16}, attempts={(RUN, 2)}, places={"facemap_0", "m1/facemap_00"})
    assert goes(facts(run(), references=others)) == [Thing.OUTPUTS]


def test_runs_of_pipelines_that_are_in_no_settings_stay():
    assert goes(facts(run(pipeline="gone"))) == []


@pytest.mark.parametrize("thing", [Thing.OUTPUTS, Thing.PARTS, Thing.LOGS, Thing.SPECS])
def test_each_kind_has_its_own_time(thing):
    days = getattr(KEEP, f"{thing}_days")
    for hours, expected in ((-1, []), (1, [thing])):
        ended = NOW - dt.timedelta(days=days, hours=hours)
        assert goes(facts(run(updated=ended), heap(thing))) == expected
        assert goes(facts(run(), heap(thing, newest=ended))) == expected  # somebody has written there since


def test_what_the_ledger_does_not_know_is_reported_and_stays():
    (line,) = decide(facts(None), KEEP)
    assert not line.goes
    assert "recover" in line.why


def test_uploads_go_once_their_run_is_over_and_they_are_old():
    upload = Upload(uri=f"s3://b/processed/{PLACE}/pod/signals.h5", run_id=RUN, size=5, started=LONG_AGO)
    only = {"heaps": (), "uploads": (upload,)}
    assert goes(facts(run(), **only)) == [Thing.UPLOADS]
    assert goes(facts(run(RunState.LAUNCHED), **only)) == []
    assert goes(facts(None, **only)) == []
    fresh = upload.model_copy(update={"started": NOW - dt.timedelta(days=KEEP.uploads_days, hours=-1)})
    assert goes(facts(run(), heaps=(), uploads=(fresh,))) == []


def test_jobs_without_a_run_go_unless_the_ledger_is_empty():
    job = JobFact(name="fmdj-x", run_id="svd-" + "e" * 16, over=False, created=NOW - dt.timedelta(hours=2))
    assert goes(facts(run(RunState.LOADED), heaps=(), jobs=(job,))) == [Thing.JOBS]
    (line,) = decide(facts(None, heaps=(), jobs=(job,)), KEEP)
    assert (line.goes, line.age_s) == (False, 7200)


def test_a_job_that_says_no_run_is_somebodys_own():
    job = JobFact(name="a-persons", run_id="", over=False)
    (line,) = decide(facts(run(RunState.LOADED), heaps=(), jobs=(job,)), KEEP)
    assert not line.goes
    assert "a person's own" in line.why


@pytest.mark.parametrize(
    ("name", "thing"),
    [
        ("spec.json", Thing.SPECS),
        ("manifest.json", Thing.OUTPUTS),
        ("basis.json", Thing.PARTS),
        ("part-12.json", Thing.PARTS),
        ("pod-1/manifest.json", Thing.OUTPUTS),
        ("pod-1/signals.h5", Thing.OUTPUTS),
        ("pod-1/facemap/main/cam_proc.npy", Thing.OUTPUTS),
        ("pod-1/facemap/main/cam_FacemapPose.h5", Thing.OUTPUTS),
        ("pod-1/facemap/main/cam_FacemapPose_metadata.pkl", Thing.OUTPUTS),
        ("pod-1/facemap/main/figure-for-the-paper.pdf", None),
        ("pod-1/run.log", Thing.LOGS),
        ("pod-1/captured/run.log", Thing.LOGS),
        ("pod-1/progress.json", Thing.LOGS),
        ("pod-1/parts/part-0.npy", Thing.PARTS),
        ("pod-1/part.h5", Thing.PARTS),
        ("pod-1/part-3.json", Thing.PARTS),
        ("pod-1/my-notes.txt", None),
        ("notes.txt", None),
        ("Pod/signals.h5", None),
        ("../spec.json", None),
    ],
)
def test_files_are_known_by_name_and_others_are_nobodys(name, thing):
    assert thing_of(name) is thing


@pytest.mark.parametrize(
    "path", ["m1/cam.avi", f"m1/{RUN}/spec.json", f"{RUN}/a0/spec.json", f"{RUN}/a1", "svd-0123/a1/spec.json"]
)
def test_a_path_outside_of_attempt_folders_is_none(path):
    assert attempt_of(path) is None


def test_a_spec_is_kept_as_long_as_what_was_made_from_it():
    with pytest.raises(ValidationError, match="specs_days"):
        GcSettings(specs_days=30, outputs_days=60)
    with pytest.raises(ValidationError):
        GcSettings(parts_days=0)
