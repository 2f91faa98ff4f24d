"""``python -m fmdj_cloud.worker.turbo.child FOLDER``: checks the inputs, computes all stages, writes.

Everything that touches the bytes of a video happens here. Neither Facemap nor torch is imported: that alone would
cost some seconds and 440 MB.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2

from fmdj_cloud.contracts import Basis, Kind, RunSpec, SignalOrigin, Stage
from fmdj_cloud.signals_h5 import SignalsWriter
from fmdj_cloud.worker.child import run_child
from fmdj_cloud.worker.handover import ChildJob, ChildResult, Desk
from fmdj_cloud.worker.progress import Teller, Where
from fmdj_cloud.worker.svd.passes import MAIN
from fmdj_cloud.worker.timings import Timings
from fmdj_cloud.worker.turbo.arithmetic import arithmetic_on
from fmdj_cloud.worker.turbo.frames import Cache
from fmdj_cloud.worker.turbo.inputs import Inputs, read_inputs, svd_params, with_true_frames
from fmdj_cloud.worker.turbo.pods import compute_stage
from fmdj_cloud.worker.turbo.proc_file import Recorded
from fmdj_cloud.worker.turbo.regions import svd_regions
from fmdj_cloud.worker.turbo.room import cache_within
from fmdj_cloud.worker.turbo.schedule import basis_chunks, sampled
from fmdj_cloud.worker.turbo.stages import basis_stage, merge_stage, project_stage
from fmdj_cloud.worker.turbo.telling import Telling
from fmdj_cloud.worker.versions import versions_of

log = logging.getLogger("fmdj_cloud.worker.turbo.child")  # __name__ is "__main__" in the child

_PACKAGES = ("numpy", "scipy", "numba", "h5py")
_MIB = 1 << 20


def main(arguments: Sequence[str]) -> int:
    """Compute what lies on the desk; return 0, or the exit code of the failure told there."""
    return run_child(arguments, compute)


def compute(desk: Desk, job: ChildJob) -> ChildResult:
    """Compute what a job asks for, in this process."""
    cv2.setNumThreads(1)  # frames are decoded in several threads already
    versions = versions_of((*_PACKAGES, "scikit-learn") if job.spec.basis is Basis.FACEMAP else _PACKAGES)
    if job.stage is not Stage.ALL:
        return compute_stage(desk, job, versions)
    videos = tuple(tuple(Path(path) for path in row) for row in job.videos)
    made = _Computation(desk, job.spec, videos).run()
    return made.model_copy(update={"versions": {**versions, **made.versions}})


class _Computation:
    """One computation, stage by stage."""

    def __init__(self, desk: Desk, spec: RunSpec, videos: tuple[tuple[Path, ...], ...]) -> None:
        self._desk = desk
        self._spec = spec
        self._params = svd_params(spec)
        self._videos = videos
        self._teller = Teller(desk.told)
        self._timings = Timings()
        self._work = desk.work
        self._arithmetic = arithmetic_on(spec.limits.gpu)

    def run(self) -> ChildResult:
        """Do everything."""
        self._work.mkdir()
        with self._timings.of("check"):
            self._teller.tell(Where("check"))
            inputs = read_inputs(self._videos, self._spec)
        inputs, _ = with_true_frames(inputs, self._spec, self._decode)
        recorded = Recorded(
            filenames=tuple(tuple(str(path) for path in row) for row in self._videos),
            folder=self._desk.facemap / MAIN,
            sizes=inputs.sizes,
        )
        with self._timings.of("merge"):
            total = _frames_in_all(inputs)
            self._teller.tell(Where("merge", total, total))
            origins = self._merge(inputs, recorded)
        return ChildResult(
            nframes=inputs.nframes,
            views=inputs.views,
            versions=self._arithmetic.versions,
            device=self._arithmetic.name,
            timings_s=self._timings.seconds,
            signals=origins,
            warnings=inputs.warnings,
            gui_file=recorded.path.relative_to(self._desk.outputs).as_posix(),
        )

    def _decode(self, inputs: Inputs) -> None:
        """Do all that needs frames."""
        threads = self._spec.limits.threads
        progress = Telling(self._teller, _frames_in_all(inputs))
        log.info("%d frames, basis %s", inputs.nframes, self._spec.basis)
        with self._cache(inputs) as cache, inputs.recording(threads, cache) as recording:
            with self._timings.of("basis"):
                basis_stage(
                    recording,
                    inputs.counts.frames,
                    self._params,
                    self._basis_path,
                    basis=self._spec.basis,
                    threads=threads,
                    scratch=self._work,
                    alone=False,
                    on_frames=progress.of("basis"),
                    arithmetic=self._arithmetic,
                )
            with self._timings.of("project"):
                project_stage(
                    recording,
                    (0, inputs.nframes),
                    self._params,
                    self._basis_path,
                    self._part_path,
                    threads=threads,
                    on_frames=progress.of("project"),
                    arithmetic=self._arithmetic,
                )

    def _cache(self, inputs: Inputs) -> Cache:
        fetched = sum(path.stat().st_size for row in self._videos for path in row) // _MIB
        return cache_within(self._spec.limits, self._params, inputs, fetched, self._work, basis=self._spec.basis)

    def _merge(self, inputs: Inputs, recorded: Recorded) -> tuple[SignalOrigin, ...]:
        with SignalsWriter(
            self._desk.signals,
            kind=Kind.SVD,
            run_id=self._spec.run_id,
            nframes=inputs.nframes,
            sbin=self._params.sbin,
            fps=inputs.fps,
        ) as writer:
            return merge_stage(recorded, self._params, self._basis_path, [self._part_path], writer, self._work)

    @property
    def _basis_path(self) -> Path:
        return self._work / "basis.h5"

    @property
    def _part_path(self) -> Path:
        return self._work / "part.h5"


def _frames_in_all(inputs: Inputs) -> int:
    """Return how many frames are read for the basis and projected."""
    has_basis = bool(svd_regions(inputs.params, inputs.sizes))
    ranges = [*sampled(inputs.counts.frames, basis=has_basis), *(basis_chunks(inputs.nframes) if has_basis else ())]
    return inputs.nframes + sum(stop - start for start, stop in ranges)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
