"""Small recordings, and pods that work on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import pytest
from threadpoolctl import threadpool_limits

from fmdj_cloud.contracts import SvdParams
from fmdj_cloud.demo.recordings import Recording, RecordingSpec, generate
from tests.support.shards.pods import Lab
from tests.support.turbo.runs import to_roi

FRAMES = 2300
"""Five blocks, the last of them shorter."""


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """Let tests that run at the same time not wait for each other's threads."""
    cv2.setNumThreads(1)
    with threadpool_limits(1, user_api="blas"):
        yield


@pytest.fixture(scope="session")
def premises(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shards")


@pytest.fixture(scope="session")
def lab(premises: Path, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return Lab(premises / "out", [tmp_path_factory.getbasetemp()])


@pytest.fixture(scope="session")
def record(premises: Path) -> Callable[..., Recording]:
    """Generate a recording; the same name gives the same one."""
    made: dict[str, Recording] = {}

    def make(name: str, nframes: tuple[int, ...], **fields) -> Recording:
        if name not in made:
            made[name] = generate(RecordingSpec(name, 96, 72, nframes, **{"noise": 0.3, "seed": 3, **fields}), premises)
        return made[name]

    return make


@pytest.fixture(scope="session")
def face(record: Callable[..., Recording]) -> Recording:
    """One camera, mjpeg."""
    return record("face", (FRAMES,))


@pytest.fixture(scope="session")
def plain() -> SvdParams:
    """The full frame, few pixels."""
    return SvdParams(sbin=6)


@pytest.fixture(scope="session")
def rois_of() -> Callable[..., tuple]:
    return lambda recording, *names: tuple(to_roi(roi) for roi in recording.rois(*names))
