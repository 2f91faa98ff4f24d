"""``python -m fmdj_cloud.worker.pose.child FOLDER``: checks the inputs, computes, writes.

Everything that touches the bytes of a video or of a model happens here.
"""

from __future__ import annotations

import importlib.metadata
import logging
import platform
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import torch

from fmdj_cloud import __version__
from fmdj_cloud.contracts import Kind, Origin, PoseParams, SignalOrigin
from fmdj_cloud.errors import ConfigError, InputError
from fmdj_cloud.signals_h5 import PoseInfo, SignalsWriter
from fmdj_cloud.worker.child import run_child
from fmdj_cloud.worker.counts import Counts, Grid, count, view_frames
from fmdj_cloud.worker.handover import ChildJob, ChildResult, Desk
from fmdj_cloud.worker.pose.batches import Source
from fmdj_cloud.worker.pose.desk import earlier_parts, model_path, own_parts
from fmdj_cloud.worker.pose.device import Device, choose, fit_batch, frame_bytes, free_bytes, set_precision
from fmdj_cloud.worker.pose.files import Metadata, folders, write_facemap_files
from fmdj_cloud.worker.pose.infer import Bound, Inference, Keeper, Trace, bad_frames
from fmdj_cloud.worker.pose.model import Model, build, facemap_home, read_model
from fmdj_cloud.worker.pose.network import Finder
from fmdj_cloud.worker.pose.parts import Points, read_parts
from fmdj_cloud.worker.pose.stream import Index, read_index
from fmdj_cloud.worker.pose.window import windows
from fmdj_cloud.worker.progress import Teller, Where
from fmdj_cloud.worker.svd.faults import faults_of

log = logging.getLogger("fmdj_cloud.worker.pose.child")  # __name__ is "__main__" in the child

_PACKAGES = ("facemap", "numpy", "torch", "h5py")


def main(arguments: Sequence[str]) -> int:
    """Compute what lies on the desk; return 0, or the exit code of the failure told there."""
    return run_child(arguments, _compute)


def _compute(desk: Desk, job: ChildJob) -> ChildResult:
    torch.set_num_threads(job.spec.limits.threads)
    cv2.setNumThreads(1)  # the network has the others
    return _Computation(desk, job).run()


class _Computation:
    """One computation, step by step."""

    def __init__(self, desk: Desk, job: ChildJob) -> None:
        if job.spec.pose is None:
            raise ConfigError(f"The spec of {job.spec.run_id} holds no pose parameters: plan the run again.")
        self._desk = desk
        self._spec = job.spec
        self._params: PoseParams = job.spec.pose
        self._part_s = job.part_s
        self._videos = tuple(tuple(Path(path) for path in row) for row in job.videos)
        self._teller = Teller(desk.told)
        self._timings: dict[str, float] = {}
        self._warnings: list[str] = []

    def run(self) -> ChildResult:
        """Do everything."""
        versions = _versions()
        faults_of(versions["facemap"], allow_unknown=self._spec.limits.allow_unknown_facemap)
        with self._timed("check"):
            self._teller.tell(Where("check"))
            device = choose(self._spec.limits.gpu, self._params.precision)
            grid = tuple(tuple(read_index(path) for path in row) for row in self._videos)
            count(_facts(grid), self._spec.limits, self._spec.accept)
            sources = self._sources(grid)
        with self._timed("model"):
            model = read_model(model_path(self._desk), self._params.body_parts)
            facemap_home(self._desk.home, model)
            set_precision(self._params.precision)
            finder = Finder(build(model), device, self._params.precision)
        per_frame = frame_bytes(model.channels)
        batch = fit_batch(per_frame, free_bytes(device, self._spec.limits.memory_mib), device.torch.type)
        log.info("%s, %s, %d frame(s) at once", device.name, self._params.precision, batch)
        with self._timed("pose"):
            inference = self._infer(finder, device, sources, model, batch)
        with self._timed("write"):
            self._teller.tell(Where("write"))
            result = self._result(grid, inference, model, device, batch, {**versions, **device.versions})
        self._timings["network"] = round(sum(inference.seconds.values()), 3)
        return result.model_copy(update={"timings_s": self._timings})

    def _sources(self, grid: tuple[tuple[Index, ...], ...]) -> list[Source]:
        sizes = tuple((index.facts.height, index.facts.width) for index in grid[0])
        if self._params.pose_view >= len(sizes):
            raise InputError(
                f"pose_view is {self._params.pose_view} and the recording has {len(sizes)} view(s), numbered from 0: "
                "correct it in the task's parameters.",
                check="pose_view",
            )
        seen = windows(self._params.bbox, sizes)
        return [
            Source(view, file, self._videos[file][view], grid[file][view], seen[view])
            for view in range(len(sizes))
            for file in range(len(grid))
        ]

    def _infer(self, finder: Finder, device: Device, sources: list[Source], model: Model, batch: int) -> Inference:
        inference = Inference(
            finder,
            sources,
            batch_size=batch,
            body_parts=len(model.body_parts),
            bound=Bound(self._spec.limits.max_bad_frames, "bad_frames" in self._spec.accept),
        )
        promised = {(source.view, source.file): source.index.facts.frames for source in sources}
        earlier = read_parts(earlier_parts(self._desk), self._spec.content_digest, promised, len(model.body_parts))
        done, total = inference.take_over(earlier), sum(promised.values())
        if done:
            where = ", ".join(sorted({info.device for info, _ in earlier}))
            self._warnings.append(f"{done} of {total} frames were taken over from an earlier attempt ({where}).")

        def on_frames(frames: int) -> None:
            nonlocal done
            done += frames
            self._teller.tell(Where("pose", done, total))

        self._teller.tell(Where("pose", done, total))
        keeper = Keeper(
            own_parts(self._desk),
            content_digest=self._spec.content_digest,
            device=device.name,
            every_s=self._part_s,
        )
        inference.run(keeper, on_frames)
        return inference

    def _result(
        self,
        grid: tuple[tuple[Index, ...], ...],
        inference: Inference,
        model: Model,
        device: Device,
        batch: int,
        versions: dict[str, str],
    ) -> ChildResult:
        by_place = {(trace.source.view, trace.source.file): trace for trace in inference.traces}
        facts = tuple(
            tuple(replace(index.facts, frames=by_place[view, file].frames) for view, index in enumerate(row))
            for file, row in enumerate(grid)
        )
        counts = count(facts, self._spec.limits, self._spec.accept)  # now by what could be decoded
        self._warnings += counts.warnings
        names = folders(tuple(trace.source.path.name for trace in inference.traces))
        gui_file = None
        origins = []
        with SignalsWriter(
            self._desk.signals,
            kind=Kind.POSE,
            run_id=self._spec.run_id,
            nframes=counts.nframes,
            fps=grid[0][0].facts.fps,
        ) as writer:
            for view in range(len(grid[0])):
                whole = [by_place[view, file].points(frames) for file, frames in enumerate(counts.frames)]
                origins.append(self._write_view(writer, by_place[view, 0], whole, model, batch))
        for trace, folder in zip(inference.traces, names, strict=True):
            written = self._write_files(trace, folder, counts, grid[0], inference, model, batch)
            if (trace.source.view, trace.source.file) == (self._params.pose_view, 0):
                gui_file = written.relative_to(self._desk.outputs).as_posix()
        return ChildResult(
            nframes=counts.nframes,
            views=view_frames(facts),
            versions=versions,
            device=device.name,
            timings_s={},
            signals=tuple(origins),
            warnings=tuple(self._warnings),
            gui_file=gui_file,
        )

    def _write_view(
        self, writer: SignalsWriter, first: Trace, whole: list[Points], model: Model, batch: int
    ) -> SignalOrigin:
        view, box = first.source.view, first.source.window.box
        bad = sum(bad_frames(points) for points in whole)
        if bad:
            self._warnings.append(
                f"{bad} frame(s) of view {view} can't be decoded or are of one gray level: x and y are NaN there, the "
                "likelihood is 0."
            )
        note = (
            f"view {view}: {self._params.precision}, {batch} frame(s) at once, each normalised by itself as Facemap "
            "does with one at once"
        )
        writer.pose(
            PoseInfo(
                view=view,
                origin=Origin.FACEMAP,
                batch_size=batch,
                precision=self._params.precision.value,
                bbox=(box.y0, box.y1, box.x0, box.x1),
                note=note,
            )
        )
        for place, part in enumerate(model.body_parts):
            writer.keypoints(view, part, _joined(whole, place))
        return SignalOrigin(signal="pose", origin=Origin.FACEMAP, note=note)

    def _write_files(
        self,
        trace: Trace,
        folder: str,
        counts: Counts,
        views: tuple[Index, ...],
        inference: Inference,
        model: Model,
        batch: int,
    ) -> Path:
        source, frames = trace.source, counts.frames[trace.source.file]
        box = source.window.box
        seconds = inference.seconds.get((source.view, source.file), 0.0)
        metadata = Metadata(
            batch_size=batch,
            heights=[index.facts.height for index in views],
            widths=[index.facts.width for index in views],
            bbox=[box.y0, box.y1, box.x0, box.x1],
            total_frames=frames,
            bodyparts=list(model.body_parts),
            inference_speed=frames / seconds if seconds else 0.0,
        )
        return write_facemap_files(self._desk.facemap / folder, source.path.name, trace.points(frames), metadata)

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        finally:
            self._timings[stage] = round(time.monotonic() - began, 3)


def _facts(grid: tuple[tuple[Index, ...], ...]) -> Grid:
    return tuple(tuple(index.facts for index in row) for row in grid)


def _joined(whole: list[Points], place: int) -> Points:
    return np.concatenate([points[:, place] for points in whole])


def _versions() -> dict[str, str]:
    try:
        found = {name: importlib.metadata.version(name) for name in _PACKAGES}
    except importlib.metadata.PackageNotFoundError as error:
        raise ConfigError(
            f"{error.name} isn't installed where the worker runs: install fmdj-cloud[worker], or use the worker image."
        ) from error
    return {
        **found,
        "opencv": cv2.__version__,
        "av": av.__version__,
        "fmdj": __version__,
        "python": platform.python_version(),
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
