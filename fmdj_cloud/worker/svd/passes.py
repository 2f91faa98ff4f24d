"""In which passes Facemap computes what, so that no region spoils another: a pure function."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fmdj_cloud.contracts import RoiKind, SvdParams
from fmdj_cloud.worker.svd.geometry import Box, binned_box, has_full_frame, has_svd, of_kind, pixel_box

MAIN = "main"


@dataclass(frozen=True)
class Pass:
    """One call of ``facemap.process.run``.

    Attributes
    ----------
    name : str
        ``main``, ``overlap<k>``, ``pupil<k>`` or ``blink<k>``, k from 1.
    full_svd, mot_svd, mov_svd : bool
    rois : tuple of int
        Places in the parameters' ROIs, in order.
    """

    name: str
    full_svd: bool
    mot_svd: bool
    mov_svd: bool
    rois: tuple[int, ...]

    @property
    def has_svd(self) -> bool:
        """Whether a basis is computed in it."""
        return self.mot_svd or self.mov_svd


def plan_passes(params: SvdParams) -> tuple[Pass, ...]:
    """Return the passes that parameters need.

    ``main`` holds the full frame and the motion ROIs that overlap none before them in it (F2), the others go
    into ``overlap<k>``; pupil and blink ROIs go into their own (F3), each likewise; running ROIs into none (F4).
    The motion SVD is computed along with a movie SVD that is asked for alone (F11). There is always at least one
    pass: the mean frame comes from the first.
    """
    passes = []
    if has_svd(params):
        motion = _apart(of_kind(params, RoiKind.MOTION_SVD), lambda index: binned_box(params.rois[index], params.sbin))
        if has_full_frame(params) and not motion:
            motion = [()]
        passes += [
            Pass(
                name=f"overlap{k}" if k else MAIN,
                full_svd=params.full_svd and not k,
                mot_svd=True,
                mov_svd=params.mov_svd,
                rois=rois,
            )
            for k, rois in enumerate(motion)
        ]
    for kind in (RoiKind.PUPIL, RoiKind.BLINK):
        groups = _apart(of_kind(params, kind), lambda index: pixel_box(params.rois[index]))
        passes += [Pass(f"{kind.value}{k}", False, False, False, rois) for k, rois in enumerate(groups, start=1)]
    return tuple(passes) or (Pass(MAIN, False, False, False, ()),)


def frames_before_projection(part: Pass, frames: Sequence[int]) -> int:
    """Return how many frames a pass reads before it projects all of them: for the mean, then for the basis.

    Parameters
    ----------
    part : Pass
    frames : sequence of int
        Frames of each sequential file.
    """
    total = sum(frames)
    run = min(100, *frames)
    mean = min(1000, total) // run * run
    if not part.has_svd:
        return mean
    chunk = min(1000, total)
    return mean + min(15_000 // chunk, total // chunk) * chunk


def _apart(indices: Sequence[int], box: Callable[[int], Box]) -> list[tuple[int, ...]]:
    """Distribute ROIs over as few groups as coming first comes to, so that none overlaps another in its group."""
    groups: list[list[int]] = []
    for index in indices:
        for group in groups:
            if not any(box(index).overlaps(box(other)) for other in group):
                group.append(index)
                break
        else:
            groups.append([index])
    return [tuple(group) for group in groups]
