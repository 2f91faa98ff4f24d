"""Small recordings that Facemap and the turbo engine compute once per session."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from fmdj_cloud.contracts import Basis, SvdParams
from fmdj_cloud.demo.recordings import Recording, RecordingSpec, generate
from tests.support.turbo import coded, runs

CALM = 0.3
"""Sensor noise, gray levels: with more, all but the first components are noise that no method finds alike."""


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """Let tests that run at the same time not wait for each other's threads."""
    cv2.setNumThreads(1)
    with threadpool_limits(1, user_api="blas"):
        yield


@dataclass(frozen=True)
class Case:
    """A recording, what is asked of it, and what the engines make of it; each runs when it is first asked for."""

    name: str
    videos: tuple[tuple[Path, ...], ...]
    params: SvdParams
    folder: Path
    recording: Recording | None = None

    @cached_property
    def facemap(self) -> runs.Ran:
        return runs.facemap(self.videos, self.params, self.folder / "facemap")

    @cached_property
    def facemap_two_threads(self) -> runs.Ran:
        return runs.facemap(self.videos, self.params, self.folder / "facemap2", threads=2)

    @cached_property
    def exact(self) -> runs.Ran:
        return runs.turbo(self.videos, self.params, self.folder / "exact")

    @cached_property
    def randomized(self) -> runs.Ran:
        return runs.turbo(self.videos, self.params, self.folder / "randomized", basis=Basis.FACEMAP)


def _plain(folder: Path) -> Case:
    recording = generate(RecordingSpec("plain", 128, 96, (2100,), noise=CALM, seed=3), folder)
    return Case("plain", recording.videos, SvdParams(sbin=4, mov_svd=True), folder, recording)


def _everything(folder: Path) -> Case:
    """Two views in two files each, h264, all types of ROI, overlapping ones, movie SVD."""
    made = RecordingSpec("every", 128, 96, (1200, 1000), views=2, codec="h264", noise=CALM, seed=5)
    recording = generate(made, folder)
    names = ("whisker", "pupil", "whisker@1", "blink@1", "running@1", "snout@1", "running")
    rois = [runs.to_roi(roi) for roi in recording.rois(*names)]
    rois.insert(3, rois[2].model_copy(update={"y0": rois[2].y0 + 6, "name": "overlapping"}))
    return Case("everything", recording.videos, SvdParams(sbin=4, mov_svd=True, rois=tuple(rois)), folder, recording)


def _few_frames(folder: Path) -> Case:
    recording = generate(RecordingSpec("few", 128, 96, (400, 300), noise=0.1, seed=7), folder)
    rois = tuple(runs.to_roi(roi) for roi in recording.rois("snout", "pupil"))
    return Case("few frames", recording.videos, SvdParams(sbin=1, rois=rois), folder, recording)


def _odd_colour(folder: Path) -> Case:
    """Odd sizes, colour that changes, bins that leave pixels over."""
    recording = generate(RecordingSpec("odd", 128, 96, (2050,), noise=CALM, seed=9), folder)
    capture = cv2.VideoCapture(str(recording.videos[0][0]))
    frames = [cv2.cvtColor(capture.read()[1], cv2.COLOR_BGR2GRAY)[:95, :127] for _ in range(2050)]
    chroma = 128 + np.rint(40 * np.sin(np.arange(2050) / 30)).astype(int)
    path = coded.write(folder / "colour.avi", np.array(frames), "mjpeg", "yuvj444p", chroma=chroma)
    return Case("odd colour", ((path,),), SvdParams(sbin=7), folder)


CASES: dict[str, Callable[[Path], Case]] = {
    "plain": _plain,
    "everything": _everything,
    "few frames": _few_frames,
    "odd colour": _odd_colour,
}


@pytest.fixture(scope="session")
def case_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Case]:
    made: dict[str, Case] = {}

    def give(name: str) -> Case:
        if name not in made:
            made[name] = CASES[name](tmp_path_factory.mktemp(name.replace(" ", "_")))
        return made[name]

    return give


@pytest.fixture(params=list(CASES))
def case(request: pytest.FixtureRequest, case_of: Callable[[str], Case]) -> Case:
    return case_of(request.param)
