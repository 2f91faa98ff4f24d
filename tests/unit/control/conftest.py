"""Builders of tasks, runs and ROIs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fmdj_cloud.contracts import Estimate, Kind, Limits, RoiKind, RunRecord, RunState, TaskRecord, Wanted
from fmdj_cloud.names import canonical_key, task_digest

NOW = dt.datetime(2026, 1, 31, 12)
KEY = {"subject": "m1", "session_id": 1, "recording_id": 1, "facemap_task_id": 0}


def build_task(**changes: Any) -> TaskRecord:
    values: dict[str, Any] = {
        "pipeline": "lab",
        "kind": Kind.SVD,
        "table": "FacemapTask",
        "key": KEY,
        "task_digest": task_digest("lab", "FacemapTask", KEY),
        "param_digest": "p" * 64,
        "mode": "trigger",
        "output_dir": "",
        "task_id": 0,
        "params": {},
        "do_mot_svd": True,
        "do_mov_svd": False,
        "files": ((0, "m1/cam1.avi"),),
    }
    return TaskRecord(**values | changes)


def build_run(**changes: Any) -> RunRecord:
    values: dict[str, Any] = {
        "run_id": "svd-0123456789abcdef",
        "kind": Kind.SVD,
        "task_kind": Kind.SVD,
        "pipeline": "lab",
        "task": canonical_key(KEY),
        "task_digest": task_digest("lab", "FacemapTask", KEY),
        "content_digest": changes.get("run_id", "c" * 64),
        "param_digest": "p" * 64,
        "state": RunState.READY,
        "wanted": Wanted.RUN,
        "attempt": 1,
        "priority": 0,
        "output_dir": "s3://lab/processed/m1/facemap_0/svd-0123456789abcdef",
        "manifest_sha256": None,
        "failure_class": None,
        "sentence": "",
        "not_before": None,
        "failures": {},
        "estimate": Estimate(
            frames=1, height=1, width=1, seconds=1, memory_mib=1024, scratch_mib=1024, source="header"
        ),
        "created": NOW,
        "updated": NOW,
    }
    return RunRecord(**values | changes)


def build_limits(**changes: Any) -> Limits:
    return Limits(**{"time_budget_s": 60.0, "memory_mib": 1000, "scratch_mib": 1000, "threads": 1} | changes)


def build_roi(kind: RoiKind = RoiKind.PUPIL, **changes: Any) -> dict[str, Any]:
    """A ROI of 20 x 30 pixels as the GUI saves it; a change to ... leaves the piece out."""
    roi: dict[str, Any] = {
        "rind": kind.rind,
        "rtype": kind.value,
        "iROI": 0,
        "ivid": np.int64(0),
        "color": (10.0, 20.0, 30.0),
        "yrange": np.arange(10, 30),
        "xrange": np.arange(40, 70),
        "saturation": 200,
        "pupil_sigma": 2.5,
        "ellipse": np.ones((20, 30), bool),
        "reflector": [],
    }
    return {name: value for name, value in (roi | changes).items() if value is not ...}


@pytest.fixture
def make_task() -> Callable[..., TaskRecord]:
    return build_task


@pytest.fixture
def make_run() -> Callable[..., RunRecord]:
    return build_run


@pytest.fixture
def make_limits() -> Callable[..., Limits]:
    return build_limits


@pytest.fixture
def make_roi() -> Callable[..., dict[str, Any]]:
    return build_roi
