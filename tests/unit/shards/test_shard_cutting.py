from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmdj_cloud.contracts import ShardRange, VideoRef
from fmdj_cloud.worker.index import Index
from fmdj_cloud.worker.turbo.cutting import extents_of, shards_of, tails
from fmdj_cloud.worker.video import FileFacts

BLOCK = 500
PACKET = 100
HEADER = 1000


def index(frames: int, every: int = 1, name: str = "face.avi") -> Index:
    """Return the index of a file whose packets have 100 bytes, with a key frame every so many."""
    keys = tuple(range(0, frames, every))
    facts = FileFacts(name, 48, 64, 30.0, "mjpeg", frames, frames)
    stamps = tuple(range(frames))
    ends = tuple(HEADER + PACKET * (place + 1) for place in stamps)
    return Index(facts, tuple(map(float, stamps)), keys, stamps, keys, ends)


def without_times(frames: int) -> Index:
    return dataclasses.replace(index(frames), times_ms=(), stamps=(), entries=())


def stops(indices, asked):
    shards, warnings = shards_of(indices, [row[0].facts.frames for row in indices], asked, block=BLOCK)
    return [shard.stop for shard in shards], warnings


def test_a_recording_is_cut_at_blocks_as_evenly_as_they_allow():
    assert stops([[index(2300)]], 5) == ([500, 1000, 1500, 2000, 2300], ())
    assert stops([[index(2300)]], 2) == ([1500, 2300], ())
    assert stops([[index(2300)]], 1) == ([2300], ())


def test_sequential_files_are_cut_as_one():
    assert stops([[index(700)], [index(700)]], 3) == ([500, 1000, 1400], ())


@pytest.mark.parametrize(
    ("one", "shards", "why"),
    [
        (without_times(2300), [2300], "the packets of face.avi don't say when frames are shown"),
        (index(2300, every=1100), [1000, 2000, 2300], "face.avi has up to 1100 frames from one at which decoding"),
        (index(700), [500, 700], "the recording has 700 frames, and a shard whole blocks of 500"),
    ],
)
def test_what_cant_be_cut_into_so_many_is_cut_into_fewer_and_says_why(one, shards, why):
    found, warnings = stops([[one]], 4)
    assert found == shards
    assert warnings[0].startswith(f"{len(shards)} shard(s) instead of the 4 asked for: {why}")


def test_the_worst_file_of_any_view_counts():
    assert stops([[index(2300), without_times(2300)]], 3)[0] == [2300]


@given(
    frames=st.lists(st.integers(2, 3000), min_size=1, max_size=4),
    every=st.integers(1, 4000),
    asked=st.integers(1, 12),
)
def test_shards_cover_everything_and_are_no_more_than_asked_for(frames, every, asked):
    indices = [[index(count, every)] for count in frames]
    shards, warnings = shards_of(indices, frames, asked, block=BLOCK)
    assert len(shards) <= asked
    assert bool(warnings) == (len(shards) < asked)
    assert [shards[0].start, *(shard.stop for shard in shards)] == [
        0,
        *(shard.start for shard in shards[1:]),
        sum(frames),
    ]
    assert all(shard.frames for shard in shards)
    assert all(shard.start % BLOCK == 0 for shard in shards)


def test_the_end_of_every_file_is_looked_at_from_its_last_key_frame():
    indices = [[index(700, 250), index(701, 200)], [index(300, 1), index(300, 1)]]
    assert list(tails(indices, [700, 300], missing=2)) == [(500, 700), (997, 1000)]
    assert list(tails([[index(2, 1)]], [2], missing=2)) == [(0, 2)]


def refs(*sizes):
    return [[VideoRef(uri=f"file:///{number}", name=str(number), size=size)] for number, size in enumerate(sizes)]


def test_a_shard_needs_its_bytes_and_those_of_the_frame_before():
    indices, frames = [[index(700)], [index(700)]], [700, 700]
    whole = HEADER + 700 * PACKET
    (second, third) = extents_of(ShardRange(start=500, stop=1000), indices, frames, refs(whole, whole))
    assert (second.row, second.start, second.stop) == (0, HEADER + 499 * PACKET, whole)
    assert (third.row, third.start, third.stop) == (1, 0, HEADER + 300 * PACKET)


def test_bytes_begin_and_end_at_key_frames():
    (only,) = extents_of(ShardRange(start=500, stop=1000), [[index(2300, 250)]], [2300], refs(HEADER + 2300 * PACKET))
    assert (only.start, only.stop) == (HEADER + 250 * PACKET, HEADER + 1000 * PACKET)


def test_a_file_without_known_places_is_needed_whole():
    bare = dataclasses.replace(index(2300), ends=())
    (only,) = extents_of(ShardRange(start=500, stop=1000), [[bare]], [2300], refs(12345))
    assert (only.start, only.stop) == (0, 12345)


def test_a_file_of_which_only_the_last_frame_is_needed_is_among_them():
    extents = extents_of(ShardRange(start=500, stop=600), [[index(500)], [index(500)]], [500, 500], refs(1, 1))
    assert [extent.row for extent in extents] == [0, 1]
