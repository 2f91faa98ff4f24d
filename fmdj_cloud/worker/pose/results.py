"""What a pose run publishes: signals.h5 and Facemap's files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from fmdj_cloud.contracts import Kind, Origin, PoseParams, RunSpec, SignalOrigin
from fmdj_cloud.signals_h5 import PoseInfo, SignalsWriter
from fmdj_cloud.worker.counts import Counts, Grid, count, view_frames
from fmdj_cloud.worker.handover import ChildResult, Desk
from fmdj_cloud.worker.pose.files import Metadata, folders, write_facemap_files
from fmdj_cloud.worker.pose.parts import Points
from fmdj_cloud.worker.pose.trace import Trace, bad_frames
from fmdj_cloud.worker.pose.window import windows

Place = tuple[int, int]
"""View and file: its place among the simultaneous and among the sequential ones."""


@dataclass(frozen=True)
class Results:
    """Everything that was found.

    Attributes
    ----------
    spec : RunSpec
    params : PoseParams
    facts : Grid
        Of the files, with the frames that their packets promise.
    traces : mapping of (view, file) to Trace
    body_parts : tuple of str
        In the order of the network's outputs.
    batch : int
        Frames at once.
    """

    spec: RunSpec
    params: PoseParams
    facts: Grid
    traces: Mapping[Place, Trace]
    body_parts: tuple[str, ...]
    batch: int

    def write(self, desk: Desk) -> ChildResult:
        """Write all files, and return what they hold; who computed it is left open.

        Raises
        ------
        InputError
            If fewer frames can be decoded than may be missing.
        """
        facts = tuple(
            tuple(replace(found, frames=self.traces[view, file].frames) for view, found in enumerate(row))
            for file, row in enumerate(self.facts)
        )
        counts = count(facts, self.spec.limits, self.spec.accept)  # now by what could be decoded
        warnings = list(counts.warnings)
        origins = []
        with SignalsWriter(
            desk.signals,
            kind=Kind.POSE,
            run_id=self.spec.run_id,
            nframes=counts.nframes,
            fps=facts[0][0].fps,
        ) as writer:
            for view in range(len(facts[0])):
                whole = [self.traces[view, file].points(frames) for file, frames in enumerate(counts.frames)]
                origins.append(self._write_view(writer, view, whole, warnings))
        places = [(view, file) for view in range(len(facts[0])) for file in range(len(facts))]
        names = folders(tuple(facts[file][view].name for view, file in places))
        gui_file = None
        for place, folder in zip(places, names, strict=True):
            written = self._write_files(desk.facemap / folder, place, counts)
            if place == (self.params.pose_view, 0):
                gui_file = written.relative_to(desk.outputs).as_posix()
        return ChildResult(
            nframes=counts.nframes,
            views=view_frames(facts),
            versions={},
            device="",
            timings_s={},
            signals=tuple(origins),
            warnings=tuple(warnings),
            gui_file=gui_file,
        )

    def _write_view(
        self, writer: SignalsWriter, view: int, whole: Sequence[Points], warnings: list[str]
    ) -> SignalOrigin:
        bad = sum(bad_frames(points) for points in whole)
        if bad:
            warnings.append(
                f"{bad} frame(s) of view {view} can't be decoded or are of one gray level: x and y are NaN there, the "
                "likelihood is 0."
            )
        note = (
            f"view {view}: {self.params.precision}, {self.batch} frame(s) at once, each normalised by itself as "
            "Facemap does with one at once"
        )
        writer.pose(
            PoseInfo(
                view=view,
                origin=Origin.FACEMAP,
                batch_size=self.batch,
                precision=self.params.precision.value,
                bbox=self._box(view),
                note=note,
            )
        )
        for place, part in enumerate(self.body_parts):
            writer.keypoints(view, part, np.concatenate([points[:, place] for points in whole]))
        return SignalOrigin(signal="pose", origin=Origin.FACEMAP, note=note)

    def _write_files(self, folder: Path, place: Place, counts: Counts) -> Path:
        view, file = place
        trace, frames = self.traces[place], counts.frames[file]
        metadata = Metadata(
            batch_size=self.batch,
            heights=[found.height for found in self.facts[0]],
            widths=[found.width for found in self.facts[0]],
            bbox=list(self._box(view)),
            total_frames=frames,
            bodyparts=list(self.body_parts),
            inference_speed=frames / trace.seconds if trace.seconds else 0.0,
        )
        return write_facemap_files(folder, self.facts[file][view].name, trace.points(frames), metadata)

    def _box(self, view: int) -> tuple[int, int, int, int]:
        sizes = tuple((found.height, found.width) for found in self.facts[0])
        box = windows(self.params.bbox, sizes)[view].box
        return box.y0, box.y1, box.x0, box.x1
