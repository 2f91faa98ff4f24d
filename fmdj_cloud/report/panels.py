"""Which traces a result has, in the order in which they are drawn: pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from fmdj_cloud.contracts import RoiKind
from fmdj_cloud.report.signals import Signals
from fmdj_cloud.signals_h5 import Array

Read = Callable[[int, int], Array]
_X, _Y = 0, 1


@dataclass(frozen=True)
class Line:
    """One trace.

    Attributes
    ----------
    label : str
        Empty where it is the only one of its panel.
    read : callable
        ``read(start, stop)`` returns frames ``start:stop``, (frames,).
    centred : bool
        Whether its mean is taken off: two coordinates in one panel.
    """

    label: str
    read: Read
    centred: bool = False


@dataclass(frozen=True)
class Panel:
    """Traces that share an axis.

    Attributes
    ----------
    name : str
    unit : str
    owner : int
        Number of the region, or place of the body part: it has one colour everywhere.
    lines : tuple of Line
    """

    name: str
    unit: str
    owner: int
    lines: tuple[Line, ...]


def panels(signals: Signals) -> tuple[Panel, ...]:
    """Return the panels of a result: pupil, motion, running, blink, keypoints.

    Parameters
    ----------
    signals : Signals
    """
    return (*_pupils(signals), *_motions(signals), *_runnings(signals), *_blinks(signals), *_points(signals))


def _pupils(signals: Signals) -> Iterator[Panel]:
    for region in signals.regions():
        if signals.shape(region.roi_no, "pupil/area") is None:
            continue
        of = partial(_pupil, signals, region.roi_no)
        name = named(region.name, region.roi_no)
        sizes = (Line("area", partial(of, "area", None)), Line("smoothed", partial(of, "area_smooth", None)))
        yield Panel(f"{name}: area", "pixels²", region.roi_no, sizes)
        centre = tuple(Line(label, partial(of, "com", axis), centred=True) for axis, label in ((1, "x"), (0, "y")))
        yield Panel(f"{name}: centre, from its mean", "pixels", region.roi_no, centre)


def _motions(signals: Signals) -> Iterator[Panel]:
    for region in signals.regions():
        if signals.shape(region.roi_no, "motion") is not None:
            read = partial(_whole, signals.motion, region.roi_no)
            yield Panel(f"{named(region.name, region.roi_no)}: motion", "gray levels", region.roi_no, (Line("", read),))


def _runnings(signals: Signals) -> Iterator[Panel]:
    for region in signals.regions():
        if signals.shape(region.roi_no, "running/displacement") is None:
            continue
        lines = tuple(
            Line(label, partial(_column, signals.running, region.roi_no, axis))
            for axis, label in ((0, "dy"), (1, "dx"))
        )
        yield Panel(f"{named(region.name, region.roi_no)}: displacement", "pixels/frame", region.roi_no, lines)


def _blinks(signals: Signals) -> Iterator[Panel]:
    for region in signals.regions():
        if signals.shape(region.roi_no, "blink/trace") is not None:
            read = partial(_whole, signals.blink, region.roi_no)
            name = f"{named(region.name, region.roi_no)}: darkness"
            yield Panel(name, "gray levels", region.roi_no, (Line("", read),))


def _points(signals: Signals) -> Iterator[Panel]:
    views = signals.pose_views()
    for info in views:
        for number, part in enumerate(signals.body_parts(info.view)):
            view = f" (view {info.view})" if len(views) > 1 else ""
            of = partial(_point, signals, info.view, part)
            lines = (Line("x", partial(of, _X), centred=True), Line("y", partial(of, _Y), centred=True))
            yield Panel(f"{part}{view}: from its mean", "pixels", number, lines)


def named(name: str, roi_no: int) -> str:
    """Return what a region is called where it may have no name."""
    return name or f"region {roi_no}"


def is_eye(kind: str) -> bool:
    """Tell whether Facemap's GUI draws a ROI of this type as an ellipse."""
    return kind in (RoiKind.PUPIL.value, RoiKind.BLINK.value)


def _pupil(signals: Signals, roi_no: int, field: str, axis: int | None, start: int, stop: int) -> Array:
    found = (signals.pupil(roi_no, start, stop) or {})[field]
    return found if axis is None else found[:, axis]


def _whole(read: Callable[..., Any], roi_no: int, start: int, stop: int) -> Array:
    found: Array = read(roi_no, start, stop)
    return found


def _column(read: Callable[..., Any], roi_no: int, axis: int, start: int, stop: int) -> Array:
    found: Array = read(roi_no, start, stop)
    return found[:, axis]


def _point(signals: Signals, view: int, part: str, axis: int, start: int, stop: int) -> Array:
    return signals.keypoints(view, part, start, stop)[axis]
