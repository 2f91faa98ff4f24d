"""Both engines on small videos, each to its signals.h5 and Facemap's file."""

from __future__ import annotations

import contextlib
import io
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from fmdj_cloud.contracts import Basis, BitMask, Kind, Limits, Roi, RoiKind, RunSpec, SignalOrigin, SvdParams, VideoRef
from fmdj_cloud.signals_h5 import SignalsReader, SignalsWriter
from fmdj_cloud.worker.turbo.frames import BLOCK, Cache
from fmdj_cloud.worker.turbo.inputs import Inputs, read_inputs
from fmdj_cloud.worker.turbo.proc_file import Recorded
from fmdj_cloud.worker.turbo.stages import basis_stage, merge_stage, project_stage

Videos = Sequence[Sequence[Path]]


@dataclass(frozen=True)
class Ran:
    """What an engine left behind."""

    signals: Path
    procs: dict[str, Path]
    origins: tuple[SignalOrigin, ...]

    @property
    def reader(self) -> SignalsReader:
        return SignalsReader(self.signals)

    def proc(self, name: str = "main") -> dict[str, Any]:
        return np.load(self.procs[name], allow_pickle=True).item()


def to_roi(saved: dict[str, Any]) -> Roi:
    """Return a ROI of the GUI as a spec holds it."""
    kind = RoiKind.from_rind(saved["rind"])
    eye = kind in (RoiKind.PUPIL, RoiKind.BLINK)
    return Roi(
        kind=kind,
        view=int(saved["ivid"]),
        y0=int(saved["yrange"][0]),
        y1=int(saved["yrange"][-1]) + 1,
        x0=int(saved["xrange"][0]),
        x1=int(saved["xrange"][-1]) + 1,
        saturation=float(saved["saturation"]) if eye else None,
        pupil_sigma=float(saved["pupil_sigma"]) if kind is RoiKind.PUPIL else None,
        ellipse=BitMask.from_array(saved["ellipse"]) if eye else None,
    )


def spec(videos: Videos, params: SvdParams, **fields: Any) -> RunSpec:
    return RunSpec(
        **{
            "run_id": "svd-0000000000000001",
            "kind": Kind.SVD,
            "pipeline": "lab",
            "task": "{}",
            "task_digest": "t" * 64,
            "content_digest": "c" * 64,
            "attempt": 1,
            "attempt_uri": "file:///nowhere/a1",
            "videos": tuple(tuple(VideoRef(uri=f"file://{p}", name=p.name, size=1) for p in row) for row in videos),
            "svd": params,
            "limits": Limits(time_budget_s=300, memory_mib=8192, scratch_mib=8192, threads=1),
            **fields,
        }
    )


def inputs(videos: Videos, params: SvdParams, **fields: Any) -> Inputs:
    return read_inputs(tuple(tuple(row) for row in videos), spec(videos, params, **fields))


def turbo(
    videos: Videos,
    params: SvdParams,
    folder: Path,
    *,
    basis: Basis = Basis.EXACT,
    threads: int = 1,
    edges: Sequence[int] = (),
    cache: bool = True,
    room: int = 1 << 30,
) -> Ran:
    """Run the turbo engine, in parts with the edges given, each multiple of a block; without a cache as in pods."""
    folder.mkdir(parents=True)
    found = inputs(videos, params)
    basis_path = folder / "basis.h5"
    with Cache(room if cache else 0) as kept, found.recording(threads, kept) as recording:
        basis_stage(
            recording,
            found.counts.frames,
            params,
            basis_path,
            basis=basis,
            threads=threads,
            scratch=folder,
            alone=not cache,
            on_frames=lambda frames: None,
        )
        ends = [0, *edges, found.nframes]
        parts = []
        for start, stop in itertools.pairwise(ends):
            assert start % BLOCK == 0
            parts.append(folder / f"part-{start}.h5")
            project_stage(
                recording,
                (start, stop),
                params,
                basis_path,
                parts[-1],
                threads=threads,
                on_frames=lambda frames: None,
            )
    recorded = Recorded(tuple(tuple(map(str, row)) for row in videos), folder / "facemap", found.sizes)
    signals = folder / "signals.h5"
    with SignalsWriter(
        signals, kind=Kind.SVD, run_id="r", nframes=found.nframes, sbin=params.sbin, fps=found.fps
    ) as writer:
        origins = merge_stage(recorded, params, basis_path, parts, writer, folder)
    return Ran(signals, {"main": recorded.path}, origins)


def facemap(videos: Videos, params: SvdParams, folder: Path, *, threads: int = 1) -> Ran:
    """Run the engine that calls Facemap, without a process of its own."""
    from fmdj_cloud.worker.svd.assemble import Assembly, read_proc
    from fmdj_cloud.worker.svd.engine import run_pass
    from fmdj_cloud.worker.svd.faults import FAULTS
    from fmdj_cloud.worker.svd.geometry import has_svd, of_kind
    from fmdj_cloud.worker.svd.passes import plan_passes
    from fmdj_cloud.worker.svd.surface import measure_running, running_views

    folder.mkdir(parents=True)
    found = inputs(videos, params)
    procs = {}
    with contextlib.redirect_stdout(io.StringIO()), threadpool_limits(threads, user_api="blas"):
        for part in plan_passes(params):
            procs[part.name] = run_pass(part, params, videos, found.sizes, folder / part.name, lambda frames: None)
    signals = folder / "signals.h5"
    with SignalsWriter(
        signals, kind=Kind.SVD, run_id="r", nframes=found.nframes, sbin=params.sbin, fps=found.fps
    ) as writer:
        assembly = Assembly(writer, params, found.sizes, found.nframes, FAULTS["1.0.8"])
        for part in plan_passes(params):
            assembly.add_pass(part, read_proc(procs[part.name]))
        if not has_svd(params):
            for index in of_kind(params, RoiKind.MOTION_SVD):
                assembly.add_bare(index)
        for view in running_views(params):
            traces = measure_running(params, view, videos, found.counts.frames, lambda frames: None)
            for index, trace in traces.items():
                assembly.add_running(index, trace)
    return Ran(signals, procs, assembly.origins)
