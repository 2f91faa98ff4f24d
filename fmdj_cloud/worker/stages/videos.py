"""Videos for a stage's child: in ranges through its parent where that is possible, else whole on scratch."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from fmdj_cloud.contracts import VideoRef
from fmdj_cloud.errors import BudgetError, InputError, StoppedError
from fmdj_cloud.storage.ranged import CHUNK, Chunks, RangedObject
from fmdj_cloud.worker.fetch import fetch_videos, video_trouble
from fmdj_cloud.worker.handover import WHOLE_FILE, ChildResult
from fmdj_cloud.worker.pod import Pod
from fmdj_cloud.worker.ranges import RangeServer
from fmdj_cloud.worker.reach import Extent

log = logging.getLogger(__name__)

_CHUNKS = 128
"""Requests at least for what is read of a file, so that little is read beyond it."""
_CHUNK_MIN = 1 << 16
_MEMORY = 64 << 20
"""Chunks of all files together."""
_CHUNKS_PER_VIEW = 12
"""For which there is room at least, since all views are read at the same time."""
_THREADS = 8
"""That fetch chunks, of all files together."""


def compute_on_videos(pod: Pod, extents: Sequence[Extent], *, ranged: bool, **fields: Any) -> tuple[ChildResult, int]:
    """Let the child compute on some files; where it finds that ranges won't do, again on whole files.

    Parameters
    ----------
    pod : Pod
    extents : sequence of Extent
        What is needed, once for every file.
    ranged : bool
        Whether to try ranges.
    **fields
        Of :class:`~fmdj_cloud.worker.handover.ChildJob`.

    Returns
    -------
    result : ChildResult
    bytes_read : int
        Of videos.
    """
    paths = tuple(tuple(str(pod.desk.videos / ref.name) for ref in row) for row in pod.spec.videos)
    read = 0
    if ranged:
        result, read = _in_ranges(pod, extents, videos=paths, **fields)
        if result is not None:
            return result, read
    rows = sorted({extent.row for extent in extents})
    touched = pod.spec.model_copy(update={"videos": tuple(pod.spec.videos[row] for row in rows)})
    with pod.timings.of("fetch"):
        fetch_videos(pod.store, touched, pod.desk.videos, stop=pod.stop)
    size = sum(ref.size for row in touched.videos for ref in row)
    log.info("%d byte(s) of videos fetched in %.1f s", size, pod.timings.seconds["fetch"])
    return pod.compute(videos=paths, **fields), read + size


def _in_ranges(pod: Pod, extents: Sequence[Extent], **fields: Any) -> tuple[ChildResult | None, int]:
    """Let the child compute on ranges; without a result where it finds that they won't do."""
    needed = {(extent.row, extent.view): extent for extent in extents}
    refs = [ref for row in pod.spec.videos for ref in row]
    places = [(row, view) for row, refs_of in enumerate(pod.spec.videos) for view in range(len(refs_of))]
    chunks = Chunks(_MEMORY, _THREADS)
    objects = [
        _open(pod, ref, needed.get(place, Extent(row=0, view=0, start=0, stop=0)), chunks)
        for ref, place in zip(refs, places, strict=True)
    ]
    with RangeServer(objects, chunks) as server:
        try:
            result = pod.compute(ranges=str(server.path), **fields)
        except (StoppedError, BudgetError):
            raise
        except Exception as error:
            if isinstance(error, InputError) and error.check == WHOLE_FILE:
                log.warning("%s", error.sentence)
                return None, server.bytes_read
            _check(refs, objects)  # what the store has met explains what the child made of it
            raise
        _check(refs, objects)
        log.info("%d of %d byte(s) of videos read", server.bytes_read, sum(ref.size for ref in refs))
        return result, server.bytes_read


def _open(pod: Pod, ref: VideoRef, extent: Extent, chunks: Chunks) -> RangedObject:
    most = min(CHUNK, _MEMORY // (_CHUNKS_PER_VIEW * len(pod.spec.videos[0])))
    chunk = max(_CHUNK_MIN, min(most, (extent.stop - extent.start) // _CHUNKS))
    return RangedObject(pod.store, ref.uri, ref.size, ref.etag, until=extent.stop, chunk=chunk, chunks=chunks)


def _check(refs: Sequence[VideoRef], objects: Sequence[RangedObject]) -> None:
    for ref, source in zip(refs, objects, strict=True):
        with video_trouble(ref):
            source.check()
