"""A small signals.h5 with every kind of region, and what belongs to it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fmdj_cloud.contracts import (
    BitMask,
    Kind,
    Manifest,
    ManifestFile,
    Origin,
    Roi,
    RoiKind,
    SignalOrigin,
    SvdParams,
    Verdict,
    ViewFrames,
)
from fmdj_cloud.settings import LoadSettings
from fmdj_cloud.signals_h5 import FULL_FRAME, RegionInfo, SignalsReader, SignalsWriter

NFRAMES = 60
HEIGHT, WIDTH, SBIN = 32, 48, 4
COMPONENTS = 7


def params(**changes: Any) -> SvdParams:
    """Full frame, a motion ROI, a pupil, a blink and a running ROI, all in view 0."""
    ellipse = BitMask.from_array(np.ones((8, 8), bool))
    rois = (
        Roi(kind=RoiKind.MOTION_SVD, y0=0, y1=16, x0=0, x1=24),
        Roi(kind=RoiKind.PUPIL, y0=4, y1=12, x0=4, x1=12, ellipse=ellipse),
        Roi(kind=RoiKind.BLINK, y0=4, y1=12, x0=4, x1=12, ellipse=ellipse),
        Roi(kind=RoiKind.RUNNING, y0=16, y1=32, x0=0, x1=48),
    )
    return SvdParams(**({"sbin": SBIN, "rois": rois, "mov_svd": True} | changes))


def manifest(**changes: Any) -> Manifest:
    """A manifest of the file that `write` writes."""
    values: dict[str, Any] = {
        "run_id": "svd-0123456789abcdef",
        "attempt": 1,
        "kind": Kind.SVD,
        "nonce": "n1",
        "spec_sha256": "0" * 64,
        "content_digest": "c" * 64,
        "files": (ManifestFile(path="n1/signals.h5", role="signals", size=1, sha256="0" * 64),),
        "nframes": NFRAMES,
        "views": (ViewFrames(height=HEIGHT, width=WIDTH, fps=29.97, frames=(40, 20), header_frames=(40, 21)),),
        "versions": {"facemap": "1.0.8"},
        "device": "cpu",
        "threads": 1,
        "timings_s": {},
        "signals": (SignalOrigin(signal="motion", roi_no=0, origin=Origin.REPAIRED, repairs=("F1",)),),
        "started": dt.datetime(2026, 11, 1, 9, 0, 0),
        "finished": dt.datetime(2026, 11, 1, 9, 5, 0, 123456),
    }
    return Manifest(**values | changes)


def unit_masks(rng: np.random.Generator, y: int, x: int, c: int) -> np.ndarray:
    masks = rng.normal(size=(y, x, c))
    return (masks / np.linalg.norm(masks.reshape(-1, c), axis=0)).astype(np.float32)


def region(roi_no: int, kind: str, **changes: Any) -> RegionInfo:
    binned = kind in (FULL_FRAME, RoiKind.MOTION_SVD)
    y, x = (HEIGHT, WIDTH) if kind == FULL_FRAME else (HEIGHT // 2, WIDTH // 2)
    values: dict[str, Any] = {
        "roi_no": roi_no,
        "kind": str(kind),
        "name": "FullSVD" if kind == FULL_FRAME else f"{kind}_{roi_no}",
        "view": -1 if kind == FULL_FRAME else 0,
        "yrange": np.arange(y),
        "xrange": np.arange(x),
        "yrange_bin": np.arange(y // SBIN if binned else 0),
        "xrange_bin": np.arange(x // SBIN if binned else 0),
        "origin": Origin.FACEMAP,
    }
    return RegionInfo(**values | changes)


def write(
    path: Path,
    *,
    skip: Iterable[int] = (),
    motion: dict[int, np.ndarray] | None = None,
    pupil: dict[str, np.ndarray] | None = None,
    blink: np.ndarray | None = None,
    masks: np.ndarray | None = None,
    nframes: int = NFRAMES,
    summary: bool = True,
    names: dict[int, str] | None = None,
    run_id: str = "svd-0123456789abcdef",
    seed: int = 0,
) -> Path:
    """Write the regions of `params`, with what the keywords say in place of good numbers."""
    rng = np.random.default_rng(seed)
    kinds = (FULL_FRAME, RoiKind.MOTION_SVD, RoiKind.PUPIL, RoiKind.BLINK, RoiKind.RUNNING)
    with SignalsWriter(path, kind=Kind.SVD, run_id=run_id, nframes=nframes, sbin=SBIN, fps=29.97) as writer:
        if summary:
            picture = rng.uniform(0, 255, (HEIGHT // SBIN, WIDTH // SBIN))
            writer.summary(picture, picture / 10)
        for number, kind in enumerate(kinds):
            if number in skip:
                continue
            info = region(number, kind)
            writer.region(region(number, kind, name=(names or {}).get(number, info.name)))
            if number < 2:
                y, x = info.yrange_bin.size, info.xrange_bin.size
                writer.motion(number, (motion or {}).get(number, rng.uniform(100, 200, nframes)))
                for basis in ("mot", "mov"):
                    here = unit_masks(rng, y, x, COMPONENTS) if masks is None else masks
                    values = None if basis == "mov" else np.arange(here.shape[2], 0, -1)
                    writer.components(number, basis, here, rng.normal(size=(nframes, here.shape[2])), values)
        if 2 not in skip:
            good = {
                "area": rng.uniform(50, 90, nframes),
                "area_smooth": rng.uniform(50, 90, nframes),
                "com": rng.uniform(7, 8, (nframes, 2)),
                "com_smooth": rng.uniform(7, 8, (nframes, 2)),
                "axdir": rng.normal(size=(nframes, 2, 2)),
                "axlen": rng.uniform(1, 4, (nframes, 2)),
            }
            writer.pupil(2, good | (pupil or {}))
        if 3 not in skip:
            writer.blink(3, rng.uniform(0, 900, nframes) if blink is None else blink)
        if 4 not in skip:
            writer.running(4, rng.normal(size=(nframes, 2)))
    return path


@pytest.fixture
def signals(tmp_path: Path) -> Iterable[SignalsReader]:
    """A good file, open."""
    with SignalsReader(write(tmp_path / "signals.h5")) as reader:
        yield reader


@pytest.fixture
def checked(tmp_path: Path) -> Callable[..., list[Any]]:
    """Write a file as the keywords say and check it; returns the checks that didn't pass."""
    from fmdj_cloud.load.check import check_signals

    def check(
        *, asked: SvdParams | None = None, says: Manifest | None = None, accept: tuple[str, ...] = (), **file: Any
    ) -> list[Any]:
        with SignalsReader(write(tmp_path / "signals.h5", **file)) as reader:
            checks = check_signals(reader, says or manifest(), asked or params(), LoadSettings(), accept)
        return [check for check in checks if check.verdict is not Verdict.PASS]

    return check


@pytest.fixture
def make() -> Any:
    """The builders of this module, by name."""
    import types

    return types.SimpleNamespace(
        params=params, manifest=manifest, region=region, write=write, unit_masks=unit_masks, nframes=NFRAMES
    )
