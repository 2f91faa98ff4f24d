"""How the progress of shards adds up."""

from __future__ import annotations

import json
import math

import pytest

from fmdj_cloud.contracts import Progress, ShardRange
from fmdj_cloud.control.progress import add_up, progress_text, progress_words, read_progress
from fmdj_cloud.settings import FileSettings
from fmdj_cloud.storage.file import FileStore

RANGES = [ShardRange(start=start, stop=start + 100) for start in range(0, 400, 100)]


def said(index, frames, *, rate=10.0, at=1000.0):
    given = {"run_id": "r", "attempt": 1, "stage": "project", "eta_s": None, "at_epoch_s": at, "index": index}
    return Progress(**given, frames_done=frames, frames_total=100, frames_per_s=rate)


@pytest.fixture
def total(make_run):
    def build(*reports, done=(), ranges=RANGES, writing=None):
        writing = len(reports) if writing is None else writing
        return add_up(make_run(), reports, set(done), ranges, number=4, total=400, writing=writing)

    return build


def test_finished_and_running_shards_add_up(total):
    found = total(said(1, 50), said(2, 30), done=[0])
    assert (found.frames_done, found.frames_total, found.frames_per_s) == (180, 400, 20.0)
    assert found.eta_s == pytest.approx(11)
    assert (found.shards_done, found.shards) == (1, 4)


def test_of_two_pods_of_a_shard_the_newer_counts(total):
    assert total(said(1, 90, at=900), said(1, 5, at=1000)).frames_done == 5


def test_what_a_finished_shard_said_before_counts_no_more(total):
    assert total(said(0, 90), done=[0]).frames_done == 100


def test_a_pod_that_is_silent_has_no_speed_but_its_frames_were_seen(total):
    found = total(said(1, 40, at=500), said(2, 10, at=1000))
    assert (found.frames_done, found.frames_per_s) == (50, 10.0)


def test_pods_that_were_not_asked_are_taken_to_be_like_the_others(total):
    found = total(said(0, 20), said(1, 40), writing=4)
    assert (found.frames_done, found.frames_per_s) == (120, 40.0)
    # never more than there are
    assert total(said(0, 20), said(1, 40), writing=400).frames_done == 120
    assert total(said(0, 100), said(1, 100), done=[2, 3], writing=2).frames_done == 400


def test_without_ranges_shards_are_taken_to_be_equal(total):
    assert total(said(3, 10), done=[0, 1], ranges=None).frames_done == 210


def test_nothing_said_is_no_speed(total):
    found = total(done=[0])
    assert (found.frames_done, found.frames_per_s, found.eta_s) == (100, 0.0, None)


@pytest.mark.parametrize(
    "forged", [{"frames_total": 10**400}, {"frames_per_s": math.inf}, {"eta_s": math.nan}, {"frames_done": -1}]
)
def test_numbers_that_no_pod_says_are_passed_over(make_run, tmp_path, forged):
    store, run = FileStore(FileSettings(roots=(tmp_path,))), make_run(output_dir=f"file://{tmp_path}/run", attempt=1)
    folder = tmp_path / "run" / "a1" / "pod"
    folder.mkdir(parents=True)
    honest = said(None, 50).model_dump()
    (folder / "progress.json").write_text(json.dumps(honest))
    assert read_progress(store, run).frames_done == 50
    (folder / "progress.json").write_text(json.dumps(honest | forged))
    assert read_progress(store, run) is None


def test_people_read_how_many_shards_are_done(total):
    found = total(said(1, 50), done=[0])
    assert progress_text(found).startswith("project, 1 of 4 shards done, 38 %, 150/400 frames, 10 frames/s")
    assert progress_words(said(1, 50)) == "project"
