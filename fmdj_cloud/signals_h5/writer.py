"""Write a signals.h5 file."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

import h5py
import numpy as np

from fmdj_cloud.contracts import Kind
from fmdj_cloud.signals_h5.layout import FORMAT, PUPIL_FIELDS, VERSION, Array, Basis, RegionInfo
from fmdj_cloud.signals_h5.pose import PoseWriting

_COMPONENTS_PER_CHUNK = 8
_FRAMES_PER_CHUNK = 65_536


class SignalsWriter(PoseWriting):
    """Write a signals.h5 file.

    Parameters
    ----------
    path : Path
        New file.
    kind : Kind
    run_id : str
    nframes : int
    sbin : int
    fps : float
    """

    def __init__(self, path: Path, *, kind: Kind, run_id: str, nframes: int, sbin: int = 1, fps: float = 0.0) -> None:
        self._file = h5py.File(path, "w")
        self._nframes = nframes
        attributes = {
            "format": FORMAT,
            "version": VERSION,
            "kind": kind.value,
            "run_id": run_id,
            "nframes": nframes,
            "sbin": sbin,
            "fps": fps,
        }
        for name, value in attributes.items():
            self._file.attrs[name] = value

    def __enter__(self) -> SignalsWriter:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()

    def summary(self, avgframe: Array, avgmotion: Array) -> None:
        """Write the mean frame and mean motion, each (y, x)."""
        self._file["summary/avgframe"] = np.asarray(avgframe, np.float32)
        self._file["summary/avgmotion"] = np.asarray(avgmotion, np.float32)

    def region(self, info: RegionInfo) -> None:
        """Write a region's description; its signals follow."""
        group = self._file.create_group(f"regions/{info.roi_no}")
        group.attrs["roi_no"] = info.roi_no
        group.attrs["kind"] = info.kind
        group.attrs["name"] = info.name
        group.attrs["view"] = info.view
        group.attrs["origin"] = info.origin.value
        group.attrs["repairs"] = ",".join(info.repairs)
        group.attrs["note"] = info.note
        for name in ("yrange", "xrange", "yrange_bin", "xrange_bin"):
            group[name] = np.asarray(getattr(info, name), np.int64)

    def motion(self, roi_no: int, motion: Array) -> None:
        """Write a region's motion, (nframes,)."""
        self._write(roi_no, "motion", np.asarray(motion, np.float32))

    def components(
        self, roi_no: int, basis: Basis, masks: Array, projections: Array, singular_values: Array | None
    ) -> None:
        """Write a region's SVD.

        Parameters
        ----------
        roi_no : int
        basis : {"mot", "mov"}
            Motion or movie SVD.
        masks : ndarray, shape (y, x, c)
        projections : ndarray, shape (nframes, c)
        singular_values : ndarray, shape (c,), or None
        """
        group = self._file.require_group(f"regions/{roi_no}/{basis}")
        y, x, c = masks.shape
        if projections.shape != (self._nframes, c):
            raise ValueError(f"projections are {projections.shape}, not {(self._nframes, c)}")
        per = max(1, min(c, _COMPONENTS_PER_CHUNK))
        group.create_dataset("masks", data=np.asarray(masks, np.float32), chunks=(y, x, per) if c else None)
        group.create_dataset(
            "projections",
            data=np.asarray(projections, np.float32),
            chunks=(max(1, min(self._nframes, _FRAMES_PER_CHUNK)), per) if c else None,
        )
        if singular_values is not None:
            group["singular_values"] = np.asarray(singular_values, np.float32)

    def pupil(self, roi_no: int, fields: dict[str, Array]) -> None:
        """Write a pupil's traces: the fields of Facemap's pupil dict, each with nframes rows."""
        for name in PUPIL_FIELDS:
            self._write(roi_no, f"pupil/{name}", np.asarray(fields[name], np.float64))

    def blink(self, roi_no: int, trace: Array) -> None:
        """Write a blink trace, (nframes,)."""
        self._write(roi_no, "blink/trace", np.asarray(trace, np.float64))

    def running(self, roi_no: int, displacement: Array) -> None:
        """Write a running trace, (nframes, 2): dy, dx."""
        self._write(roi_no, "running/displacement", np.asarray(displacement, np.float64))

    def _write(self, roi_no: int, name: str, data: Array) -> None:
        if data.shape[0] != self._nframes:
            raise ValueError(f"region {roi_no}: {name} has {data.shape[0]} rows for {self._nframes} frames")
        self._file[f"regions/{roi_no}/{name}"] = data
