"""``python -m fmdj_cloud.worker.pose.child FOLDER``: checks the inputs, computes, writes.

Everything that touches the bytes of a video or of a model happens here.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import torch

from fmdj_cloud.contracts import PoseParams, ShardRange, Stage
from fmdj_cloud.contracts.shards import cut
from fmdj_cloud.errors import ConfigError, InputError
from fmdj_cloud.worker.child import run_child
from fmdj_cloud.worker.counts import Grid, count, view_frames
from fmdj_cloud.worker.handover import ChildJob, ChildResult, Desk
from fmdj_cloud.worker.index import Index, read_index
from fmdj_cloud.worker.pose.batches import Source
from fmdj_cloud.worker.pose.blocks import POSE_BLOCK
from fmdj_cloud.worker.pose.bounds import bound_of
from fmdj_cloud.worker.pose.desk import earlier_parts, model_path, own_parts
from fmdj_cloud.worker.pose.device import Device, batch_for, choose, frame_bytes, set_precision
from fmdj_cloud.worker.pose.infer import Inference, Keeper
from fmdj_cloud.worker.pose.model import Model, build, facemap_home, read_model
from fmdj_cloud.worker.pose.network import Finder
from fmdj_cloud.worker.pose.parts import read_parts
from fmdj_cloud.worker.pose.results import Results
from fmdj_cloud.worker.pose.shard import PART_FILE, Piece, PosePart, Ranges, ranges_of, whole_batches, write_part
from fmdj_cloud.worker.pose.window import windows
from fmdj_cloud.worker.progress import Teller, Where
from fmdj_cloud.worker.svd.faults import faults_of
from fmdj_cloud.worker.timings import Timings
from fmdj_cloud.worker.versions import versions_of

log = logging.getLogger("fmdj_cloud.worker.pose.child")  # __name__ is "__main__" in the child

_PACKAGES = ("facemap", "numpy", "torch", "h5py")


def main(arguments: Sequence[str]) -> int:
    """Compute what lies on the desk; return 0, or the exit code of the failure told there."""
    return run_child(arguments, compute)


def compute(desk: Desk, job: ChildJob) -> ChildResult:
    """Compute what a job asks for, in this process."""
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
        self._job = job
        self._params: PoseParams = job.spec.pose
        self._part_s = job.part_s
        self._videos = tuple(tuple(Path(path) for path in row) for row in job.videos)
        self._teller = Teller(desk.told)
        self._timings = Timings()
        self._warnings: list[str] = []

    def run(self) -> ChildResult:
        """Do everything."""
        versions = versions_of(_PACKAGES)
        faults_of(versions["facemap"], allow_unknown=self._spec.limits.allow_unknown_facemap)
        with self._timings.of("check"):
            self._teller.tell(Where("check"))
            device = choose(self._spec.limits.gpu, self._params.precision)
            grid = tuple(tuple(read_index(path) for path in row) for row in self._videos)
            frames = count(_facts(grid), self._spec.limits, self._spec.accept).frames
            sources = self._sources(grid)
        shard = self._shard(frames)
        ranges = None if shard is None else ranges_of(shard, frames, len(grid[0]))
        with self._timings.of("model"):
            model = read_model(model_path(self._desk), self._params.body_parts)
            facemap_home(self._desk.home, model)
            set_precision(self._params.precision)
            finder = Finder(build(model), device, self._params.precision)
        per_frame = frame_bytes(model.channels, [source.window for source in sources])
        pixels = max(source.index.facts.height * source.index.facts.width for source in sources)
        batch = batch_for(device, per_frame, pixels, self._spec.limits.memory_mib)
        log.info("%s, %s, %d frame(s) at once", device.name, self._params.precision, batch)
        with self._timings.of("pose"):
            chosen = None if ranges is None else whole_batches(ranges, _facts(grid), batch)
            inference = self._infer(finder, device, sources, model, batch, chosen)
        with self._timings.of("write"):
            self._teller.tell(Where("write"))
            if ranges is None or shard is None:
                result = self._results(grid, sources, inference, model, batch).write(self._desk)
            else:
                self._write_part(sources, ranges, inference, model, batch)
                result = _result(sum(frames), grid, shard)
        seconds = self._timings.seconds
        whole = {  # of all frames, whichever attempt computed them
            "pose": round(seconds["pose"] + inference.earlier_s, 3),
            "network": round(sum(trace.seconds for trace in inference.traces), 3),
        }
        return result.model_copy(
            update={
                "versions": {**versions, **device.versions},
                "device": device.name,
                "timings_s": seconds | whole,
                "warnings": (*self._warnings, *result.warnings),
            }
        )

    def _shard(self, frames: Sequence[int]) -> ShardRange | None:
        """Return the shard to compute, None for everything."""
        if self._job.stage is Stage.ALL:
            return None
        return cut(sum(frames), self._spec.shards or 1, block=POSE_BLOCK)[self._job.index or 0]

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

    def _infer(
        self,
        finder: Finder,
        device: Device,
        sources: list[Source],
        model: Model,
        batch: int,
        ranges: Ranges | None,
    ) -> Inference:
        inference = Inference(
            finder,
            sources,
            batch_size=batch,
            body_parts=len(model.body_parts),
            bound=bound_of(self._spec),
            ranges=ranges,
        )
        promised = {(source.view, source.file): source.index.facts.frames for source in sources}
        earlier = read_parts(earlier_parts(self._desk), self._spec.content_digest, promised, len(model.body_parts))
        done, total = inference.take_over(earlier), sum(promised.values())
        if ranges is not None:
            total = sum(stop - start for start, stop in ranges.values())
        if done:
            where = ", ".join(sorted({info.device for info, _ in earlier}))
            told = f"{done} of {total} frames were taken over from an earlier attempt ({where})."
            if ranges is None or where != device.name:
                self._warnings.append(told)
            else:  # other tries of the shard, or what its neighbours have computed of it
                log.info("%s", told)

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

    def _results(
        self,
        grid: tuple[tuple[Index, ...], ...],
        sources: list[Source],
        inference: Inference,
        model: Model,
        batch: int,
    ) -> Results:
        traces = {(one.view, one.file): trace for one, trace in zip(sources, inference.traces, strict=True)}
        return Results(self._spec, self._params, _facts(grid), traces, model.body_parts, batch)

    def _write_part(
        self, sources: list[Source], ranges: Ranges, inference: Inference, model: Model, batch: int
    ) -> None:
        pieces = {}
        for source, trace in zip(sources, inference.traces, strict=True):
            if (place := (source.view, source.file)) in ranges:
                start, stop = ranges[place]
                pieces[place] = Piece(start, trace.points(stop)[start:], trace.frames, trace.seconds)
        write_part(self._desk.outputs / PART_FILE, PosePart(batch if pieces else 0, model.body_parts, pieces))


def _result(nframes: int, grid: tuple[tuple[Index, ...], ...], shard: ShardRange) -> ChildResult:
    return ChildResult(
        nframes=nframes,
        views=view_frames(_facts(grid)),
        versions={},
        device="",
        timings_s={},
        signals=(),
        warnings=(),
        gui_file=None,
        shards=(shard,),
        block=POSE_BLOCK,
    )


def _facts(grid: tuple[tuple[Index, ...], ...]) -> Grid:
    return tuple(tuple(index.facts for index in row) for row in grid)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
