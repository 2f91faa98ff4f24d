"""Signals become rows: pure functions from a checked file to rows of every table.

Rows hold native values and numpy arrays; how a schema keeps arrays is the codec's business. Component
numbers start at 0, as element-facemap counts.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fmdj_cloud.contracts import Manifest, Origin
from fmdj_cloud.load.slices import component_slices
from fmdj_cloud.signals_h5 import Basis, RegionInfo, SignalsReader

Row = dict[str, Any]
_VERSION_MAX = 16
"""Characters of FacemapProcessing.package_version; the manifest keeps the whole."""


class Table(enum.StrEnum):
    """Tables that a run's signals go to, in the order in which their rows can be inserted."""

    FACIAL_SIGNAL = "FacialSignal"
    REGION = "Region"
    MOTION_SVD = "MotionSVD"
    MOVIE_SVD = "MovieSVD"
    SUMMARY = "Summary"
    PUPIL = "Pupil"
    BLINK = "Blink"
    RUNNING = "Running"


@dataclass(frozen=True)
class Shape:
    """In what the tables differ between versions of the Element.

    Attributes
    ----------
    component : str
        Attribute that numbers components: ``component_id``, or ``pc_no`` before 0.3.
    required : frozenset of str
        Attributes of Region that can't be NULL: an empty array stands for what a region doesn't have.
    """

    component: str = "component_id"
    required: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True)
class Batch:
    """Rows of one table for one statement.

    Attributes
    ----------
    table : Table
    rows : tuple of dict
        All with the same attributes.
    """

    table: Table
    rows: tuple[Row, ...]


def processing_row(key: Mapping[str, Any], manifest: Manifest) -> Row:
    """Return the row of FacemapProcessing: when the outputs were made, and by which Facemap, or which turbo engine."""
    by_turbo = any(signal.origin is Origin.TURBO for signal in manifest.signals)
    version = f"fmdj {manifest.versions.get('fmdj', '')}" if by_turbo else manifest.versions.get("facemap", "")
    return {
        **key,
        "processing_time": manifest.finished.replace(microsecond=0),
        "package_version": version[:_VERSION_MAX],
    }


def recording_info_row(key: Mapping[str, Any], manifest: Manifest) -> Row | None:
    """Return the row of RecordingInfo as the worker found the videos, or None if they don't say their rate.

    Parameters
    ----------
    key : Mapping
        Primary key of the VideoRecording.
    manifest : Manifest
        Height, width and rate are those of the first view; frames are those that count.
    """
    if not manifest.views or manifest.views[0].fps <= 0:
        return None
    view = manifest.views[0]
    return {
        **key,
        "px_height": view.height,
        "px_width": view.width,
        "nframes": manifest.nframes,
        "fps": round(view.fps),
        "recording_duration": manifest.nframes / view.fps,
    }


def signal_batches(
    key: Mapping[str, Any],
    signals: SignalsReader,
    shape: Shape,
    slice_bytes: int,
    *,
    max_components: int | None = None,
) -> Iterator[Batch]:
    """Yield all rows of a checked file, in the order in which they can be inserted.

    Parameters
    ----------
    key : Mapping
        Primary key of the task.
    signals : SignalsReader
        Has passed :func:`fmdj_cloud.load.check.check_signals`.
    shape : Shape
    slice_bytes : int
        Bytes of arrays in a batch; a batch of a single row may have more.
    max_components : int, optional
        Of every region and SVD, the first ones; all by default.
    """
    regions = signals.regions()
    yield Batch(Table.FACIAL_SIGNAL, ({**key},))
    for table, rows in (
        (Table.REGION, (_region_row(key, signals, region, shape) for region in regions)),
        (Table.MOTION_SVD, _component_rows(key, signals, regions, "mot", shape, slice_bytes, max_components)),
        (Table.MOVIE_SVD, _component_rows(key, signals, regions, "mov", shape, slice_bytes, max_components)),
        (Table.SUMMARY, _summary_rows(key, signals)),
        (Table.PUPIL, _pupil_rows(key, signals, regions)),
        (Table.BLINK, _blink_rows(key, signals, regions)),
        (Table.RUNNING, _running_rows(key, signals, regions)),
    ):
        for batch in batches(rows, slice_bytes):
            yield Batch(table, batch)


def batches(rows: Iterable[Row], slice_bytes: int) -> Iterator[tuple[Row, ...]]:
    """Yield rows in order, at most `slice_bytes` of arrays at a time (at least one row)."""
    batch: list[Row] = []
    total = 0
    for row in rows:
        size = sum(value.nbytes for value in row.values() if isinstance(value, np.ndarray))
        if batch and total + size > slice_bytes:
            yield tuple(batch)
            batch, total = [], 0
        batch.append(row)
        total += size
    if batch:
        yield tuple(batch)


def _region_row(key: Mapping[str, Any], signals: SignalsReader, region: RegionInfo, shape: Shape) -> Row:
    values = {
        "xrange": region.xrange,
        "yrange": region.yrange,
        "xrange_bin": region.xrange_bin if region.xrange_bin.size else None,
        "yrange_bin": region.yrange_bin if region.yrange_bin.size else None,
        "motion": signals.motion(region.roi_no),
    }
    filled = {
        name: np.zeros(0, np.float32 if name == "motion" else np.int64)
        if value is None and name in shape.required
        else value
        for name, value in values.items()
    }
    return {**key, "roi_no": region.roi_no, "roi_name": region.name, **filled}


def _component_rows(
    key: Mapping[str, Any],
    signals: SignalsReader,
    regions: Iterable[RegionInfo],
    basis: Basis,
    shape: Shape,
    slice_bytes: int,
    most: int | None,
) -> Iterator[Row]:
    for region in regions:
        values = signals.singular_values(region.roi_no, basis)
        for part in component_slices(signals, region.roi_no, basis, slice_bytes, most=most):
            for offset, (mask, projection) in enumerate(zip(part.masks, part.projections, strict=True)):
                number = part.start + offset
                yield {
                    **key,
                    "roi_no": region.roi_no,
                    shape.component: number,
                    "singular_value": None if values is None else float(values[number]),
                    f"{basis}mask": mask,
                    "projection": projection,
                }


def _summary_rows(key: Mapping[str, Any], signals: SignalsReader) -> Iterator[Row]:
    summary = signals.summary()
    if summary is not None:
        yield {**key, "sbin": signals.sbin, "avgframe": summary[0], "avgmotion": summary[1]}


def _pupil_rows(key: Mapping[str, Any], signals: SignalsReader, regions: Iterable[RegionInfo]) -> Iterator[Row]:
    for region in regions:
        if (pupil := signals.pupil(region.roi_no)) is not None:
            yield {**key, "roi_no": region.roi_no, **pupil}


def _blink_rows(key: Mapping[str, Any], signals: SignalsReader, regions: Iterable[RegionInfo]) -> Iterator[Row]:
    for region in regions:
        if (trace := signals.blink(region.roi_no)) is not None:
            yield {**key, "roi_no": region.roi_no, "trace": trace}


def _running_rows(key: Mapping[str, Any], signals: SignalsReader, regions: Iterable[RegionInfo]) -> Iterator[Row]:
    for region in regions:
        if (displacement := signals.running(region.roi_no)) is not None:
            yield {**key, "roi_no": region.roi_no, "displacement": displacement}
