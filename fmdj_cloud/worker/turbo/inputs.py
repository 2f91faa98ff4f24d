"""What a turbo run reads: its files, checked, and the frames that count."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from fmdj_cloud.contracts import RunSpec, SvdParams, ViewFrames
from fmdj_cloud.errors import ConfigError
from fmdj_cloud.worker.counts import Counts, count, view_frames
from fmdj_cloud.worker.index import Index, read_index
from fmdj_cloud.worker.svd.geometry import Size
from fmdj_cloud.worker.svd.inputs import PICKLE_MAX_BYTES, check_params
from fmdj_cloud.worker.turbo.frames import Cache, FramesEndError, Recording, Source

log = logging.getLogger(__name__)

T = TypeVar("T")
Videos = tuple[tuple[Source, ...], ...]
Indices = tuple[tuple[Index, ...], ...]


@dataclass(frozen=True)
class Inputs:
    """Files that were found to be what the run needs.

    Attributes
    ----------
    videos : tuple of tuple of (Path or callable)
        Outer sequential, inner simultaneous.
    indices : tuple of tuple of Index
        What their packets say.
    counts : Counts
        The frames that count.
    params : SvdParams
    warnings : tuple of str
    """

    videos: Videos
    indices: Indices
    counts: Counts
    params: SvdParams
    warnings: tuple[str, ...]

    @property
    def sizes(self) -> tuple[Size, ...]:
        """Height and width of every view."""
        return tuple((index.facts.height, index.facts.width) for index in self.indices[0])

    @property
    def nframes(self) -> int:
        """Frames of the whole recording."""
        return self.counts.nframes

    @property
    def fps(self) -> float:
        """Frames per second, 0 where unknown."""
        return self.indices[0][0].facts.fps

    @property
    def views(self) -> tuple[ViewFrames, ...]:
        """What was found, view by view."""
        return view_frames(tuple(tuple(index.facts for index in row) for row in self.indices))

    def recording(self, threads: int, cache: Cache | None = None) -> Recording:
        """Open the files."""
        return Recording(self.videos, self.indices, self.counts.frames, self.params.sbin, threads=threads, cache=cache)


def svd_params(spec: RunSpec) -> SvdParams:
    """Return the parameters of a spec.

    Raises
    ------
    ConfigError
        If it has none.
    """
    if spec.svd is None:
        raise ConfigError(f"The spec of {spec.run_id} holds no SVD parameters: plan the run again.")
    return spec.svd


def read_inputs(videos: Videos, spec: RunSpec, indices: Indices | None = None) -> Inputs:
    """Read what the files' packets say, and check it; nothing is decoded.

    Parameters
    ----------
    videos : tuple of tuple of (Path or callable)
    spec : RunSpec
    indices : tuple of tuple of Index, optional
        Of these files; None reads them from files that are here.

    Raises
    ------
    InputError
        If they can't be computed on.
    """
    if indices is None:
        indices = tuple(tuple(read_index(path) for path in row if isinstance(path, Path)) for row in videos)
    for row in indices:
        for index in row:
            facts = index.facts
            log.info(
                "%s: %dx%d %s, %d frames claimed, %d found",
                *(facts.name, facts.width, facts.height, facts.codec, facts.header_frames, facts.frames),
            )
    return _checked(videos, indices, spec)


def with_true_frames(inputs: Inputs, spec: RunSpec, work: Callable[[Inputs], T]) -> tuple[Inputs, T]:
    """Do some work; where a file turns out to end before its packets promise, do it again with what counts then.

    Parameters
    ----------
    inputs : Inputs
    spec : RunSpec
    work : callable

    Returns
    -------
    inputs : Inputs
        With which it was done.
    made : object
        What it returned.

    Raises
    ------
    InputError
        If a file has fewer frames than may be missing.
    """
    while True:
        try:
            return inputs, work(inputs)
        except FramesEndError as error:
            log.warning("%s", error.sentence)
            inputs = _checked(inputs.videos, _shortened(inputs.indices, error), spec)


def _shortened(indices: Indices, error: FramesEndError) -> Indices:
    made = tuple(
        tuple(
            replace(index, facts=replace(index.facts, frames=min(error.frames, index.facts.frames)))
            if index.facts.name == error.name
            else index
            for index in row
        )
        for row in indices
    )
    if made == indices:  # then the next try would end the same way
        raise error
    return made


def _checked(videos: Videos, indices: Indices, spec: RunSpec) -> Inputs:
    params = svd_params(spec)
    counts = count(tuple(tuple(index.facts for index in row) for row in indices), spec.limits, spec.accept)
    sizes = tuple((index.facts.height, index.facts.width) for index in indices[0])
    largest = PICKLE_MAX_BYTES if params.save_mat else None  # of MATLAB's files
    warnings = check_params(params, sizes, counts.nframes, spec.accept, largest=largest)
    return Inputs(videos, indices, counts, params, (*counts.warnings, *warnings))
