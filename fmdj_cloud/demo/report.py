"""What the demo's runs came to: rows counted, figures drawn from what the database holds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fmdj_cloud.contracts import FailureClass, Kind, RoiKind, RunState
from fmdj_cloud.demo.entries import Entry
from fmdj_cloud.demo.figures import RoiOutline, run_figure
from fmdj_cloud.demo.pose_report import LARGEST_ERROR_PX, median_error
from fmdj_cloud.pipeline.lab import Lab
from fmdj_cloud.pipeline.ledger import Ledger
from fmdj_cloud.signals_h5 import FULL_FRAME

_MASKS = 6
"""Masks drawn at most: two rows."""


@dataclass(frozen=True)
class RunReport:
    """How one recording's run ended.

    Attributes
    ----------
    name : str
        Of the recording.
    run_id : str or None
        None if planning refused the task.
    kind : Kind
    state : str
        Of the run, or of the binding where there is no run.
    failure_class : FailureClass or None
    sentence : str
    frames : int or None
        Frames that were computed (planned, where nothing was published).
    seconds : float or None
        From the first attempt's start to the last one's end.
    rows : dict
        Rows in the database, by table.
    median_error_px : float or None
        Of poses, against the truth.
    as_expected : bool
    """

    name: str
    run_id: str | None
    kind: Kind
    state: str
    failure_class: FailureClass | None
    sentence: str
    frames: int | None
    seconds: float | None
    rows: dict[str, int]
    median_error_px: float | None
    as_expected: bool

    def as_json(self) -> dict[str, Any]:
        """Return the report's entry in ``--json FILE``."""
        return {
            "name": self.name,
            "run_id": self.run_id,
            "kind": self.kind.value,
            "state": self.state,
            "failure_class": self.failure_class.value if self.failure_class else None,
            "sentence": self.sentence,
            "frames": self.frames,
            "seconds": self.seconds,
            "rows": self.rows,
            "median_error_px": self.median_error_px,
        }


def report_run(lab: Lab, ledger: Ledger, entry: Entry) -> RunReport:
    """Report how a recording's run ended."""
    kind = entry.scenario.kind
    binding = ledger.binding(lab.name, kind, entry.key)
    run = ledger.run(binding.run_id) if binding is not None and binding.run_id else None
    state: str = run.state.value if run else binding.state.value if binding else "pending"
    failure = run.failure_class if run else binding.failure_class if binding else None
    expected_state, expected_class = entry.scenario.expected
    loaded = run is not None and run.state is RunState.LOADED
    error = median_error(lab, entry) if loaded and kind is Kind.POSE else None
    seconds = frames = None
    if run is not None:
        attempts = ledger.attempts(run.run_id)
        ends = [attempt.finished for attempt in attempts if attempt.finished is not None]
        if ends:
            seconds = round((max(ends) - min(a.started for a in attempts)).total_seconds(), 2)
        frames = _frames(lab, entry) if loaded else run.estimate.frames
    return RunReport(
        name=entry.scenario.name,
        run_id=run.run_id if run else None,
        kind=run.kind if run else kind,
        state=state,
        failure_class=failure,
        sentence=(run.sentence if run else binding.sentence if binding else "") if failure else "",
        frames=frames,
        seconds=seconds,
        rows={name: len(table & entry.key) for name, table in _tables(lab, kind).items()},
        median_error_px=error,
        as_expected=(state, failure) == (expected_state.value, expected_class)
        and (error is None or error < LARGEST_ERROR_PX),
    )


def _tables(lab: Lab, kind: Kind) -> dict[str, Any]:
    if kind is Kind.POSE:
        inference = lab.tasks(kind).result
        return {"FacemapInference": inference, "FacemapInference.BodyPartPosition": inference.BodyPartPosition}
    element, signals = lab.element, lab.signals
    return {
        "FacemapProcessing": element.FacemapProcessing,
        "FacialSignal": element.FacialSignal,
        "FacialSignal.Region": element.Region,
        "FacialSignal.MotionSVD": element.MotionSVD,
        "FacialSignal.MovieSVD": element.MovieSVD,
        "FacialSignal.Summary": element.Summary,
        "Pupil": signals.Pupil,
        "Blink": signals.Blink,
        "Running": signals.Running,
    }


def _frames(lab: Lab, entry: Entry) -> int:
    info = lab.tasks(entry.scenario.kind).recording_info(entry.key)
    return info.nframes if info is not None else entry.recording.truth.nframes


def draw_figure(lab: Lab, entry: Entry, folder: Path) -> Path:
    """Draw a loaded run from what the database holds, against the truth."""
    element, truth = lab.element, entry.recording.truth
    regions = (element.Region & entry.key).to_dicts(order_by="roi_no")
    (summary,) = (element.Summary & entry.key).to_dicts()
    names = {row["roi_no"]: row["roi_name"] for row in regions}
    first = (element.MotionSVD & entry.key & f"{element.component} < 2").to_dicts(
        order_by=["roi_no", element.component]
    )
    masks = {f"{names[row['roi_no']]} mask {row[element.component] + 1}": row["motmask"] for row in first[:_MASKS]}
    traces: dict[str, npt.NDArray[Any]] = {}
    known: dict[str, npt.NDArray[Any]] = {}
    for row in regions:
        if row["motion"] is not None:
            traces[f"{row['roi_name']} motion"] = row["motion"]
    energies = (truth.whisker_energy, truth.snout_energy)
    for number, energy in enumerate(energies, 1):
        known[f"{RoiKind.MOTION_SVD.value} {number} motion"] = energy
    for row in (lab.signals.Pupil & entry.key).to_dicts(order_by="roi_no"):
        traces[f"{names[row['roi_no']]} area"] = row["area"]
        known[f"{names[row['roi_no']]} area"] = truth.pupil_area
    for row in (lab.signals.Blink & entry.key).to_dicts(order_by="roi_no"):
        traces[f"{names[row['roi_no']]} darkness"] = row["trace"]
    for row in (lab.signals.Running & entry.key).to_dicts(order_by="roi_no"):
        axis = int(np.argmax(truth.running.std(axis=0)))
        name = f"{names[row['roi_no']]} {('dy', 'dx')[axis]}, px/frame"
        traces[name], known[name] = row["displacement"][:, axis], truth.running[:, axis]
    return run_figure(
        folder / f"{entry.scenario.name}.png",
        title=f"{entry.scenario.name}: {entry.scenario.story}",
        avgframe=summary["avgframe"],
        rois=_outlines(regions, summary["sbin"]),
        masks=masks,
        traces=traces,
        truth={name: trace for name, trace in known.items() if name in traces},
        shaded=truth.blinks,
        fps=entry.scenario.spec.fps,
    )


def _outlines(regions: list[dict[str, Any]], sbin: int) -> list[RoiOutline]:
    outlines = []
    for row in regions:
        kind = next((kind for kind in RoiKind if row["roi_name"].startswith(kind.value)), None)
        if kind is not None and row["roi_name"] != FULL_FRAME:
            y, x = row["yrange"], row["xrange"]
            box = (y[0] / sbin, (y[-1] + 1) / sbin, x[0] / sbin, (x[-1] + 1) / sbin)
            outlines.append(RoiOutline(row["roi_name"], kind, box))
    return outlines
