"""What was produced, how far a worker is, and how an attempt ended."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

from pydantic import Field

from fmdj_cloud.contracts.base import Frozen
from fmdj_cloud.contracts.words import MANIFEST_VERSION, FailureClass, Kind, Origin

Count = Annotated[int, Field(ge=0, lt=1 << 63)]
Seconds = Annotated[float, Field(allow_inf_nan=False)]


class ManifestFile(Frozen):
    """One published file."""

    path: str
    """Relative to the attempt folder; a whole URI for an imported file that stays where it lies."""
    role: str
    """``signals``, ``facemap`` or ``log``."""
    size: Count
    sha256: str


class SignalOrigin(Frozen):
    """Where one signal comes from and what was repaired."""

    signal: str
    """``motion``, ``motSVD``, ``movSVD``, ``pupil``, ``blink``, ``running``, ``avgframe``, ``pose`` ..."""
    roi_no: int | None = None
    origin: Origin
    repairs: tuple[str, ...] = ()
    """Names of Facemap's faults that were repaired (``F1`` ... ``F10``)."""
    note: str = ""


class ViewFrames(Frozen):
    """What was found in the files of one view."""

    height: Count
    width: Count
    fps: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    """0 where unknown."""
    frames: tuple[Count, ...]
    """Decodable frames of each sequential file: the truth."""
    header_frames: tuple[Count, ...]
    """Frames that each file's header claims (0 where it claims none)."""


class Manifest(Frozen):
    """The commit of an attempt: written last, names everything that was produced."""

    version: int = MANIFEST_VERSION
    run_id: str
    attempt: int
    kind: Kind
    nonce: str
    spec_sha256: str
    content_digest: str
    files: tuple[ManifestFile, ...]
    gui_file: str | None = None
    """Path (as in `files`) of the file that the Facemap GUI would open."""
    nframes: Count
    """Frames that count, over all sequential files."""
    views: tuple[ViewFrames, ...]
    versions: dict[str, str]
    """``facemap``, ``fmdj``, ``numpy``, ``opencv``, ``python``; ``torch``, ``cuda``, ``driver`` where used."""
    device: str
    threads: int
    timings_s: dict[str, Seconds]
    """Seconds of every stage. ``pose`` and ``network`` also hold what earlier attempts took for parts that were taken
    over; of a sharded run all are sums over its pods."""
    signals: tuple[SignalOrigin, ...]
    warnings: tuple[str, ...] = ()
    reused_from: str = ""
    """URI of the attempt folder of another run with equal content, whose files these are; empty for one's own."""
    started: dt.datetime
    finished: dt.datetime


class Progress(Frozen):
    """How far a pod is: ``progress.json`` in its folder."""

    run_id: str
    attempt: int
    stage: str
    frames_done: int
    frames_total: int
    frames_per_s: float
    eta_s: float | None
    at_epoch_s: float
    index: int | None = None
    """The shard that it computes, in stage ``project``."""
    shards_done: int | None = None
    """Of all pods together: shards that are finished, of `shards`."""
    shards: int | None = None


class Outcome(Frozen):
    """How an attempt ended; `failure_class` is None when it published."""

    failure_class: FailureClass | None = None
    sentence: str = ""
    check: str = ""
    evidence: dict[str, str] = Field(default_factory=dict)
    manifest_sha256: str | None = None

    @property
    def ok(self) -> bool:
        """Whether the attempt did what it should."""
        return self.failure_class is None


class TerminationMessage(Frozen):
    """The worker's last word, at most 4 KiB of JSON."""

    code: str
    """Code of the error (:mod:`fmdj_cloud.errors`), or ``done``."""
    exit_code: int
    sentence: str = ""
    check: str = ""
    manifest_sha256: str | None = None
