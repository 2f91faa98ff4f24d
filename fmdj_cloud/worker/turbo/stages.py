"""The stages of a turbo run: alone, one after the other in one process, or in pods of their own.

``basis``   reads only what it samples and writes ``basis.h5``
``project`` reads a range of frames and ``basis.h5``, and writes a part
``merge``   reads ``basis.h5`` and all parts, and writes signals.h5 and Facemap's file

An unsharded run is all three with a single part, and a cache of decoded frames from the first to the second.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from fmdj_cloud.contracts import Basis, SignalOrigin, SvdParams
from fmdj_cloud.signals_h5 import SignalsWriter
from fmdj_cloud.worker.turbo.arithmetic import Arithmetic
from fmdj_cloud.worker.turbo.bases import read_bases, write_bases
from fmdj_cloud.worker.turbo.basis import find_bases
from fmdj_cloud.worker.turbo.frames import Range, Recording, Wanted
from fmdj_cloud.worker.turbo.merge import merge
from fmdj_cloud.worker.turbo.meters import Meters
from fmdj_cloud.worker.turbo.part import Part, Parts
from fmdj_cloud.worker.turbo.proc_file import Recorded
from fmdj_cloud.worker.turbo.project import project
from fmdj_cloud.worker.turbo.regions import movements, svd_regions
from fmdj_cloud.worker.turbo.team import team

Tell = Callable[[int], None]


def basis_stage(
    recording: Recording,
    frames: Sequence[int],
    params: SvdParams,
    path: Path,
    *,
    basis: Basis,
    threads: int,
    scratch: Path,
    alone: bool,
    on_frames: Tell,
    arithmetic: Arithmetic | None = None,
) -> None:
    """Find mean frame, mean motion and the basis, and write them.

    Parameters
    ----------
    recording : Recording
    frames : sequence of int
        Frames that count, of each sequential file.
    params : SvdParams
    path : Path
        New file.
    basis : Basis
    threads : int
    scratch : Path
        Existing folder.
    alone : bool
        Whether the projection happens elsewhere; else the cache is filled with what it will want.
    on_frames : callable
        Called with the number of frames, each time that some were read.
    arithmetic : Arithmetic, optional
        BLAS by default.
    """
    crops = () if alone else Meters(params).crops
    with team(threads, arithmetic, blas=threads if basis is Basis.FACEMAP else 1) as workers:
        bases = find_bases(
            recording,
            frames,
            svd_regions(params, recording.sizes),
            movements(params),
            basis=basis,
            want=Wanted(crops=crops),
            team=workers,
            scratch=scratch,
            on_frames=on_frames,
        )
    write_bases(path, bases)


def project_stage(
    recording: Recording,
    frames: Range,
    params: SvdParams,
    basis_path: Path,
    path: Path,
    *,
    threads: int,
    on_frames: Tell,
    arithmetic: Arithmetic | None = None,
) -> None:
    """Compute all signals of a range of frames, and write them as a part.

    Parameters
    ----------
    recording : Recording
    frames : (int, int)
        First frame, a multiple of a block's (:data:`~fmdj_cloud.worker.turbo.frames.BLOCK`), and the one after
        the last.
    params : SvdParams
    basis_path : Path
    path : Path
        New file.
    threads : int
    on_frames : callable
        Called with the number of frames, each time that some are done.
    arithmetic : Arithmetic, optional
        BLAS by default.
    """
    with team(threads, arithmetic) as workers:
        project(
            recording,
            frames,
            read_bases(basis_path),
            svd_regions(params, recording.sizes),
            movements(params),
            Meters(params),
            path,
            team=workers,
            on_frames=on_frames,
        )


def merge_stage(
    recorded: Recorded, params: SvdParams, basis_path: Path, parts: Sequence[Path], writer: SignalsWriter, scratch: Path
) -> tuple[SignalOrigin, ...]:
    """Put all parts together.

    Parameters
    ----------
    recorded : Recorded
    params : SvdParams
    basis_path : Path
    parts : sequence of Path
        All of them, in any order.
    writer : SignalsWriter
    scratch : Path
        Existing folder.

    Returns
    -------
    tuple of SignalOrigin
        Where every signal comes from.
    """
    bases = read_bases(basis_path)
    return merge(recorded, params, bases, Parts([Part(path) for path in parts], bases.nframes), writer, scratch)
