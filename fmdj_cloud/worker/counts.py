"""Which frames of a recording count: a pure function of what its files hold."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fmdj_cloud.contracts import Limits, ViewFrames
from fmdj_cloud.errors import InputError
from fmdj_cloud.worker.video import FileFacts

Grid = tuple[tuple[FileFacts, ...], ...]
"""Outer sequential, inner simultaneous."""

MIN_FRAMES = 2
"""Of every file: a difference needs two frames, and Facemap's means are not a number with fewer."""


@dataclass(frozen=True)
class Counts:
    """The frames that count.

    Attributes
    ----------
    frames : tuple of int
        Of each sequential file, the same in every view.
    copies : tuple of tuple of bool
        Whether Facemap must be given a copy with just these frames; outer sequential, inner simultaneous.
    warnings : tuple of str
    """

    frames: tuple[int, ...]
    copies: tuple[tuple[bool, ...], ...]
    warnings: tuple[str, ...]

    @property
    def nframes(self) -> int:
        """Frames of the whole recording."""
        return sum(self.frames)


def count(grid: Grid, limits: Limits, accept: Iterable[str]) -> Counts:
    """Decide which frames count.

    Parameters
    ----------
    grid : Grid
    limits : Limits
        Frames that a header may claim too many, and by which views may differ.
    accept : iterable of str
        Checks that a person has overridden: ``missing_frames`` and ``view_frames`` can be.

    Raises
    ------
    InputError
        Checks ``frame_size``, ``missing_frames``, ``view_frames``, ``few_frames``.
    """
    accepted = frozenset(accept)
    _check_sizes(grid)
    warnings = [w for row in grid for facts in row if (w := _check_header(facts, limits, accepted))]
    frames, copies = [], []
    for row in grid:
        least = min(facts.frames for facts in row)
        if warning := _check_views(row, limits, accepted):
            warnings.append(warning)
        if least < MIN_FRAMES:
            name = min(row, key=lambda facts: facts.frames).name
            raise InputError(
                f"{name} has {least} frame that can be decoded and at least {MIN_FRAMES} are needed in every file: "
                "leave it out of the recording, or upload it whole.",
                check="few_frames",
            )
        frames.append(least)
        copies.append(tuple(facts.header_frames != least for facts in row))
    return Counts(tuple(frames), tuple(copies), tuple(warnings))


def view_frames(grid: Grid) -> tuple[ViewFrames, ...]:
    """Return what was found, view by view, for the manifest."""
    return tuple(
        ViewFrames(
            height=files[0].height,
            width=files[0].width,
            fps=files[0].fps,
            frames=tuple(facts.frames for facts in files),
            header_frames=tuple(facts.header_frames for facts in files),
        )
        for files in zip(*grid, strict=True)
    )


def _check_sizes(grid: Grid) -> None:
    for files in zip(*grid, strict=True):
        first = files[0]
        for facts in files[1:]:
            if (facts.height, facts.width) != (first.height, first.width):
                raise InputError(
                    f"{facts.name} is {facts.width}x{facts.height} and {first.name} before it {first.width}x"
                    f"{first.height}: files of one view must have one size; record them as separate recordings, or "
                    "say with views, in facemap_params or in a pose task's bbox, which files belong to which view.",
                    check="frame_size",
                )


def _check_header(facts: FileFacts, limits: Limits, accepted: frozenset[str]) -> str:
    missing = facts.header_frames - facts.frames
    if missing <= 0:
        return ""
    found = (
        f"{facts.name} claims {facts.header_frames} frames and {facts.frames} can be decoded: it ends before its "
        f"header says, or is damaged {missing} frames before its end"
    )
    if missing <= limits.max_missing_frames or "missing_frames" in accepted:
        return f"{found}; the {facts.frames} frames count."
    raise InputError(
        f"{found}. Upload it again from the acquisition computer; if that copy ends there too, accept the check "
        f"missing_frames to use the {facts.frames} frames.",
        check="missing_frames",
    )


def _check_views(row: tuple[FileFacts, ...], limits: Limits, accepted: frozenset[str]) -> str:
    shortest = min(row, key=lambda facts: facts.frames)
    longest = max(row, key=lambda facts: facts.frames)
    difference = longest.frames - shortest.frames
    if not difference:
        return ""
    found = f"{longest.name} has {longest.frames} frames and {shortest.name}, its simultaneous view, {shortest.frames}"
    if difference <= limits.max_view_mismatch_frames or "view_frames" in accepted:
        return f"{found}; the first {shortest.frames} of each count."
    raise InputError(
        f"{found}: the cameras lost each other. Find out where frames are missing; if both began together, accept the "
        f"check view_frames to use the first {shortest.frames} of each.",
        check="view_frames",
    )
