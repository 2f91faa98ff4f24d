from __future__ import annotations

import io
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fmdj_cloud.errors import ConfigError, DiskFullError, IntegrityError, StoppedError
from fmdj_cloud.storage.download import Body, backoff_s, fetch, temporary_beside

DATA = bytes(range(256)) * 8


class Wire:
    """Serves ranges of DATA; the n-th connection (from 0) in `breaks` ends after so many bytes."""

    def __init__(self, breaks: dict[int, int] | None = None) -> None:
        self.breaks = breaks or {}
        self.asked: list[tuple[int, int]] = []
        self.lock = threading.Lock()

    def open_range(self, start: int, stop: int) -> Body:
        with self.lock:
            number = len(self.asked)
            self.asked.append((start, stop))
        return io.BytesIO(DATA[start:stop][: self.breaks.get(number)])


def no_sleep(seconds: float) -> None:
    assert seconds > 0


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    size=st.integers(0, len(DATA)),
    part=st.integers(1, len(DATA) + 10),
    concurrency=st.integers(1, 4),
    breaks=st.dictionaries(st.integers(0, 6), st.integers(0, 300), max_size=4),
)
def test_every_byte_arrives_in_its_place_however_connections_break(
    tmp_path: Path, size: int, part: int, concurrency: int, breaks: dict[int, int]
) -> None:
    part = max(part, size // 50 + 1)
    path = tmp_path / "video"
    path.unlink(missing_ok=True)
    progress: list[tuple[int, int]] = []

    fetch(
        Wire(breaks).open_range,
        path,
        size,
        part_size=part,
        concurrency=concurrency,
        attempts=6,
        progress=lambda done, total: progress.append((done, total)),
        sleep=no_sleep,
    )

    assert path.read_bytes() == DATA[:size]
    assert progress == sorted(progress)
    assert size == 0 or progress[-1] == (size, size)


def test_a_broken_range_goes_on_where_it_broke_off(tmp_path: Path) -> None:
    wire = Wire({0: 300})

    fetch(wire.open_range, tmp_path / "v", 1000, part_size=1000, concurrency=1, attempts=2, sleep=no_sleep)

    assert wire.asked == [(0, 1000), (300, 1000)]


def test_a_range_that_breaks_every_time_is_given_up(tmp_path: Path) -> None:
    wire = Wire(dict.fromkeys(range(100), 10))

    with pytest.raises(ConnectionError, match="ended 970 bytes early"):
        fetch(wire.open_range, tmp_path / "v", 1000, part_size=1000, concurrency=1, attempts=3, sleep=no_sleep)

    assert len(wire.asked) == 3


def test_what_a_callback_raises_stops_the_download(tmp_path: Path) -> None:
    wire = Wire()

    def stop(done: int, total: int) -> None:
        raise StoppedError("Asked to stop.")

    with pytest.raises(StoppedError):
        fetch(wire.open_range, tmp_path / "v", 2000, part_size=10, concurrency=2, attempts=3, progress=stop)

    assert len(wire.asked) <= 3


def test_more_than_the_disk_holds_is_refused_before_anything_is_asked_for(tmp_path: Path) -> None:
    wire = Wire()

    with pytest.raises(DiskFullError, match="MiB free"):
        fetch(wire.open_range, tmp_path / "v", 1 << 60, part_size=1 << 30, concurrency=1, attempts=1)

    assert not wire.asked


def test_waits_grow_and_are_bounded() -> None:
    waits = [backoff_s(attempt) for attempt in range(1, 21)]

    assert waits == sorted(waits)
    assert waits[0] < 1 < waits[-1] <= 20


def test_a_temporary_file_is_renamed_only_if_all_went_well(tmp_path: Path) -> None:
    target = tmp_path / "video.avi"
    with temporary_beside(target) as temporary:
        temporary.write_bytes(b"first")
        assert not target.exists()
    assert target.read_bytes() == b"first"

    def damaged(temporary: Path) -> None:
        temporary.write_bytes(b"second")
        raise IntegrityError("damaged")

    with pytest.raises(IntegrityError), temporary_beside(target) as temporary:
        damaged(temporary)

    assert target.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [target]


def test_the_longest_file_name_still_has_room_for_the_temporary_one(tmp_path: Path) -> None:
    target = tmp_path / ("é" * 127)

    with temporary_beside(target) as temporary:
        temporary.write_bytes(b"x")

    assert target.read_bytes() == b"x"


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(ConfigError, match=r"nowhere.*check the folder"),
        temporary_beside(tmp_path / "nowhere" / "v") as t,
    ):
        t.write_bytes(b"x")
