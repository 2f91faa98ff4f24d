"""Pupil and blink ROIs, as Facemap measures them on frames that no other ROI has painted over."""

from fmdj_cloud.worker.turbo.eyes.blink import measure_blink
from fmdj_cloud.worker.turbo.eyes.pupil import PupilTrace, join_pupil, measure_pupil, smooth_pupil
from fmdj_cloud.worker.turbo.eyes.smooth import smooth

__all__ = ["PupilTrace", "join_pupil", "measure_blink", "measure_pupil", "smooth", "smooth_pupil"]
