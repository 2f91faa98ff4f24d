"""Estimates of the turbo engine lie above what it states and what was measured."""

from __future__ import annotations

from functools import partial

import pytest

from fmdj_cloud.contracts import Roi, RoiKind, SvdParams
from fmdj_cloud.control.estimate import ViewSize, estimate_svd
from fmdj_cloud.control.estimate_turbo import estimate_turbo
from fmdj_cloud.settings import ControllerSettings

CASES = [(480, 640, 6000, 4), (480, 640, 100_000, 4), (240, 320, 2500, 1), (1024, 1280, 20_000, 2), (96, 128, 300, 4)]


def estimate(height: int, width: int, frames: int, sbin: int, *rois: Roi, by=estimate_turbo, **settings):
    view = ViewSize(height, width, frames)
    return by(SvdParams(sbin=sbin, rois=rois), (view,), "header", 10**8, ControllerSettings(**settings))


@pytest.mark.parametrize("case", CASES)
def test_it_is_less_than_facemaps_in_time_and_memory(case):
    turbo, facemap = estimate(*case)[0], estimate(*case, by=estimate_svd)[0]
    assert turbo.seconds < facemap.seconds / 2
    assert turbo.memory_mib < facemap.memory_mib


@pytest.mark.parametrize("case", CASES)
def test_it_covers_what_the_engine_asks_for_at_least(case):
    from fmdj_cloud.worker.turbo.needs import turbo_needs

    height, width, frames, sbin = case
    roi = Roi(kind=RoiKind.MOTION_SVD, y0=0, y1=height // 2, x0=0, x1=width // 2)
    for rois in ((), (roi, roi)):
        found = estimate(*case, *rois)[0]
        for threads in (1, 2):
            least = turbo_needs(SvdParams(sbin=sbin, rois=rois), [(height, width)], frames, threads)
            assert least.memory_mib < found.memory_mib
            assert least.scratch_mib < found.scratch_mib


@pytest.mark.parametrize("case", CASES)
def test_facemaps_basis_takes_more_memory(case):
    from fmdj_cloud.contracts import Basis
    from fmdj_cloud.worker.turbo.needs import turbo_needs

    height, width, frames, sbin = case
    found = estimate(*case, by=partial(estimate_turbo, basis=Basis.FACEMAP))[0]
    exact = turbo_needs(SvdParams(sbin=sbin), [(height, width)], frames, 2)
    least = turbo_needs(SvdParams(sbin=sbin), [(height, width)], frames, 2, Basis.FACEMAP)
    assert exact.memory_mib < least.memory_mib < found.memory_mib


def test_an_estimate_above_the_cap_is_cut_and_noted():
    found, notes = estimate(480, 640, 6000, 1, memory_cap_mib=512)
    assert found.memory_mib == 512
    assert "MiB of memory" in notes[0]
