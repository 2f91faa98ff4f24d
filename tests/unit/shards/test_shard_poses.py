from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmdj_cloud.contracts import ShardRange
from fmdj_cloud.contracts.shards import cut
from fmdj_cloud.errors import StorageError
from fmdj_cloud.worker.pose.blocks import POSE_BLOCK
from fmdj_cloud.worker.pose.shard import Piece, PosePart, joined, ranges_of, read_part, whole_batches, write_part
from fmdj_cloud.worker.video import FileFacts

PARTS = ("nose", "eye")


def facts(*rows):
    return tuple(tuple(FileFacts("f", 2, 2, 30.0, "mjpeg", count, count) for count in row) for row in rows)


def test_a_shard_has_its_frames_of_every_file_and_view():
    assert ranges_of(ShardRange(start=32, stop=96), (40, 41, 50), 2) == {
        (0, 0): (32, 40),
        (1, 0): (32, 40),
        (0, 1): (0, 41),
        (1, 1): (0, 41),
        (0, 2): (0, 15),
        (1, 2): (0, 15),
    }
    assert ranges_of(ShardRange(start=131, stop=131), (40, 41, 50), 2) == {}


def test_batches_begin_where_those_of_the_whole_file_do():
    ranges = {(0, 0): (33, 39), (1, 0): (0, 39)}
    assert whole_batches(ranges, facts((39, 41)), 4) == {(0, 0): (32, 39), (1, 0): (0, 40)}


@given(
    frames=st.lists(st.integers(1, 200), min_size=1, max_size=4),
    shards=st.integers(1, 9),
    batch=st.sampled_from([1, 2, 64, 256]),
)
def test_all_shards_together_have_every_frame_once_and_whole_batches_of_it(frames, shards, batch):
    seen = [np.zeros(count, int) for count in frames]
    grid = facts(*([count] for count in frames))
    for shard in cut(sum(frames), shards, block=POSE_BLOCK):
        ranges = ranges_of(shard, frames, 1)
        for (_, file), (start, stop) in ranges.items():
            seen[file][start:stop] += 1
        for (_, file), (start, stop) in whole_batches(ranges, grid, batch).items():
            first, last = ranges[0, file]
            assert start % batch == 0
            assert stop % batch == 0 or stop == frames[file]
            assert start <= first < last <= stop
    assert all((counts == 1).all() for counts in seen)


def points(start, stop):
    return np.arange(6 * start, 6 * stop, dtype=np.float32).reshape(stop - start, 2, 3)


def test_a_part_is_read_as_it_was_written(tmp_path):
    part = PosePart(2, PARTS, {(0, 1): Piece(32, points(32, 40), 40, 1.5)})
    write_part(tmp_path / "part.h5", part)
    found = read_part(tmp_path / "part.h5")
    assert (found.batch, found.body_parts) == (2, PARTS)
    piece = found.pieces[0, 1]
    assert (piece.start, piece.frames, piece.seconds) == (32, 40, 1.5)
    np.testing.assert_array_equal(piece.points, points(32, 40))


def test_a_shard_without_frames_has_a_part_too(tmp_path):
    write_part(tmp_path / "part.h5", PosePart(0, PARTS, {}))
    assert read_part(tmp_path / "part.h5").pieces == {}


def test_another_file_is_no_part(tmp_path):
    (tmp_path / "part.h5").write_bytes(b"nothing")
    with pytest.raises(StorageError, match="compute the task again"):
        read_part(tmp_path / "part.h5")


def test_pieces_are_put_together_and_end_where_the_first_of_them_says():
    pieces = [Piece(0, points(0, 32), 60, 1.0), Piece(32, points(32, 57), 57, 0.5), Piece(57, points(57, 57), 58, 0.0)]
    parts = [PosePart(2, PARTS, {(0, 0): piece}) for piece in pieces]
    (trace,) = joined(parts, facts([60])).values()
    assert (trace.frames, trace.seconds) == (57, 1.5)
    np.testing.assert_array_equal(trace.points(57), points(0, 57))
