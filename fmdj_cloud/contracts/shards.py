"""Runs in stages: what passes between the stages of an attempt, and what their workers agree on.

An unsharded attempt is one Job of stage ``all``. A sharded one has a Job for each of its stages, one after the other:

- ``basis`` (SVD only; one pod) counts the frames, computes the basis, cuts the recording into shards, and writes
  ``basis.json`` (:class:`BasisCommit`) in the attempt folder;
- ``project`` (a pod for every shard) computes one shard and writes ``part-<i>.json`` (:class:`PartCommit`);
- ``merge`` (one pod) joins the parts and writes ``manifest.json``, as an unsharded worker does.

Specification of the worker
---------------------------
*Command.* ``python -m fmdj_cloud.worker --spec URI --sha256 HEX --nonce NONCE --termination-log PATH --stage STAGE
--index I``. ``--stage`` is missing for ``all``; ``--index`` is the shard, from 0, and is there in stage ``project``
only. The spec is one for all stages. Exit codes, termination message, run.log and progress.json are those of an
unsharded worker; the spec's limits are each pod's own.

*Folders.* Every pod writes into its own folder ``a<n>/<nonce>/`` and nowhere else, but for its commit. ``run.log`` and
``progress.json`` lie there as ever; ``progress.json`` of stage ``project`` also says the shard (:attr:`Progress.index`)
and counts that shard's frames.

*Commits.* A pod writes its commit last, when all files that it names are in the store: first a copy in its own folder,
then ``a<n>/<name>``. Whoever commits later overwrites, and either is valid. A pod that finds a valid commit of its
own stage (and shard) with other nonce when it starts has nothing to do: it exits 0. The last word (termination
message) of the stages basis and project carries no manifest digest.

*What is read.* ``project`` and ``merge`` of an SVD run read ``a<n>/basis.json``; ``merge`` reads
``part-0.json`` ... ``part-<N-1>.json``. Each is checked with :mod:`fmdj_cloud.storage.stages`, as the controller does.
One that is missing or not valid ends the worker with a storage error (exit 30-39: the attempt is tried again, and what
is valid is used again). Files are checked by size and SHA-256 as they are read, with the same consequence.

*Ranges.* Shards cover the frames from 0 to `nframes` in order, without gaps or overlap (:func:`cut`); the edges lie on
multiples of `block`. The stage ``basis`` decides how many there are: at most ``spec.shards``, fewer (and a warning)
where the recording can't be cut into so many. Pose has no such stage: there are exactly ``spec.shards``, every pod
cuts what it counts itself, and a shard may be empty.

*One basis.* A part belongs to the basis that it was computed with: :attr:`PartCommit.basis_digest` is that commit's
:attr:`BasisCommit.digest`, which covers what was computed, not by whom. A part of another basis is no part.

*Reuse.* ``spec.resume_from`` names folders of earlier attempts of the run, newest first. A pod may use what one of them
has committed, if content digest and range (and the basis' digest) are its own, and all bytes are there by size and
SHA-256: then its own commit names those files by their whole URIs, and `reused` the folder. Such a pod is done in
seconds.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import itertools
import json
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field, model_validator

from fmdj_cloud.contracts.base import Frozen
from fmdj_cloud.contracts.outputs import ManifestFile, ViewFrames
from fmdj_cloud.contracts.words import Stage

BASIS_NAME = "basis.json"
"""Object in the attempt folder that commits the stage ``basis``."""
SHARDS_MAX = 256
"""Shards that a run can have: each costs the start of a pod."""
_LETTERS = {Stage.BASIS: "b", Stage.PROJECT: "p", Stage.MERGE: "m"}


class ShardRange(Frozen):
    """Frames of one shard, half-open, counted over all sequential files from 0."""

    start: Annotated[int, Field(ge=0)]
    stop: Annotated[int, Field(ge=0)]

    @model_validator(mode="after")
    def _in_order(self) -> ShardRange:
        if self.stop < self.start:
            raise ValueError(f"the shard of frames {self.start}:{self.stop} ends before it starts")
        return self

    @property
    def frames(self) -> int:
        """How many frames it has."""
        return self.stop - self.start


class BasisCommit(Frozen):
    """The commit of stage ``basis``: content of ``basis.json``."""

    run_id: str
    attempt: int
    nonce: str
    spec_sha256: str
    content_digest: str
    files: tuple[ManifestFile, ...]
    """Role ``basis``; paths as in a manifest: below `nonce`, or a whole URI of an earlier attempt's."""
    nframes: Annotated[int, Field(ge=0)]
    """Frames that count, over all sequential files."""
    block: Annotated[int, Field(ge=1)]
    """Frames on whose multiples the shards' edges lie."""
    shards: Annotated[tuple[ShardRange, ...], Field(min_length=1, max_length=SHARDS_MAX)]
    views: tuple[ViewFrames, ...]
    reused: str = ""
    """Folder of the earlier attempt whose basis this is; empty for one that was computed."""
    warnings: tuple[str, ...] = ()
    versions: dict[str, str] = Field(default_factory=dict)
    device: str = ""
    threads: int = 0
    bytes_read: int = 0
    """Of videos, from the object store."""
    timings_s: dict[str, float] = Field(default_factory=dict)
    started: dt.datetime
    finished: dt.datetime

    @model_validator(mode="after")
    def _covers(self) -> BasisCommit:
        edges = [0, *(shard.stop for shard in self.shards)]
        if [shard.start for shard in self.shards] != edges[:-1] or edges[-1] != self.nframes:
            raise ValueError(f"the shards don't cover the frames 0:{self.nframes} in order")
        if any(edge % self.block for edge in edges[1:-1]):
            raise ValueError(f"a shard's edge doesn't lie on a multiple of {self.block} frames")
        return self

    @property
    def digest(self) -> str:
        """SHA-256 of what was computed, 64 hex digits: equal for equal bytes, whoever committed them."""
        files = [[file.path.rpartition("/")[2], file.size, file.sha256] for file in self.files]
        ranges = [[shard.start, shard.stop] for shard in self.shards]
        text = json.dumps([self.content_digest, sorted(files), self.nframes, ranges], separators=(",", ":"))
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class PartCommit(Frozen):
    """The commit of one shard: content of ``part-<i>.json``."""

    run_id: str
    attempt: int
    nonce: str
    spec_sha256: str
    content_digest: str
    index: Annotated[int, Field(ge=0)]
    range: ShardRange
    nframes: Annotated[int, Field(ge=0)]
    """Frames of the whole recording, as this pod counts them."""
    basis_digest: str = ""
    """Of the basis that it was computed with; empty where there is none (pose)."""
    files: tuple[ManifestFile, ...]
    """Role ``part``; paths as in a manifest: below `nonce`, or a whole URI of an earlier attempt's."""
    views: tuple[ViewFrames, ...] = ()
    """What was found in the files, where no basis says it (pose)."""
    reused: str = ""
    """Folder of the earlier attempt whose part this is; empty for one that was computed."""
    warnings: tuple[str, ...] = ()
    versions: dict[str, str] = Field(default_factory=dict)
    device: str = ""
    threads: int = 0
    bytes_read: int = 0
    """Of videos, from the object store."""
    timings_s: dict[str, float] = Field(default_factory=dict)
    started: dt.datetime
    finished: dt.datetime


def part_name(index: int) -> str:
    """Return the name of the object that commits a shard."""
    return f"part-{index}.json"


def part_index(name: str) -> int | None:
    """Invert :func:`part_name`; None for any other name."""
    digits = name.removeprefix("part-").removesuffix(".json")
    if not (digits.isascii() and digits.isdecimal()) or len(digits) > 6 or part_name(int(digits)) != name:
        return None
    return int(digits)


def cut(nframes: int, shards: int, *, block: int) -> tuple[ShardRange, ...]:
    """Cut a recording into shards of whole blocks, as equal as these allow: every pod that counts alike cuts alike.

    Parameters
    ----------
    nframes : int
        Frames that count, over all sequential files.
    shards : int
        At least 1; where there are fewer blocks, the last ones are empty.
    block : int
        Frames on whose multiples edges lie.

    Raises
    ------
    ValueError
        If a number is too small.
    """
    if nframes < 0 or shards < 1 or block < 1:
        raise ValueError(f"{nframes} frames can't be cut into {shards} shard(s) of blocks of {block} frames")
    blocks = -(-nframes // block)
    edges = [min(nframes, -(-blocks * index // shards) * block) for index in range(shards + 1)]
    return tuple(ShardRange(start=start, stop=stop) for start, stop in itertools.pairwise(edges))


def filled(ranges: Sequence[ShardRange]) -> tuple[ShardRange, ...]:
    """Return shards without the empty ones, the first at least: what the stage ``basis`` commits."""
    return tuple(shard for shard in ranges if shard.frames) or tuple(ranges[:1])


def first_stage(shards: int | None, *, has_basis: bool) -> Stage:
    """Return the stage with which an attempt begins.

    Parameters
    ----------
    shards : int or None
        Of the plan.
    has_basis : bool
        Whether it is an SVD run.
    """
    if shards is None:
        return Stage.ALL
    return Stage.BASIS if has_basis else Stage.PROJECT


def next_stage(stage: Stage) -> Stage | None:
    """Return the stage that follows one whose commit is there; None after the last, whose commit is the manifest."""
    return {Stage.BASIS: Stage.PROJECT, Stage.PROJECT: Stage.MERGE}.get(stage)


def stage_letter(stage: Stage) -> str:
    """Return what a stage's Job name ends with after a dash; empty for ``all``."""
    return _LETTERS.get(stage, "")
