"""A lab to practise on: there at once, with what a recording needs, and gone when it is stopped."""

from __future__ import annotations

from pathlib import Path

import pytest

from fmdj_cloud.demo.keeper import running_keeper
from fmdj_cloud.demo.practice import start_practice_lab

pytestmark = pytest.mark.integration


def test_a_lab_starts_afresh_and_is_gone_when_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FMDJ_CONFIG", "")  # which starting sets, for commands of fmdj
    lab = start_practice_lab(tmp_path)
    recording = lab.add_recording(3, frames=20, width=96, height=72)
    key = {"subject": "m1", "session_id": 1, "recording_id": 3}
    (path,) = (lab.element.VideoFile & key).to_arrays("file_path")

    assert path == f"{lab.place(recording)}/face-3.avi"
    assert lab.store.head(f"{lab.video_root}/{path}").size == recording.videos[0][0].stat().st_size

    lab.database.close()
    lab = start_practice_lab(tmp_path)
    try:
        assert len(lab.element.VideoRecording()) == 0
    finally:
        lab.stop()
    assert running_keeper(tmp_path) is None
