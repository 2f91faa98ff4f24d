"""What the computing child does in each stage of a sharded run, from the files of the stages before."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO, cast

from fmdj_cloud.contracts import Kind, Stage, VideoRef
from fmdj_cloud.errors import ConfigError, InputError, StorageError
from fmdj_cloud.signals_h5 import SignalsWriter
from fmdj_cloud.worker.handover import COUNTED, WHOLE_FILE, ChildJob, ChildResult, Desk
from fmdj_cloud.worker.header_index import header_index
from fmdj_cloud.worker.index import Index, read_index
from fmdj_cloud.worker.index_file import read_indices, write_indices
from fmdj_cloud.worker.progress import Teller, Where
from fmdj_cloud.worker.ranges import RemoteFile
from fmdj_cloud.worker.reach import REACH, Reach, write_reach
from fmdj_cloud.worker.svd.passes import MAIN
from fmdj_cloud.worker.timings import Timings
from fmdj_cloud.worker.turbo.arithmetic import Arithmetic, arithmetic_on
from fmdj_cloud.worker.turbo.cutting import extents_of, shards_of, tails
from fmdj_cloud.worker.turbo.frames import BLOCK, FramesEndError, Recording, Source, Wanted
from fmdj_cloud.worker.turbo.inputs import Inputs, read_inputs, svd_params, with_true_frames
from fmdj_cloud.worker.turbo.proc_file import Recorded
from fmdj_cloud.worker.turbo.regions import svd_regions
from fmdj_cloud.worker.turbo.room import cache_within
from fmdj_cloud.worker.turbo.schedule import basis_chunks, sampled
from fmdj_cloud.worker.turbo.stages import basis_stage, merge_stage, project_stage
from fmdj_cloud.worker.turbo.telling import Telling
from fmdj_cloud.worker.versions import processor

log = logging.getLogger("fmdj_cloud.worker.turbo.pods")

BASIS_FILE, INDICES_FILE, PART_FILE = "basis.h5", "indices.h5", "part.h5"
_MIB = 1 << 20


def compute_stage(desk: Desk, job: ChildJob, versions: dict[str, str]) -> ChildResult:
    """Compute a stage.

    Parameters
    ----------
    desk : Desk
        What the stages before have made lies in its folder of what is given.
    job : ChildJob
    versions : dict
        Of the packages that compute.
    """
    desk.work.mkdir()
    steps = {Stage.BASIS: _basis, Stage.PROJECT: _project, Stage.MERGE: _merge}
    made = steps[job.stage](desk, job)
    device = made.device or processor()
    return made.model_copy(update={"versions": {**versions, **made.versions}, "device": device})


def _basis(desk: Desk, job: ChildJob) -> ChildResult:
    spec, timings, teller = job.spec, Timings(), Teller(desk.told)
    params, threads = svd_params(spec), spec.limits.threads
    videos, arithmetic = _sources(job), arithmetic_on(spec.limits.gpu)
    with timings.of("check"):
        teller.tell(Where("check"))
        inputs = read_inputs(videos, spec, _indices(job, videos))

    def work(inputs: Inputs) -> bool:
        ends = list(tails(inputs.indices, inputs.counts.frames, spec.limits.max_missing_frames))
        if COUNTED in spec.accept:
            ends = [(0, inputs.nframes)]
        has_basis = bool(svd_regions(params, inputs.sizes))
        chunks = basis_chunks(inputs.nframes) if has_basis else ()
        ranges = [*ends, *sampled(inputs.counts.frames, basis=has_basis), *chunks]
        telling = Telling(teller, sum(stop - start for start, stop in ranges))
        with (
            cache_within(spec.limits, params, inputs, _fetched_mib(job), desk.work, basis=spec.basis) as cache,
            inputs.recording(threads, cache) as recording,
        ):
            with timings.of("check"):
                tell = telling.of("check")
                for block in recording.blocks_of(ends, want=Wanted(binned=False)):
                    tell(len(block.binned))
            with timings.of("basis"):
                basis_stage(
                    recording,
                    inputs.counts.frames,
                    params,
                    desk.outputs / BASIS_FILE,
                    basis=spec.basis,
                    threads=threads,
                    scratch=desk.work,
                    alone=True,
                    on_frames=telling.of("basis"),
                    arithmetic=arithmetic,
                )
            return recording.by_luma

    inputs, by_luma = with_true_frames(inputs, spec, work)
    shards, fewer = shards_of(inputs.indices, inputs.counts.frames, spec.shards or 1, block=BLOCK)
    extents = [extents_of(shard, inputs.indices, inputs.counts.frames, spec.videos) for shard in shards]
    write_indices(desk.outputs / INDICES_FILE, inputs.indices, inputs.counts.frames)
    write_reach(desk.outputs / REACH, Reach(ranged=bool(job.ranges) and by_luma, shards=tuple(extents)))
    return _result(inputs.nframes, timings, arithmetic).model_copy(
        update={
            "views": inputs.views,
            "warnings": (*inputs.warnings, *fewer),
            "shards": shards,
            "block": BLOCK,
        }
    )


def _project(desk: Desk, job: ChildJob) -> ChildResult:
    spec, timings, shard = job.spec, Timings(), job.shard
    if shard is None:
        raise ConfigError(f"The frames of shard {job.index} aren't given: run all stages with one version of fmdj.")
    if shard.start % BLOCK:
        raise StorageError(
            f"Shard {job.index} begins at frame {shard.start}, no multiple of {BLOCK}: compute the task again with one "
            "version of fmdj in all its stages."
        )
    indices, frames = read_indices(desk.given / INDICES_FILE)
    params, threads = svd_params(spec), spec.limits.threads
    telling, arithmetic = Telling(Teller(desk.told), shard.frames), arithmetic_on(spec.limits.gpu)
    with timings.of("project"), Recording(_sources(job), indices, frames, params.sbin, threads=threads) as recording:
        try:
            project_stage(
                recording,
                (shard.start, shard.stop),
                params,
                desk.given / BASIS_FILE,
                desk.outputs / PART_FILE,
                threads=threads,
                on_frames=telling.of("project"),
                arithmetic=arithmetic,
            )
        except FramesEndError as error:
            raise InputError(
                f"{error.sentence.rstrip('.')}; if that copy ends there too, accept the check missing_frames to use "
                f"the {error.frames} frames.",
                check="missing_frames",
            ) from error
    return _result(recording.nframes, timings, arithmetic).model_copy(update={"shards": (shard,), "block": BLOCK})


def _merge(desk: Desk, job: ChildJob) -> ChildResult:
    spec, timings = job.spec, Timings()
    params = svd_params(spec)
    indices, frames = read_indices(desk.given / INDICES_FILE)
    Teller(desk.told).tell(Where("merge", sum(frames), sum(frames)))
    recorded = Recorded(
        filenames=job.videos,
        folder=desk.facemap / MAIN,
        sizes=tuple((index.facts.height, index.facts.width) for index in indices[0]),
    )
    parts = [desk.given / f"{index}-{PART_FILE}" for index in range(len(job.shards))]
    with (
        timings.of("merge"),
        SignalsWriter(
            desk.signals,
            kind=Kind.SVD,
            run_id=spec.run_id,
            nframes=sum(frames),
            sbin=params.sbin,
            fps=indices[0][0].facts.fps,
        ) as writer,
    ):
        origins = merge_stage(recorded, params, desk.given / BASIS_FILE, parts, writer, desk.work)
    return _result(sum(frames), timings).model_copy(
        update={
            "views": job.views,
            "signals": origins,
            "gui_file": recorded.path.relative_to(desk.outputs).as_posix(),
        }
    )


def _result(nframes: int, timings: Timings, arithmetic: Arithmetic | None = None) -> ChildResult:
    return ChildResult(
        nframes=nframes,
        views=(),
        versions={} if arithmetic is None else arithmetic.versions,
        device="" if arithmetic is None else arithmetic.name,
        timings_s=timings.seconds,
        signals=(),
        warnings=(),
        gui_file=None,
    )


def _sources(job: ChildJob) -> tuple[tuple[Source, ...], ...]:
    """Return the videos: on scratch, or what opens them anew at the parent's."""
    if not job.ranges:
        return tuple(tuple(Path(path) for path in row) for row in job.videos)
    places, number = [], 0
    for row in job.spec.videos:
        found = []
        for ref in row:
            found.append(partial(_remote, Path(job.ranges), number, ref.size, ref.name))
            number += 1
        places.append(tuple(found))
    return tuple(places)


def _remote(path: Path, number: int, size: int, name: str) -> BinaryIO:
    return cast(BinaryIO, RemoteFile(path, number, size, name))


def _indices(job: ChildJob, videos: Sequence[Sequence[Source]]) -> tuple[tuple[Index, ...], ...]:
    rows = zip(job.spec.videos, videos, strict=True)
    return tuple(tuple(_index(ref, source) for ref, source in zip(refs, row, strict=True)) for refs, row in rows)


def _index(ref: VideoRef, source: Source) -> Index:
    """Return a file's index: by its header where it is read in ranges, else by all of its packets.

    Raises
    ------
    InputError
        If its header has none that can be relied on (check ``whole_file``).
    """
    if isinstance(source, Path):
        return read_index(source)
    with source() as file:
        found = header_index(ref.name, file, ref.size)
    if found is None:
        raise InputError(
            f"{ref.name} has no index in its header that tells where each frame lies: it is fetched whole.",
            check=WHOLE_FILE,
        )
    return found


def _fetched_mib(job: ChildJob) -> int:
    return 0 if job.ranges else sum(Path(path).stat().st_size for row in job.videos for path in row) // _MIB
