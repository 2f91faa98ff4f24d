"""``fmdj import`` finds outputs, and inserts the tasks that have them imported."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.integration


def recording(site, path):
    """A recording with one video, without a task."""
    key = site.world.insert_task()
    element = site.world.lab.element
    (element.FacemapTask & key).delete(prompt=False)
    recording_key = {name: key[name] for name in element.VideoRecording.primary_key}
    element.VideoFile.update1(recording_key | {"file_id": 0, "file_path": path})
    return key["recording_id"]


def output(site, path):
    site.world.store.put_bytes(f"{site.world.bucket}/processed/{path}", b"not looked into")


def tasks(site):
    return {
        row["recording_id"]: (row["facemap_task_id"], row["task_mode"], row["facemap_output_dir"])
        for row in site.world.lab.element.FacemapTask.to_dicts()
    }


def test_outputs_get_tasks_that_load_them(site):
    one, two = recording(site, "m1/day1/cam.avi"), recording(site, "m1/day2/cam.avi")
    third = recording(site, "m1/face.mp4")
    output(site, "m1/day1/facemap_3/cam_proc.npy")
    output(site, "m1/day2/cam_proc.npy")
    output(site, "old/results/face_proc.npy")
    output(site, "old/results/nobody_proc.npy")
    shown = site.order("import", ".")
    assert tasks(site) == {}  # only shown
    assert {line["uri"].rpartition("/")[2]: line["end"] for line in shown if "nobody" in line["uri"]} == {
        "nobody_proc.npy": "no recording"
    }
    site.order("import", ".", "--yes")
    assert tasks(site) == {
        one: (3, "load", "m1/day1/facemap_3"),
        two: (0, "load", "m1/day2"),
        third: (0, "load", "old/results"),
    }
    again = site.order("import", f"{site.world.bucket}/processed/", "--yes")
    assert {line["end"] for line in again} == {"has a task", "no recording"}
    assert len(tasks(site)) == 3
    assert site.controller().run_pass().planned == 3


def test_an_output_that_may_be_anybodys_is_left_to_people(site):
    recording(site, "m1/cam.avi")
    recording(site, "m2/cam.avi")
    output(site, "elsewhere/cam_proc.npy")
    (line,) = site.order("import", "elsewhere", "--yes")
    assert line["end"] == "ambiguous"
    assert "insert the FacemapTask row yourself" in line["sentence"]
    assert "ambiguous" in site.run("import", "elsewhere").out
    assert tasks(site) == {}


def test_outputs_of_our_own_runs_are_passed_over(site):
    recording(site, "m1/cam.avi")
    output(site, "m1/facemap_0/svd-0123456789abcdef/a1/n1/facemap/main/cam_proc.npy")
    assert site.order("import", ".") == []
    assert "There is no *_proc.npy" in site.run("import", "m1").out


def test_a_task_that_computes_is_not_doubled(site):
    key = site.world.insert_task()
    output(site, "rec1/facemap_0/cam_proc.npy")
    (line,) = site.order("import", "rec1")
    assert (line["end"], line["task_id"]) == ("has a task", key["facemap_task_id"])
    assert "task_mode='trigger'" in line["sentence"]


def test_a_folder_outside_is_refused(site):
    answer = site.run("import", "s3://elsewhere/outputs")
    assert answer.code == 2
    assert "lies in no processed root" in answer.err
