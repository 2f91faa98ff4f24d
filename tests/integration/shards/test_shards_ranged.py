"""Pods read what they need of a video, where its container lets them, and never a wrong frame."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from fmdj_cloud.contracts import Stage
from fmdj_cloud.settings import StorageSettings
from fmdj_cloud.storage import open_store
from fmdj_cloud.storage.ranged import Chunks, RangedObject
from fmdj_cloud.worker.header_index import header_index
from fmdj_cloud.worker.index import read_index
from fmdj_cloud.worker.ranges import RangeServer, RemoteFile
from fmdj_cloud.worker.reach import read_reach
from fmdj_cloud.worker.stages import videos
from fmdj_cloud.worker.turbo.frames import Recording
from tests.support.shards.same import assert_same_svd
from tests.support.turbo import coded

pytestmark = pytest.mark.integration
FRAMES, SIZE = 1230, (48, 64)
CHUNK = 1 << 16
H264 = {"codec": "libx264", "pixel_format": "yuv420p"}


@pytest.fixture(scope="module")
def luma():
    return coded.moving(FRAMES, *SIZE)


def uneven(frames):
    return np.cumsum(np.random.default_rng(0).integers(20, 60, frames))


def made(lab, svd, path, shards=3):
    """Compute a video whole, and in shards as it is remote to its pods."""
    whole = lab.spec([[path]], svd=svd)
    lab.do_all(whole)
    spec = lab.spec([[path]], svd=svd, shards=shards)
    return whole, spec, lab.do_all(spec)


def reach(lab, spec):
    (path,) = [file.path for file in lab.basis(spec).files if file.path.endswith("reach.json")]
    return read_reach(lab.folder / spec.attempt_uri.removeprefix(f"file://{lab.folder}/") / path)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("r.avi", {}),
        ("r.mov", {}),
        ("r.mp4", {**H264, "options": {"g": "32", "bf": "2"}}),
        ("vfr.mp4", {**H264, "options": {"g": "25", "bf": "0"}, "stamps": uneven(FRAMES)}),
    ],
)
def test_ranges_of_a_remote_file_give_what_the_file_gives(lab, premises, luma, plain, name, options):
    path = coded.write(premises / name, luma, **options)
    whole, spec, manifest = made(lab, plain, path)
    assert reach(lab, spec).ranged
    assert_same_svd(lab, whole, spec)
    assert manifest.warnings == ()


def test_a_pod_reads_little_more_than_its_share(lab, face, plain):
    spec = lab.spec(face.videos, svd=plain, shards=5)
    lab.do_all(spec)
    size = face.videos[0][0].stat().st_size
    for index, extents in enumerate(reach(lab, spec).shards):
        share = sum(extent.stop - extent.start for extent in extents)
        assert share < 0.25 * size
        assert share < lab.part(spec, index).bytes_read <= share + 10 * CHUNK
    assert lab.basis(spec).bytes_read <= size


def test_many_small_files_share_one_cache_of_chunks(lab, premises, luma, plain, monkeypatch):
    paths = [coded.write(premises / f"m{number}.avi", luma[60 * number : 60 * (number + 1)]) for number in range(20)]
    whole = lab.spec([[path] for path in paths], svd=plain)
    lab.do_all(whole)
    made = []

    def chunks(room, threads):
        made.append((room, threads))
        return Chunks(room, threads)

    monkeypatch.setattr(videos, "Chunks", chunks)
    spec = lab.spec([[path] for path in paths], svd=plain, shards=2)
    lab.do_all(spec)
    assert made == [(64 << 20, 8)] * 3  # one for each pod
    assert_same_svd(lab, whole, spec)


@pytest.mark.parametrize(
    ("name", "options"), [("w.mkv", {}), ("w.avi", H264), ("colour.avi", {"chroma": 100, "pixel_format": "yuvj444p"})]
)
def test_what_ranges_wont_do_for_is_fetched_whole(lab, premises, luma, plain, name, options):
    path = coded.write(premises / name, luma, **options)
    whole, spec, manifest = made(lab, plain, path, shards=2)
    assert not reach(lab, spec).ranged
    assert lab.part(spec, 0).bytes_read == path.stat().st_size
    assert_same_svd(lab, whole, spec)
    assert manifest.warnings == ()


def test_of_several_files_a_pod_fetches_those_that_it_needs(lab, premises, luma, plain):
    paths = [coded.write(premises / f"s{number}.mkv", luma[:520]) for number in range(3)]
    spec = lab.spec([[path] for path in paths], svd=plain, shards=3)
    lab.do(spec, Stage.BASIS)
    assert [shard.stop for shard in lab.basis(spec).shards] == [1000, 1500, 1560]
    fetched = [lab.do(spec, Stage.PROJECT, index).desk.videos.iterdir() for index in range(3)]
    names = [sorted(path.name for path in paths) for paths in fetched]
    assert names == [["s0.mkv", "s1.mkv"], ["s1.mkv", "s2.mkv"], ["s2.mkv"]]


def test_a_file_with_one_key_frame_is_one_shard(lab, premises, luma, plain):
    path = coded.write(premises / "single.mp4", luma, **H264, options={"g": "9999", "sc_threshold": "0", "bf": "0"})
    whole, spec, manifest = made(lab, plain, path)
    assert manifest.warnings == (
        "1 shard(s) instead of the 3 asked for: single.mp4 has up to 1230 frames from one at which decoding can begin "
        "to the next.",
    )
    assert_same_svd(lab, whole, spec)


def test_a_file_without_times_is_one_shard(lab, premises, luma, plain):
    path = coded.write(premises / "bare.h264", luma, **H264, options={"g": "30", "bf": "0"})
    whole, spec, manifest = made(lab, plain, path)
    assert "the packets of bare.h264 don't say when frames are shown" in manifest.warnings[0]
    assert_same_svd(lab, whole, spec)


def test_frames_of_an_object_in_a_bucket_are_those_of_the_file(face, bucket, s3_settings):
    path = face.videos[0][0]
    index = read_index(path)
    store = open_store(StorageSettings(s3=s3_settings))
    info = store.upload(path, f"{bucket}/videos/face.avi")
    with RangeServer(
        [RangedObject(store, info.uri, info.size, info.etag, chunk=CHUNK, until=info.size // 2)]
    ) as server:

        def again():
            return RemoteFile(server.path, 0, info.size, path.name)

        with again() as file:
            remote = header_index(path.name, file, info.size)
        assert dataclasses.replace(remote, ends=()) == index
        found = [coded.taken(Recording([[source]], [[index]], [2300], 2), 700, 900) for source in (path, again)]
        server.check()
        assert server.bytes_read < info.size / 3  # a tenth is wanted; how far is read ahead depends on the machine
    np.testing.assert_array_equal(*found)
