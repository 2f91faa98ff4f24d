"""What quality control found is stored with each load, loaded or not."""

from __future__ import annotations

import datajoint as dj
import numpy as np
import pytest

from fmdj_cloud.contracts import FailureClass, RunState, Verdict
from fmdj_cloud.load.results import LoadEnd
from fmdj_cloud.telemetry import REGISTRY

from .conftest import PoseWorld, World

pytestmark = pytest.mark.integration
STILL = {"motion": {1: np.full(60, 7.0)}}


def flagged(world: World, run) -> dict[tuple[str, str], Verdict]:
    """What didn't pass, by check and part."""
    found = world.ledger.quality(run.run_id)
    return {(one.check, one.part): one.verdict for one in found if one.verdict is not Verdict.PASS}


def counted(check: str, verdict: str) -> float:
    labels = {"check": check, "verdict": verdict, "pipeline": "lab"}
    return REGISTRY.get_sample_value("fmdj_quality_findings_total", labels) or 0.0


def test_a_good_load_keeps_what_was_checked(world: World) -> None:
    run = world.publish(world.insert_task())
    assert world.ledger.quality(run.run_id) == ()
    world.loader().run_pass()

    found = world.ledger.quality(run.run_id)
    assert {one.verdict for one in found} == {Verdict.PASS}
    assert {"frames", "nan", "flat", "norm", "clipping", "lost_pupil", "saturation"} <= {one.check for one in found}
    (lost,) = [one for one in found if one.check == "lost_pupil"]
    assert (lost.part, lost.roi_no, lost.value, lost.threshold) == ("region 2 pupil area", 2, 0.0, 0.1)
    assert (lost.run_id, lost.attempt, lost.sentence, lost.accepted) == (run.run_id, 1, "", False)
    assert lost.checked <= world.database.now()


def test_what_is_flagged_is_loaded_stored_and_counted(world: World) -> None:
    before = counted("flat", "warn")
    key = world.insert_task()
    run = world.publish(key, file={"blink": np.full(60, 3.0)})

    (result,) = world.loader().run_pass()

    assert result.end is LoadEnd.LOADED
    assert world.rows(key)["FacialSignal"] == 1
    assert flagged(world, run) == {("flat", "region 3 blink trace"): Verdict.WARN}
    assert counted("flat", "warn") == before + 1


def test_what_fails_is_stored_and_not_loaded_until_it_is_accepted_by_name(world: World) -> None:
    key = world.insert_task()
    run = world.publish(key, file=STILL)

    (result,) = world.loader().run_pass()

    assert result.end is LoadEnd.FAILED
    assert "is flat: it doesn't change over 1 of the recording (at most 0.99)" in result.sentence
    assert "accept the check `flat`" in result.sentence
    failed = world.run(run)
    assert (failed.state, failed.failure_class) == (RunState.FAILED, FailureClass.LOAD)
    assert flagged(world, run) == {("flat", "region 1 motion"): Verdict.FAIL}

    task = world.lab.tasks(world.kind).get(key)
    world.ledger.accept(task, ["flat"], "a person")
    binding = world.ledger.binding("lab", world.kind, key)
    assert world.ledger.reopen(binding, "Somebody asked to retry it.")
    plan = world.ledger.plan_of(run.run_id)
    again = world.ledger.plan(
        task, run.run_id, run.content_digest, plan, run.output_dir, manifest_verifies=lambda *_: True, epoch=world.epoch
    )
    assert again.state is RunState.PUBLISHED
    (result,) = world.loader().run_pass()

    assert result.end is LoadEnd.LOADED
    assert result.warnings[0].startswith("Accepted: The motion of region 1")
    assert flagged(world, run) == {("flat", "region 1 motion"): Verdict.WARN}
    (accepted,) = [one for one in world.ledger.quality(run.run_id) if one.accepted]
    assert accepted.check == "flat"
    (by,) = world.ledger.acceptances(run.task_digest)
    assert (by.check, by.accepted_by) == ("flat", "a person")


def test_limits_are_settings(world: World) -> None:
    quality = {"flat": {"warn": None, "fail": None}}
    load = world.settings.load.model_validate({**world.settings.load.model_dump(), "quality": quality})
    world.settings = world.settings.model_copy(update={"load": load})
    run = world.publish(world.insert_task(), file=STILL)

    (result,) = world.loader().run_pass()

    assert result.end is LoadEnd.LOADED
    assert flagged(world, run) == {}
    (found,) = [one for one in world.ledger.quality(run.run_id) if (one.check, one.part) == ("flat", "region 1 motion")]
    assert (found.value, found.threshold) == (1.0, None)


def test_frames_are_compared_with_the_labs_recording_info(world: World) -> None:
    key = world.insert_task()
    recording = {name: key[name] for name in ("subject", "session_id", "recording_id")}
    info = {"px_height": 32, "px_width": 48, "nframes": 70, "fps": 30, "recording_duration": 2.3}
    world.lab.element.RecordingInfo.insert1(recording | info, allow_direct_insert=True)
    run = world.publish(key)

    (result,) = world.loader().run_pass()

    assert result.end is LoadEnd.LOADED
    assert flagged(world, run) == {("recording_frames", ""): Verdict.WARN}
    assert "60 frames were computed and RecordingInfo says 70" in result.warnings[0]


def test_datajoint_2_reads_and_joins_the_table(world: World) -> None:
    key = world.insert_task()
    world.publish(key, file={"blink": np.full(60, 3.0)})
    world.loader().run_pass()
    schema = world.database.ledger_schema
    options = {"connection": world.database.connection, "create_schema": False, "create_tables": False}
    fmdj = dj.VirtualModule("fmdj", schema, **options)

    flagged = fmdj.Quality() & "verdict <> 'pass'"
    (row,) = fmdj.LabBindingSvd.proj("run_id").join(flagged, semantic_check=False).to_dicts()

    assert {name: row[name] for name in key} == key
    assert (row["check_name"], row["value"], row["threshold"]) == ("flat", 1.0, 0.99)


def test_rows_are_those_of_the_last_look(world: World) -> None:
    run = world.publish(world.insert_task())
    world.loader().run_pass()
    first = world.ledger.quality(run.run_id)
    world.ledger.keep_quality(run.run_id, 2, first[:3])
    assert [(one.check, one.attempt) for one in world.ledger.quality(run.run_id)] == [
        (one.check, 2) for one in first[:3]
    ]


def test_what_a_rolled_back_load_found_is_rolled_back(world: World) -> None:
    key = world.insert_task()
    run = world.publish(key)
    world.lab.element.FacemapTask.update1(key | {"facemap_params": {"sbin": 8}})

    (result,) = world.loader().run_pass()

    assert result.end is LoadEnd.SUPERSEDED
    assert world.ledger.quality(run.run_id) == ()


def test_keypoints_are_judged_by_body_part(pose: PoseWorld) -> None:
    def hidden(view, part, points) -> None:
        if (view, part) == (1, "paw"):
            points[:, 2] = 0.1

    run = pose.publish(pose.insert_task(), file={"change": hidden})

    (result,) = pose.loader().run_pass()

    assert result.end is LoadEnd.LOADED
    assert flagged(pose, run) == {("low_likelihood", "view 1 paw"): Verdict.WARN}
    counted = {one.part: one for one in pose.ledger.quality(run.run_id) if one.check == "likelihoods"}
    paw = counted["view 1 paw"]
    assert (paw.value, paw.verdict) == (pytest.approx(0.1, abs=0.011), Verdict.PASS)
    assert paw.sentence == "Frames by tenths of likelihood, from 0 to 1: 0, 60, 0, 0, 0, 0, 0, 0, 0, 0."
    assert len(counted) > 1
