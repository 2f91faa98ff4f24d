"""Facemap's ROI dicts, as the GUI saves them or a DataJoint blob returns them -> :class:`Roi`: pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from fmdj_cloud.contracts import BitMask, Reflector, Roi, RoiKind
from fmdj_cloud.errors import InputError

_EYE = frozenset({RoiKind.PUPIL, RoiKind.BLINK})
_MAX_ROIS = 1000
_MAX_PIXELS = 1 << 15


def parse_rois(value: Any) -> tuple[tuple[Roi, ...], list[str]]:
    """Return the ROIs in their order.

    Parameters
    ----------
    value : list of dict, or None
        Each dict with ``rind`` (or ``rtype``), ``yrange``, ``xrange``; eye ROIs also ``saturation`` and
        ``ellipse``, pupils ``pupil_sigma`` and perhaps ``reflector``.

    Returns
    -------
    rois : tuple of Roi
        With the fields that Facemap uses for their kind; the GUI saves more.
    notes : list of str
        What a person should know.

    Raises
    ------
    InputError
        If one can't be used (check ``rois``); the sentence names the ROI and the piece.
    """
    if value is None:
        return (), []
    listed = value.reshape(-1).tolist() if isinstance(value, np.ndarray) else value
    if not isinstance(listed, list | tuple):
        raise _error(f"facemap_params['rois'] is a {type(value).__name__}; it must be a list of ROI dicts.")
    if len(listed) > _MAX_ROIS:
        raise _error(f"facemap_params['rois'] has {len(listed)} entries; at most {_MAX_ROIS} are allowed.")
    notes: list[str] = []
    return tuple(_roi(number, item, notes) for number, item in enumerate(listed)), notes


def _roi(number: int, value: Any, notes: list[str]) -> Roi:
    if not isinstance(value, Mapping):
        raise _error(f"ROI {number} is a {type(value).__name__}; it must be a dict as the Facemap GUI saves it.")
    kind = _kind(number, value, notes)
    label = f"ROI {number} ({kind.value})"
    y0, y1 = _range(label, "yrange", value.get("yrange"))
    x0, x1 = _range(label, "xrange", value.get("xrange"))
    if y0 < 0 or x0 < 0:
        raise _error(f"{label} begins at y={y0}, x={x0}, outside the frame: draw it again inside.")
    view = 0 if value.get("ivid") is None else _number(label, "ivid", value["ivid"])
    if view != int(view) or view < 0:
        raise _error(f"{label} has ivid={view:g}; it must be the number of a view, from 0.")
    shape = (y1 - y0, x1 - x0)
    try:
        return Roi(
            kind=kind,
            view=int(view),
            y0=y0,
            y1=y1,
            x0=x0,
            x1=x1,
            saturation=_number(label, "saturation", value.get("saturation")) if kind in _EYE else None,
            pupil_sigma=_sigma(label, value.get("pupil_sigma")) if kind is RoiKind.PUPIL else None,
            ellipse=_ellipse(label, value.get("ellipse"), shape) if kind in _EYE else None,
            reflectors=_reflectors(label, value.get("reflector")) if kind is RoiKind.PUPIL else (),
            color=_color(value.get("color")),
            name=value["name"] if isinstance(value.get("name"), str) else None,
        )
    except ValidationError as error:
        raise _error(f"{label} can't be used: {error.errors()[0]['msg']}.") from error


def _kind(number: int, value: Mapping[str, Any], notes: list[str]) -> RoiKind:
    named = value.get("rtype")
    by_name = {kind.value.lower(): kind for kind in RoiKind}.get(str(named).lower()) if named is not None else None
    if value.get("rind") is None:
        if by_name is None:
            known = ", ".join(f"{kind.rind} {kind.value}" for kind in RoiKind)
            raise _error(f"ROI {number} has rtype={named!r} and no rind; one must say its type ({known}).")
        return by_name
    rind = _number(f"ROI {number}", "rind", value["rind"])
    try:
        kind = RoiKind.from_rind(int(rind) if rind == int(rind) else -1)
    except ValueError as error:
        raise _error(f"ROI {number} has rind={rind:g}: {error}.") from error
    if by_name is not None and by_name is not kind:
        notes.append(f"ROI {number} has rind={kind.rind} ({kind.value}) but rtype={named!r}: Facemap goes by rind.")
    return kind


def _range(label: str, name: str, value: Any) -> tuple[int, int]:
    """Return (start, stop) of consecutive pixel indices."""
    if value is None:
        raise _error(f"{label} has no {name}: draw it again in the Facemap GUI.")
    indices = _array(label, name, value).reshape(-1)
    if indices.size == 0:
        raise _error(f"{label} is empty: its {name} has no pixels. Draw it again, larger.")
    if indices.size > _MAX_PIXELS or not np.all(indices == np.floor(indices)) or np.any(np.abs(indices) > _MAX_PIXELS):
        raise _error(f"{label} has a {name} that is not a list of pixel indices.")
    if np.any(np.diff(indices) != 1):
        raise _error(
            f"{label} has a {name} that is not consecutive (it begins {indices[:4].tolist()}); it must list every "
            "pixel from first to last."
        )
    return int(indices[0]), int(indices[-1]) + 1


def _array(label: str, name: str, value: Any) -> npt.NDArray[np.float64]:
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise _error(f"{label} has a {name} that is not made of numbers.") from error
    if not np.all(np.isfinite(array)):
        raise _error(f"{label} has a {name} that is not made of finite numbers.")
    return array


def _number(label: str, name: str, value: Any) -> float:
    if value is None:
        raise _error(f"{label} has no {name}: save it again with the Facemap GUI, or add it.")
    array = _array(label, name, value)
    if array.size != 1:
        raise _error(f"{label} has {name} of shape {array.shape}; it must be one number.")
    return float(array.reshape(-1)[0])


def _sigma(label: str, value: Any) -> float:
    sigma = _number(label, "pupil_sigma", value)
    if sigma <= 0:
        raise _error(f"{label} has pupil_sigma={sigma:g}; it must be above 0 (the GUI's default is 2).")
    return sigma


def _ellipse(label: str, value: Any, shape: tuple[int, int]) -> BitMask:
    if value is None:
        raise _error(f"{label} has no ellipse: save it again with the Facemap GUI.")
    mask = _array(label, "ellipse", value)
    if mask.shape != shape:
        raise _error(
            f"{label} has an ellipse of shape {mask.shape}, but covers {shape[0]} x {shape[1]} pixels (y, x): "
            "draw it again."
        )
    return BitMask.from_array(mask != 0)


def _reflectors(label: str, value: Any) -> tuple[Reflector, ...]:
    if value is None:
        return ()
    listed = value.reshape(-1).tolist() if isinstance(value, np.ndarray) else value
    if not isinstance(listed, list | tuple):
        raise _error(f"{label} has a reflector that is a {type(value).__name__}; it must be a list of dicts.")
    reflectors = []
    for number, item in enumerate(listed):
        part = f"{label}, reflector {number}"
        if not isinstance(item, Mapping):
            raise _error(f"{part} is a {type(item).__name__}; it must be a dict as the Facemap GUI saves it.")
        y0, y1 = _range(part, "yrange", item.get("yrange"))
        x0, x1 = _range(part, "xrange", item.get("xrange"))
        ellipse = _ellipse(part, item.get("ellipse"), (y1 - y0, x1 - x0))
        reflectors.append(Reflector(y0=y0, y1=y1, x0=x0, x1=x1, ellipse=ellipse))
    return tuple(reflectors)


def _color(value: Any) -> tuple[float, float, float] | None:
    """Return the colour that the GUI draws it in; it decides nothing, so a malformed one is none."""
    try:
        color = np.asarray(value, dtype=np.float64).reshape(-1)
    except (TypeError, ValueError):
        return None
    return (float(color[0]), float(color[1]), float(color[2])) if color.size == 3 and np.isfinite(color).all() else None


def _error(sentence: str) -> InputError:
    return InputError(sentence, check="rois")
