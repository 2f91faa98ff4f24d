"""What a turbo run needs of memory and scratch: pure functions.

The parts are those that :mod:`~fmdj_cloud.worker.turbo.basis`, :mod:`~fmdj_cloud.worker.turbo.project` and
:mod:`~fmdj_cloud.worker.turbo.merge` state; the largest of the three stages counts.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fmdj_cloud.contracts import Basis, SvdParams
from fmdj_cloud.worker.svd.geometry import Size, binned_pixels
from fmdj_cloud.worker.svd.inputs import components
from fmdj_cloud.worker.svd.needs import Needs
from fmdj_cloud.worker.turbo.basis import CHUNK_COMPONENTS, COMPONENTS
from fmdj_cloud.worker.turbo.decompose import PIECE
from fmdj_cloud.worker.turbo.frames import BLOCK, sum_type
from fmdj_cloud.worker.turbo.frames.recording import BUFFERS
from fmdj_cloud.worker.turbo.meters import Meters
from fmdj_cloud.worker.turbo.regions import movements, svd_regions
from fmdj_cloud.worker.turbo.schedule import CHUNK, basis_chunks, sampled

_STARTED_MIB = 260
"""Python with numpy, scipy, numba, PyAV, OpenCV and HDF5, and decoders for two threads."""
_COPIES = 3
"""Of a matrix that scikit-learn's PCA decomposes: turned, centred, and what it works on."""
_MIB = 1 << 20


def turbo_needs(
    params: SvdParams, sizes: Sequence[Size], nframes: int, threads: int, basis: Basis = Basis.EXACT
) -> Needs:
    """Return the least that a run needs, without videos and without a cache of decoded frames.

    Parameters
    ----------
    params : SvdParams
    sizes : sequence of (int, int)
        Height and width of every view.
    nframes : int
    threads : int
    basis : Basis
        Facemap's is found in copies of whole matrices.
    """
    pixels = [region.pixels for region in svd_regions(params, sizes)]
    kinds = len(movements(params))
    binned = binned_pixels(sizes, params.sbin) * np.dtype(sum_type(params.sbin)).itemsize
    crops = sum(crop.pixels for crop in Meters(params).crops)
    decoding = BUFFERS * BLOCK * (binned + crops)
    counts = [components(of, nframes) for of in pixels]
    masks = kinds * sum(4 * of * count for of, count in zip(pixels, counts, strict=True))
    projections = kinds * sum(4 * nframes * count for count in counts)
    largest = max(counts, default=0)

    rows = min(CHUNK_COMPONENTS * len(basis_chunks(nframes)), max(pixels, default=0))
    decomposing = (
        decoding
        + 4 * CHUNK * binned
        + (threads + 2) * 4 * CHUNK * PIECE
        + (8 + 4 * (threads + 3)) * rows**2
        + 2 * 4 * COMPONENTS * max(pixels, default=0)
    )
    if basis is Basis.FACEMAP:
        columns = CHUNK_COMPONENTS * len(basis_chunks(nframes))
        decomposing += _COPIES * 4 * max(columns, CHUNK) * max(pixels, default=0)
    project = decoding + (threads + 2) * (BLOCK + 1) * (binned + crops) + threads * 4 * BLOCK * max(pixels, default=0)
    merging = 4 * nframes * (largest + 24 * (1 + len(params.rois)))
    if params.save_mat:  # one variable at a time, twice
        merging += 2 * 4 * largest * max(nframes, *pixels, 0)
    chunks = kinds * sum(4 * of * min(rows, CHUNK_COMPONENTS * len(basis_chunks(nframes))) for of in pixels)
    return Needs(
        memory_mib=_STARTED_MIB + max(decomposing + masks, project + masks, merging) // _MIB,
        scratch_mib=(max(chunks, projections) + (5 + 2 * params.save_mat) * masks + (2 + params.save_mat) * projections)
        // _MIB
        + 1,
    )


def cache_bytes(params: SvdParams, sizes: Sequence[Size], frames: Sequence[int]) -> int:
    """Return the size of all frames that the basis reads, as the cache keeps them.

    Parameters
    ----------
    params : SvdParams
    sizes : sequence of (int, int)
    frames : sequence of int
        Frames of each sequential file.
    """
    kept = sum(stop - start for start, stop in sampled(frames, basis=bool(svd_regions(params, sizes))))
    binned = binned_pixels(sizes, params.sbin) * np.dtype(sum_type(params.sbin)).itemsize
    return kept * (binned + sum(crop.pixels for crop in Meters(params).crops))
