"""MySQL calls 'M1' and 'm1' the same, so that a foreign key allows either in a child: rows find their task anyhow."""

from __future__ import annotations

from typing import Any

import pytest

from fmdj_cloud.contracts import RecordingInfo
from fmdj_cloud.names import canonical_key
from fmdj_cloud.pipeline.recordings import known_recordings

from .conftest import World

pytestmark = [pytest.mark.integration, pytest.mark.parametrize("database_server", ["mariadb"], indirect=True)]


@pytest.fixture
def respelled(world: World) -> dict[str, Any]:
    """A task of the subject 'M1', whose recording's rows say 'm1'."""
    recording = world.add_recording(1, {"subject": "m1"})
    world.element.VideoFile.insert(
        [{**recording, "file_id": number, "file_path": f"{number}.avi"} for number in (1, 0)]
    )
    info = {"px_height": 4, "px_width": 6, "nframes": 9, "fps": 30, "recording_duration": 0.3}
    world.element.RecordingInfo.insert1({**recording, **info}, allow_direct_insert=True)
    key = {**recording, "subject": "M1", "facemap_task_id": 0}
    world.element.FacemapTask.insert1({**key, "facemap_params": {"sbin": 4}, "task_mode": "load"})
    return key


def test_a_task_finds_its_files_and_its_recording(world: World, respelled: dict[str, Any]) -> None:
    (key,) = world.tasks.pending(10)
    assert key == respelled
    task = world.task(key)
    assert task.files == ((0, "0.avi"), (1, "1.avi"))
    assert task.recording_info == world.tasks.recording_info(key) == RecordingInfo(height=4, width=6, nframes=9, fps=30)
    (recording,) = known_recordings(world.database, world.element)
    assert (recording.key["subject"], recording.paths, len(recording.tasks)) == ("m1", ("0.avi", "1.avi"), 1)


def test_a_result_is_its_tasks_however_it_is_spelled(world: World, respelled: dict[str, Any]) -> None:
    plain = world.add_task(2)
    world.add_result({**respelled, "subject": "m1"})
    assert world.tasks.has_result([plain, respelled]) == {canonical_key(respelled)}
    assert world.tasks.pending(10) == [plain]


def test_a_task_that_is_asked_for_in_another_spelling_is_found(world: World, respelled: dict[str, Any]) -> None:
    other = {**respelled, "subject": "m1"}
    found = world.tasks.get(other)
    assert found is not None
    assert (found.key, found.files) == (other, ((0, "0.avi"), (1, "1.avi")))
    assert set(world.tasks.param_digests([other], lock=True)) == {canonical_key(other)}
