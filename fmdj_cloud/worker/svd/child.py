"""``python -m fmdj_cloud.worker.svd.child FOLDER``: checks the inputs, computes, assembles.

Everything that touches the bytes of a video happens here: a decoder that crashes or hangs takes nothing but
this process with it.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import cv2

from fmdj_cloud.contracts import Kind, RoiKind, RunSpec, SvdParams
from fmdj_cloud.errors import ConfigError, DiskFullError, MemoryExhaustedError
from fmdj_cloud.signals_h5 import SignalsWriter
from fmdj_cloud.worker.child import run_child
from fmdj_cloud.worker.counts import Counts, Grid, count, view_frames
from fmdj_cloud.worker.cut import cut_copy
from fmdj_cloud.worker.handover import ChildJob, ChildResult, Desk
from fmdj_cloud.worker.progress import Teller, Where
from fmdj_cloud.worker.scratch import free_mib
from fmdj_cloud.worker.svd.assemble import Assembly, read_proc
from fmdj_cloud.worker.svd.engine import run_pass
from fmdj_cloud.worker.svd.faults import FAULTS, Fault, faults_of
from fmdj_cloud.worker.svd.geometry import Size, has_svd, of_kind
from fmdj_cloud.worker.svd.inputs import check_params
from fmdj_cloud.worker.svd.needs import needs
from fmdj_cloud.worker.svd.passes import Pass, frames_before_projection, plan_passes
from fmdj_cloud.worker.svd.surface import measure_running, running_views
from fmdj_cloud.worker.versions import processor, versions_of
from fmdj_cloud.worker.video import read_facts

log = logging.getLogger("fmdj_cloud.worker.svd.child")  # __name__ is "__main__" in the child

_PACKAGES = ("facemap", "numpy", "scipy", "scikit-learn", "numba")
_MIB = 1 << 20


def main(arguments: Sequence[str]) -> int:
    """Compute what lies on the desk; return 0, or the exit code of the failure told there."""
    return run_child(arguments, _compute)


def _compute(desk: Desk, job: ChildJob) -> ChildResult:
    cv2.setNumThreads(job.spec.limits.threads)
    videos = tuple(tuple(Path(path) for path in row) for row in job.videos)
    return _Computation(desk, job.spec, videos).run()


class _Computation:
    """One computation, step by step."""

    def __init__(self, desk: Desk, spec: RunSpec, videos: tuple[tuple[Path, ...], ...]) -> None:
        if spec.svd is None:
            raise ConfigError(f"The spec of {spec.run_id} holds no SVD parameters: plan the run again.")
        self._desk = desk
        self._spec = spec
        self._params: SvdParams = spec.svd
        self._videos = videos
        self._teller = Teller(desk.told)
        self._timings: dict[str, float] = {}
        self._warnings: list[str] = []

    def run(self) -> ChildResult:
        """Do everything."""
        versions = versions_of(_PACKAGES)
        faults = self._faults(versions["facemap"])
        with self._timed("check"):
            grid = self._read_facts()
            counts = count(grid, self._spec.limits, self._spec.accept)
            sizes = tuple((facts.height, facts.width) for facts in grid[0])
            self._warnings += counts.warnings
            self._warnings += check_params(self._params, sizes, counts.nframes, self._spec.accept)
            self._check_needs(sizes, counts.nframes)
            videos = self._cut(counts)
        passes = plan_passes(self._params)
        log.info("%d frames; passes: %s", counts.nframes, ", ".join(part.name for part in passes))
        progress = _Progress(self._teller, counts, len(passes) + len(running_views(self._params)))
        files = []
        for part in passes:
            with self._timed(part.name):
                progress.begin(part.name, ahead=frames_before_projection(part, counts.frames))
                folder = self._desk.facemap / part.name
                files.append(run_pass(part, self._params, videos, sizes, folder, progress.add))
        with SignalsWriter(
            self._desk.signals,
            kind=Kind.SVD,
            run_id=self._spec.run_id,
            nframes=counts.nframes,
            sbin=self._params.sbin,
            fps=grid[0][0].fps,
        ) as writer:
            assembly = Assembly(writer, self._params, sizes, counts.nframes, faults)
            with self._timed("assemble"):
                self._assemble(assembly, passes, files, progress)
            with self._timed("running"):
                for view in running_views(self._params):
                    progress.begin("running")
                    traces = measure_running(self._params, view, videos, counts.frames, progress.add)
                    for index, trace in traces.items():
                        assembly.add_running(index, trace)
        return ChildResult(
            nframes=counts.nframes,
            views=view_frames(grid),
            versions=versions,
            device=processor(),
            timings_s=self._timings,
            signals=assembly.origins,
            warnings=tuple(self._warnings),
            gui_file=files[0].relative_to(self._desk.outputs).as_posix(),
        )

    def _faults(self, version: str) -> frozenset[Fault]:
        allowed = self._spec.limits.allow_unknown_facemap
        faults = faults_of(version, allow_unknown=allowed)
        if version not in FAULTS:
            self._warnings.append(
                f"Facemap {version} computed this, and which signals it gets wrong isn't known: it was taken to be as "
                f"{max(FAULTS)}."
            )
        return faults

    def _read_facts(self) -> Grid:
        done = 0

        def tell(frames: int) -> None:
            self._teller.tell(Where("check", done + frames))

        rows = []
        for row in self._videos:
            found = []
            for path in row:
                facts = read_facts(path, tell)
                done += facts.frames
                log.info(
                    "%s: %dx%d %s, %d frames claimed, %d found",
                    *(facts.name, facts.width, facts.height, facts.codec, facts.header_frames, facts.frames),
                )
                found.append(facts)
            rows.append(tuple(found))
        return tuple(rows)

    def _check_needs(self, sizes: Sequence[Size], nframes: int) -> None:
        least = needs(self._params, sizes, nframes)
        limits = self._spec.limits
        if least.memory_mib > limits.memory_mib:
            raise MemoryExhaustedError(
                f"{nframes} frames of this size with sbin {self._params.sbin} need at least {least.memory_mib} MiB of "
                f"memory and the run has {limits.memory_mib}: it is tried again with more; a larger sbin needs less."
            )
        fetched = sum(path.stat().st_size for row in self._videos for path in row) // _MIB
        free = min(free_mib(self._desk.folder), limits.scratch_mib - fetched)
        if least.scratch_mib > free:
            raise DiskFullError(
                f"The results need {least.scratch_mib} MiB of scratch beside {fetched} MiB of videos and {free} MiB "
                "are left: it is tried again with more (worker.scratch_dir)."
            )

    def _cut(self, counts: Counts) -> tuple[tuple[Path, ...], ...]:
        """Return what Facemap reads: the videos, or copies with just the frames that count."""
        self._desk.cut.mkdir()
        return tuple(
            tuple(
                cut_copy(path, self._desk.cut, frames) if copied else path
                for path, copied in zip(row, copies, strict=True)
            )
            for row, copies, frames in zip(self._videos, counts.copies, counts.frames, strict=True)
        )

    def _assemble(self, assembly: Assembly, passes: Sequence[Pass], files: Sequence[Path], progress: _Progress) -> None:
        progress.begin("assemble")
        for part, path in zip(passes, files, strict=True):
            assembly.add_pass(part, read_proc(path))
        if not has_svd(self._params):
            for index in of_kind(self._params, RoiKind.MOTION_SVD):
                assembly.add_bare(index)

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        finally:
            self._timings[stage] = round(time.monotonic() - began, 3)


class _Progress:
    """Frames projected so far, over all passes."""

    def __init__(self, teller: Teller, counts: Counts, passes: int) -> None:
        self._teller = teller
        self._total = counts.nframes * passes
        self._done = 0
        self._ahead = 0
        self._stage = ""

    def begin(self, stage: str, ahead: int = 0) -> None:
        """Begin a stage, of which the first `ahead` frames don't count."""
        self._stage, self._ahead = stage, ahead
        self._teller.tell(Where(stage, self._done, self._total))

    def add(self, frames: int) -> None:
        """Count frames that were read."""
        skipped = min(self._ahead, frames)
        self._ahead -= skipped
        self._done = min(self._total, self._done + frames - skipped)
        self._teller.tell(Where(self._stage, self._done, self._total))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
