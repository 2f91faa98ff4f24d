"""A task that takes very much to say is refused before the ledger is asked: it must not stop its whole pipeline."""

from __future__ import annotations

import numpy as np
import pytest

from fmdj_cloud.contracts import Estimate, Limits, Roi, RoiKind, RunPlan, SvdParams, VideoRef
from fmdj_cloud.contracts.rois import BitMask
from fmdj_cloud.control.drafts import check_size
from fmdj_cloud.errors import InputError

LIMITS = Limits(time_budget_s=3600, memory_mib=1024, scratch_mib=1024, threads=1)
ESTIMATE = Estimate(frames=1, height=1, width=1, seconds=1.0, memory_mib=1, scratch_mib=1, source="guess")


def plan(ellipse, rois, files=1):
    drawn = Roi(kind=RoiKind.PUPIL, y0=0, y1=1000, x0=0, x1=1000, ellipse=BitMask.from_array(ellipse))
    videos = tuple(
        (VideoRef(uri=f"s3://lab/{'x' * 200}/{n}.avi", name=f"{n}.avi", size=1, etag="e" * 64),) for n in range(files)
    )
    return RunPlan(videos=videos, svd=SvdParams(rois=(drawn,) * rois), limits=LIMITS, estimate=ESTIMATE)


def test_pixels_drawn_one_by_one_in_very_many_rois_are_refused():
    noise = np.random.default_rng(1).random((1000, 1000)) < 0.5
    check_size(plan(noise, 10))
    with pytest.raises(InputError, match="to say, more than 4"):
        check_size(plan(noise, 40))


def test_whatever_labs_draw_and_record_is_taken():
    y, x = np.mgrid[:1000, :1000]
    check_size(plan((y - 500) ** 2 + (x - 500) ** 2 < 400**2, 200, files=4096))
