"""One file of one view: its decoders, and which way its frames are decoded."""

from __future__ import annotations

import logging
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from fmdj_cloud.errors import InputError
from fmdj_cloud.worker.index import Index
from fmdj_cloud.worker.turbo.frames.bench import Bench
from fmdj_cloud.worker.turbo.frames.luma import LumaDecoder, NotGrayError, Source, copy_start
from fmdj_cloud.worker.turbo.frames.opencv import BgrDecoder

log = logging.getLogger(__name__)

Array = npt.NDArray[Any]

PARALLEL_WITHIN = 64
"""Frames between key frames up to which pieces of a file are decoded at the same time, each from its key frame."""
_COMPARED = 3


class Lane:
    """Frames of one file, by their numbers in it, always those that OpenCV, and so Facemap, yields.

    It begins with the luma plane, once the file's first frames are found to yield what OpenCV makes of them, and
    goes on with OpenCV from the first frame that has colour or is otherwise in doubt.

    Parameters
    ----------
    source : Path or callable
        What opens a file anew isn't read with OpenCV, but for a copy of its first frames: where more is needed, it is
        an error.
    index : Index
    threads : int
        Cores that are there for decoding.
    bench : Bench
        Where decoders wait that nobody uses.
    """

    def __init__(self, source: Source, index: Index, threads: int, bench: Bench) -> None:
        self._source = source
        self._index = index
        parallel = bool(index.stamps) and index.longest_wait <= PARALLEL_WITHIN
        self.serial = threads == 1 or not parallel
        """Whether one decoder decodes all: of long groups of frames, which its own threads share."""
        self._threads = threads if self.serial else 1
        self._lock = threading.Lock()
        self._bench = bench
        self._known = False
        self.luma = bool(index.stamps)
        """Whether the luma plane is decoded."""

    def close(self) -> None:
        """Close the decoders that nobody uses."""
        self._bench.dismiss(self)

    def read(self, start: int, stop: int) -> Iterator[Array]:
        """Yield frames ``start:stop``, each (height, at least width) uint8, which holds until the next.

        Raises
        ------
        FramesEndError
            If there are fewer.
        """
        self._compare()
        at = start
        if self.luma:
            try:
                for gray in self._decode(at, stop):
                    yield gray
                    at += 1
            except NotGrayError as why:
                self._leave_to_opencv(str(why))
        if at < stop:
            yield from self._decode(at, stop)

    def _decode(self, start: int, stop: int) -> Iterator[Array]:
        decoder = self._hire(start)
        try:
            yield from decoder.read(start, stop)
        except GeneratorExit:
            decoder.next = -1  # left between two frames
            raise
        finally:
            with self._lock:
                if isinstance(decoder, LumaDecoder) is self.luma:
                    self._rest(decoder)
                else:
                    decoder.close()

    def _hire(self, start: int) -> LumaDecoder | BgrDecoder:
        """Return the decoder that is nearest before a frame, or any that is idle, or a new one."""
        with self._lock:
            best: LumaDecoder | BgrDecoder | None = self._bench.take(
                self, lambda d: start - d.next if 0 <= d.next <= start else self._index.facts.frames
            )
            if best is not None:
                return best
            luma = self.luma
        return self._open_luma() if luma else BgrDecoder(self._path, self._index)

    def _rest(self, decoder: LumaDecoder | BgrDecoder) -> None:
        self._bench.sit(self, decoder, self._threads if isinstance(decoder, LumaDecoder) else 1)

    def _open_luma(self) -> LumaDecoder:
        return LumaDecoder(self._source, self._index, self._threads)

    @property
    def _path(self) -> Path:
        if isinstance(self._source, Path):
            return self._source
        raise InputError(
            f"{self._index.facts.name} has colour, or is otherwise such that OpenCV must read it, and that needs the "
            "whole file: fetch it first.",
            check="whole_file",
        )

    def _leave_to_opencv(self, why: str) -> None:
        with self._lock:
            if self.luma:
                log.info("%s is decoded by OpenCV: %s", self._index.facts.name, why)
                self.luma = False
            self._bench.dismiss(self, LumaDecoder)

    def _compare(self) -> None:
        """Compare the first frames with OpenCV's, once."""
        with self._lock:
            if self._known or not self.luma:
                return
            self._known = True
            mine = self._open_luma()
            try:
                self._check(mine)
            except (NotGrayError, InputError, av.error.FFmpegError) as why:
                log.info("%s is decoded by OpenCV: %s", self._index.facts.name, why)
                self.luma = False
                mine.close()
            else:
                self._rest(mine)

    def _check(self, mine: LumaDecoder) -> None:
        """Raise NotGrayError unless a decoder yields what OpenCV does."""
        count = min(_COMPARED, self._index.facts.frames)
        height, width = self._index.facts.height, self._index.facts.width
        with tempfile.TemporaryDirectory(prefix="fmdj-first-") as folder:
            path = self._source if isinstance(self._source, Path) else copy_start(self._source, Path(folder))
            its = BgrDecoder(path, self._index)
            try:
                for gray, expected in zip(mine.read(0, count), its.read(0, count), strict=True):
                    if expected.shape != (height, width) or not np.array_equal(gray[:, :width], expected):
                        raise NotGrayError("its first frames aren't those that OpenCV decodes")
            finally:
                its.close()
