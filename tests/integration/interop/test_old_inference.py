"""Pose inference in a schema that DataJoint 0.14 declared: its models are read, its client reads what is loaded."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np
import pytest

from fmdj_cloud.contracts import Kind, PoseParams
from fmdj_cloud.load.results import LoadEnd
from fmdj_cloud.pipeline.inference_tables import BODY_PARTS
from fmdj_cloud.pipeline.trajectory import get_trajectory
from tests.support.datajoint014.lab import OldLab
from tests.support.pose import signals as pose

pytestmark = pytest.mark.integration
MakeLab = Callable[..., OldLab]
MODEL = b"weights\0of a network"


def test_an_attached_model_and_its_body_parts_are_read(make_old_lab: MakeLab) -> None:
    lab = make_old_lab("session_uuid : uuid")
    key = lab.add_pose_task({"session_uuid": "00112233-4455-6677-8899-aabbccddeeff"}, MODEL, list(BODY_PARTS))
    tasks = lab.open()[1].tasks(Kind.POSE)
    (found,) = tasks.pending(10)
    task = tasks.get(found)
    assert task is not None
    assert task.model is not None
    assert (task.model.name, set(task.model.body_parts)) == ("face", set(BODY_PARTS))
    assert [(file.name, file.sha256, file.size) for file in task.model.files] == [
        ("face.pt", hashlib.sha256(MODEL).hexdigest(), len(MODEL))
    ]
    assert list(task.bbox) == [0, 32, 0, 48]
    assert found["model_id"] == key["model_id"]


def test_points_that_are_loaded_are_read_joined_and_deleted_by_the_labs_client(make_old_lab: MakeLab) -> None:
    lab = make_old_lab("subject : varchar(8)\nsession_date : date")
    key = lab.add_pose_task({"subject": "m1", "session_date": "2024-02-29"}, MODEL, list(BODY_PARTS))
    tasks = lab.open()[1].tasks(Kind.POSE)
    (found,) = tasks.pending(10)
    path = lab.folder / "pose.h5"
    pose.write(path, run_id=lab.run_id_of(found, path.name, Kind.POSE), views=(0,))
    params = PoseParams(
        model_uri="s3://b/face.pt", model_sha256=hashlib.sha256(MODEL).hexdigest(), body_parts=BODY_PARTS
    )
    lab.publish(found, path, pose.manifest(views=pose.manifest().views[:1]), Kind.POSE, pose=params)
    (result,) = lab.load()
    assert result.end is LoadEnd.LOADED, result
    paw = get_trajectory(lab.open()[1].inference, found, "paw")["face"]["paw"]
    np.testing.assert_array_equal(paw.to_numpy(), pose.points(0, BODY_PARTS.index("paw")))
    read = lab.run(
        """
        joined = FacemapInference * FacemapInference.BodyPartPosition & key
        result = {
            "run": (FacemapInference & key).fetch1("total_frame_count", "inference_run_duration"),
            "parts": joined.fetch("body_part", "x_pos", "y_pos", "likelihood", order_by="body_part"),
            "info": len(RecordingInfo()),
            "found": (element.opened(ours).LabBindingPose & key).fetch1("state"),
            "left": ((FacemapInferenceTask & key).delete(), len(FacemapInference.BodyPartPosition()))[1],
        }
        """,
        key=key,
    )
    assert read["run"][0] == pose.NFRAMES
    names, xs, ys, likelihoods = read["parts"]
    assert sorted(names) == sorted(BODY_PARTS)
    for name, *values in zip(names, xs, ys, likelihoods, strict=True):
        np.testing.assert_array_equal(np.stack(values, axis=1), pose.points(0, BODY_PARTS.index(name)))
    assert (read["info"], read["found"], read["left"]) == (1, "planned", 0)
