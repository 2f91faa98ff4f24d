"""``facemap_params`` as found in a task row -> the canonical :class:`SvdParams`: pure.

Two shapes are found in labs: plain arguments of ``facemap.process.run``, and a whole proc dict (the
Facemap GUI's "Save ROIs", or a ``_proc.npy`` with results in it). Either may hold the other under
``proc``. Result arrays and the GUI's own state are ignored; a name that nobody knows is refused, since
a misspelt parameter would otherwise be computed with its default.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fmdj_cloud.contracts import SvdParams, TaskRecord
from fmdj_cloud.control.rois import parse_rois
from fmdj_cloud.errors import InputError

_ARGUMENTS = frozenset({"sbin", "motSVD", "movSVD", "proc", "fullSVD", "save_mat", "rois", "Ly", "Lx"})
_GROUPING = frozenset({"views", "filenames"})
_IGNORED = frozenset(
    {
        # where Facemap would write, and the GUI's own state: both are ours to choose
        *("savepath", "save_path", "GUIobject", "parent", "sy", "sx", "LY", "LX", "pose_settings"),
        # results of an earlier run
        *("Lybin", "Lxbin", "sybin", "sxbin", "LYbin", "LXbin", "avgframe", "avgmotion", "avgframe_reshape"),
        *("avgmotion_reshape", "motion", "motSv", "movSv", "motMask", "movMask", "motMask_reshape"),
        *("movMask_reshape", "pupil", "running", "blink"),
    }
)


def parse_params(task: TaskRecord) -> tuple[SvdParams, tuple[str, ...]]:
    """Return a task's parameters in canonical form.

    Parameters
    ----------
    task : TaskRecord

    Returns
    -------
    params : SvdParams
    notes : tuple of str
        What a person should know, such as a parameter that says otherwise than the task's columns.

    Raises
    ------
    InputError
        If the parameters can't be read, one is unknown or has a wrong value (check ``params``), or a ROI
        can't be used (``rois``).
    """
    if task.params_problem:
        raise InputError(task.params_problem, check="params")
    values = merged_params(task.params)
    _refuse_unknown(values)
    notes: list[str] = []
    rois, roi_notes = parse_rois(values.get("rois"))
    notes += roi_notes
    full_svd = _boolean("fullSVD", values.get("fullSVD"), default=True)
    mot_svd = _choice("motSVD", values, "do_mot_svd", task.do_mot_svd, notes)
    mov_svd = _choice("movSVD", values, "do_mov_svd", task.do_mov_svd, notes)
    if not rois and not (full_svd and (mot_svd or mov_svd)):
        raise InputError(
            f"There is nothing to compute: fullSVD={full_svd}, motSVD={mot_svd}, movSVD={mov_svd} and no ROIs. "
            "Ask for motSVD or movSVD of the full frame, or draw ROIs.",
            check="params",
        )
    params = SvdParams(
        sbin=_sbin(values.get("sbin")),
        full_svd=full_svd,
        mot_svd=mot_svd,
        mov_svd=mov_svd,
        save_mat=_boolean("save_mat", values.get("save_mat"), default=False),
        rois=rois,
        drawn_on=_drawn_on(values) if rois else None,
    )
    return params, tuple(notes)


def merged_params(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters with a nested ``proc`` dict merged in.

    As in Facemap, what stands in ``proc`` wins, but for motSVD and movSVD, which are arguments.
    """
    outer = {name: value for name, value in params.items() if name != "proc"}
    proc = params.get("proc")
    if proc is None:
        return outer
    if not isinstance(proc, Mapping):
        raise InputError(
            f"facemap_params['proc'] is a {type(proc).__name__}; it must be a dict as the Facemap GUI saves it.",
            check="params",
        )
    merged = {**outer, **proc}
    for name in ("motSVD", "movSVD"):
        if as_flag(outer.get(name)) is not None:
            merged[name] = outer[name]
    return merged


def as_flag(value: Any) -> bool | None:
    """Return a boolean (also a numpy one, or 0 and 1), None for anything else, such as an array of results."""
    if isinstance(value, np.ndarray) and value.shape == ():
        value = value.item()
    if isinstance(value, bool | np.bool_) or (isinstance(value, int | np.integer) and value in (0, 1)):
        return bool(value)
    return None


def as_integer(value: Any) -> int | None:
    """Return a whole number (also a numpy one, or an integral float), None for anything else."""
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.reshape(-1)[0]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bool):
        return None
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) else None


def _refuse_unknown(values: Mapping[str, Any]) -> None:
    unknown = sorted(str(name) for name in values if name not in _ARGUMENTS | _GROUPING | _IGNORED)
    if unknown:
        known = ", ".join(sorted(_ARGUMENTS | _GROUPING))
        raise InputError(
            f"facemap_params has parameters that Facemap doesn't know: {', '.join(unknown)}. Known are {known}, "
            "and what the Facemap GUI saves.",
            check="params",
        )


def _boolean(name: str, value: Any, *, default: bool) -> bool:
    if value is None:
        return default
    flag = as_flag(value)
    if flag is None:
        raise InputError(f"facemap_params[{name!r}] is {_short(value)}; it must be True or False.", check="params")
    return flag


def _choice(name: str, values: Mapping[str, Any], column: str, default: bool, notes: list[str]) -> bool:
    value = values.get(name)
    flag = as_flag(value)
    if flag is None:
        if value is not None and not isinstance(value, list | tuple | np.ndarray):
            raise InputError(f"facemap_params[{name!r}] is {_short(value)}; it must be True or False.", check="params")
        return default
    if flag != default:
        notes.append(f"facemap_params says {name}={flag}, the task {column}={default}: facemap_params wins.")
    return flag


def _sbin(value: Any) -> int:
    if value is None:
        return 1
    sbin = as_integer(value)
    if sbin is None or sbin < 1:
        raise InputError(
            f"facemap_params['sbin'] is {_short(value)}; it must be a whole number of pixels, at least 1.",
            check="params",
        )
    return sbin


def _drawn_on(values: Mapping[str, Any]) -> tuple[tuple[int, int], ...] | None:
    if values.get("Ly") is None or values.get("Lx") is None:
        return None
    heights, widths = _sizes("Ly", values["Ly"]), _sizes("Lx", values["Lx"])
    if len(heights) != len(widths):
        raise InputError(
            f"facemap_params has {len(heights)} heights (Ly) and {len(widths)} widths (Lx); there must be one of "
            "each per view.",
            check="rois",
        )
    return tuple(zip(heights, widths, strict=True)) or None


def _sizes(name: str, value: Any) -> list[int]:
    listed = value.reshape(-1).tolist() if isinstance(value, np.ndarray) else value
    if not isinstance(listed, Sequence) or isinstance(listed, str | bytes):
        listed = [listed]
    sizes = [as_integer(item) for item in listed]
    if any(size is None or size < 1 for size in sizes):
        raise InputError(
            f"facemap_params[{name!r}] is {_short(value)}; it must be one size in pixels per view.", check="rois"
        )
    return [size for size in sizes if size is not None]


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
