"""A recording of two views and two files each, with results of both kinds that were computed and loaded."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fmdj_cloud.contracts import ViewFrames
from fmdj_cloud.settings import DatabaseSettings, S3Settings
from fmdj_cloud.storage import Store
from tests.integration.load.conftest import PoseWorld, World, _world

RECORDING = {"subject": "m1", "session_id": 1, "recording_id": 1}
SVD = {**RECORDING, "facemap_task_id": 0}
POSE = {**RECORDING, "model_id": 1}
VIEWS = [[0, 1], [2, 3]]
"""File ids: two files after each other, of two cameras."""
VIDEOS = ("m1/left_0.avi", "m1/right_0.avi", "m1/left_1.avi", "m1/right_1.avi")
_VIEW = ViewFrames(height=32, width=48, fps=29.97, frames=(40, 20), header_frames=(40, 20))
_KINDS = ((1, 0, 16, 0, 24), (0, 4, 12, 4, 12), (2, 4, 12, 4, 12), (3, 16, 32, 0, 48))
"""rind and box of the ROIs, as in the runs' parameters."""


def rois() -> list[dict[str, Any]]:
    """The ROIs as the Facemap GUI saves them."""
    return [
        {
            "rind": rind,
            "ivid": 0,
            "yrange": np.arange(y0, y1),
            "xrange": np.arange(x0, x1),
            "ellipse": np.ones((y1 - y0, x1 - x0), bool),
            "saturation": 100.0,
            "pupil_sigma": 2.0,
        }
        for rind, y0, y1, x0, x1 in _KINDS
    ]


class Recorded:
    """The recording, and what of it was loaded."""

    def __init__(self, pose: PoseWorld) -> None:
        self.pose = pose
        self.lab, self.ledger, self.store, self.folder = pose.lab, pose.ledger, pose.store, pose.folder
        self.svd = World(pose.settings, pose.database, pose.ledger, pose.lab, pose.store, pose.folder)
        self.svd.epoch = pose.epoch
        element = pose.lab.element
        element.VideoRecording.insert1({**RECORDING, "device": "camera"})
        for number, path in enumerate(VIDEOS):
            element.VideoFile.insert1({**RECORDING, "file_id": number, "file_path": path})
        element.RecordingInfo.insert1(
            {
                **RECORDING,
                "px_height": 32,
                "px_width": 48,
                "nframes": 60,
                "fps": 29,
                "recording_duration": 60 * 29.0,  # both as the Element's own loader has it, for 29.97
                "recording_time": dt.datetime(2026, 1, 15, 0, 0, 5),
            },
            allow_direct_insert=True,
        )
        self._insert_tasks()

    def _insert_tasks(self) -> None:
        params = {"sbin": 4, "views": VIEWS, "rois": rois(), "movSVD": True}
        task = {"task_mode": "trigger", "facemap_params": params}
        self.lab.element.FacemapTask.insert1(SVD | task)
        self.pose.inference.FacemapInferenceTask.insert1(
            POSE | {"task_mode": "trigger", "bbox": {"views": VIEWS, "pose_view": 1}}
        )

    def load(self) -> None:
        """Publish and load runs of both."""
        self.svd.publish(SVD, views=(_VIEW, _VIEW))
        self.pose.publish(POSE, nonce="n2")
        ends = [result.end.value for result in self.svd.loader().run_pass()]
        self.svd.others.pop().close()
        assert ends == ["loaded", "loaded"]

    def videos(self) -> Path:
        """A folder with files where the videos should be."""
        for path in VIDEOS:
            video = self.folder / "videos" / path
            video.parent.mkdir(parents=True, exist_ok=True)
            video.write_bytes(b"video")
        return self.folder / "videos"


@pytest.fixture
def recorded(
    database_settings: DatabaseSettings, s3_settings: S3Settings, store: Store, bucket: str, tmp_path: Path
) -> Iterator[Recorded]:
    with _world(PoseWorld, database_settings, s3_settings, store, bucket, tmp_path) as world:
        made = Recorded(world)
        made.load()
        yield made
