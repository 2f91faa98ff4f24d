"""Parts: what an attempt leaves for the next one."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest

from fmdj_cloud.contracts import Limits, PoseParams, RunSpec
from fmdj_cloud.settings import FileSettings, StorageSettings
from fmdj_cloud.storage import open_store
from fmdj_cloud.worker.handover import Desk
from fmdj_cloud.worker.pose.batches import Batch, Source
from fmdj_cloud.worker.pose.bounds import Bound
from fmdj_cloud.worker.pose.desk import earlier_parts, fetch_for_pose, own_parts, parts_kept
from fmdj_cloud.worker.pose.infer import Inference, Keeper
from fmdj_cloud.worker.pose.parts import PartInfo, data_of, missing, part_infos, read_parts, write_part
from fmdj_cloud.worker.stop import Stop
from tests.support.pose import videos
from tests.support.pose.inference import source

DIGEST = "c" * 64


def part(start: int, stop: int, *, ends: bool = False, **fields) -> PartInfo:
    made = {"view": 0, "file": 0, "content_digest": DIGEST, "sha256": "", "device": "cpu"}
    return PartInfo(**{**made, "start": start, "stop": stop, "ends": ends, **fields})


def points(frames: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(frames, 15, 3)).astype(np.float32)


@pytest.mark.parametrize(
    ("parts", "left"),
    [
        ([], [(0, 100)]),
        ([part(0, 100, ends=True)], []),
        ([part(0, 30), part(30, 60)], [(60, 100)]),
        ([part(30, 60)], [(0, 30), (60, 100)]),
        ([part(0, 50), part(20, 40), part(70, 80)], [(50, 70), (80, 100)]),
        ([part(60, 97, ends=True)], [(0, 60)]),
        ([part(0, 60), part(60, 60, ends=True)], []),
    ],
)
def test_what_is_missing(parts, left):
    assert missing(parts, 100) == left


def test_a_part_is_read_as_it_was_written(tmp_path):
    write_part(tmp_path, 0, part(10, 14), points(4))
    ((info, found),) = read_parts(tmp_path, DIGEST, {(0, 0): 20}, 15)
    assert (info.start, info.stop) == (10, 14)
    np.testing.assert_array_equal(found, points(4))


@pytest.mark.parametrize(
    "info",
    [
        part(10, 14, content_digest="d" * 64),
        part(10, 15),
        part(17, 21),
        part(10, 14, view=1),
    ],
    ids=["another run's", "another length", "beyond the file", "a view that isn't there"],
)
def test_parts_that_dont_fit_arent_used(tmp_path, info):
    write_part(tmp_path, 0, info, points(4))
    assert read_parts(tmp_path, DIGEST, {(0, 0): 20}, 15) == []


def test_a_part_whose_bytes_changed_isnt_used(tmp_path):
    write_part(tmp_path, 0, part(10, 14), points(4))
    write_part(tmp_path, 1, part(0, 4), points(4))
    data = data_of(tmp_path / "part-0.json")
    data.write_bytes(data.read_bytes()[:-1] + b"\1")
    data_of(tmp_path / "part-1.json").unlink()
    assert read_parts(tmp_path, DIGEST, {(0, 0): 20}, 15) == []


def test_a_part_that_is_a_pickle_isnt_loaded(tmp_path):
    write_part(tmp_path, 0, part(10, 14), points(4))
    np.save(tmp_path / "part-0.npy", np.array([object()]), allow_pickle=True)
    digest = hashlib.sha256((tmp_path / "part-0.npy").read_bytes()).hexdigest()
    described = json.loads((tmp_path / "part-0.json").read_text())
    (tmp_path / "part-0.json").write_text(json.dumps({**described, "sha256": digest}))
    assert read_parts(tmp_path, DIGEST, {(0, 0): 20}, 15) == []


@pytest.fixture
def film(tmp_path):
    """A file of 20 frames."""
    return source(videos.write(tmp_path / "film.avi", videos.pictures(20, 32, 48)))


def batch(film: Source, start: int, stop: int) -> Batch:
    nothing = np.empty((0, 32, 48), np.uint8), np.empty((0, 2), np.float32)
    return Batch(film, start, stop, np.arange(0), *nothing, ends=stop == 20)


def test_parts_tell_how_long_they_took(film, tmp_path):
    now = [100.0]
    keeper = Keeper(tmp_path, content_digest=DIGEST, device="cpu", every_s=10, clock=lambda: now[0])
    for start, passed in ((0, 4.0), (5, 7.0), (10, 3.0), (15, 2.0)):
        now[0] += passed
        keeper.keep(batch(film, start, start + 5), points(5), passed / 2)
    found = [info for info, _ in read_parts(tmp_path, DIGEST, {(0, 0): 20}, 15)]
    assert [(one.start, one.stop, one.seconds, one.network_s) for one in found] == [(0, 10, 11, 5.5), (10, 20, 5, 2.5)]


@pytest.mark.parametrize(("ranges", "seconds"), [(None, 12.0), ({(0, 0): (5, 20)}, 7.0)], ids=["whole", "shard"])
def test_what_earlier_attempts_took_is_counted_with_what_is_taken_over(film, ranges, seconds):
    inference = Inference(None, [film], batch_size=1, body_parts=15, bound=Bound(0, waived=False), ranges=ranges)
    left = [(part(0, 10, seconds=10.0, network_s=8.0), points(10)), (part(14, 18, seconds=2.0), points(4))]
    assert inference.take_over(left) == 14 - 5 * (ranges is not None)
    assert inference.earlier_s == pytest.approx(seconds)
    assert inference.traces[0].seconds == pytest.approx(8.0 if ranges is None else 4.0)


@pytest.mark.parametrize("order", [1, -1])
def test_frames_that_two_pods_have_finished_count_once(film, order):
    bound = Bound(2, waived=False)
    inference = Inference(None, [film], batch_size=1, body_parts=15, bound=bound, ranges={(0, 0): (5, 20)})
    empty = points(4)
    empty[:, :, :2] = np.nan
    whole = np.concatenate([points(8), empty[:2], points(4)])
    left = [(part(2, 16, seconds=14.0, network_s=7.0), whole), (part(8, 12, seconds=4.0, network_s=2.0), whole[6:10])]
    assert inference.take_over(left[::order]) == 11
    assert inference.earlier_s == pytest.approx(11.0)
    assert inference.traces[0].seconds == pytest.approx(5.5)


@pytest.fixture
def share(tmp_path):
    """A store, a model in it, and specs of a first and a second attempt."""
    store = open_store(StorageSettings(file=FileSettings(roots=(tmp_path,))))
    (tmp_path / "model.pt").write_bytes(b"model")
    digest = hashlib.sha256(b"model").hexdigest()

    def spec(attempt: int, **fields) -> RunSpec:
        return RunSpec(
            run_id="pose-1",
            kind="pose",
            pipeline="lab",
            task="{}",
            task_digest="t",
            content_digest=DIGEST,
            attempt=attempt,
            attempt_uri=f"file://{tmp_path}/a{attempt}",
            videos=(),
            pose=PoseParams(model_uri=f"file://{tmp_path}/model.pt", model_sha256=digest, body_parts=()),
            limits=Limits(time_budget_s=1, memory_mib=1, scratch_mib=1, threads=1),
            **fields,
        )

    return store, spec


def desk(tmp_path, name: str) -> Desk:
    (tmp_path / name).mkdir()
    return Desk(tmp_path / name)


def test_parts_travel_from_one_attempt_to_the_next(share, tmp_path):
    store, spec = share
    first = desk(tmp_path, "first")
    fetch_for_pose(store, spec(1), first, stop=Stop())
    with parts_kept(store, spec(1), "pod-1", first):
        write_part(own_parts(first), 0, part(0, 4), points(4))
        write_part(own_parts(first), 1, part(4, 9), points(5, seed=1))
    folder = tmp_path / "a1" / "pod-1" / "parts"
    assert sorted(path.name for path in folder.iterdir()) == ["part-0.json", "part-0.npy", "part-1.json", "part-1.npy"]

    (folder / "part-7.json").write_text("{}")  # unfinished, and somebody's file in between
    (folder / "notes.json").write_text("{}")
    (folder / "part-1.npy").write_bytes(b"short")
    second = desk(tmp_path, "second")
    fetch_for_pose(store, spec(2, resume_from=(f"file://{tmp_path}/a1",)), second, stop=Stop())
    assert len(part_infos(earlier_parts(second))) == 1
    ((info, found),) = read_parts(earlier_parts(second), DIGEST, {(0, 0): 20}, 15)
    assert (info.start, info.stop) == (0, 4)
    np.testing.assert_array_equal(found, points(4))


def test_an_attempt_that_left_nothing_is_no_hindrance(share, tmp_path):
    store, spec = share
    second = desk(tmp_path, "second")
    fetch_for_pose(store, spec(2, resume_from=(f"file://{tmp_path}/a1",)), second, stop=Stop())
    assert part_infos(earlier_parts(second)) == []
