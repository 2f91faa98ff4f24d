"""How many frames may hold no point."""

from __future__ import annotations

from dataclasses import dataclass

from fmdj_cloud.contracts import RunSpec
from fmdj_cloud.errors import InputError

_CHECK = "bad_frames"


@dataclass(frozen=True)
class Bound:
    """How many frames of a view may be bad, and whether that was waived."""

    frames: int
    waived: bool

    def check(self, view: int, bad: int) -> None:
        """Check how many frames of a view can't be decoded or show nothing.

        Raises
        ------
        InputError
            If there are more than allowed (check ``bad_frames``).
        """
        if bad > self.frames and not self.waived:
            raise InputError(
                f"More than {self.frames} frames of view {view} can't be decoded or are of one gray level: look at the "
                "video; if it is as good as it gets, accept the check bad_frames, and they are left empty.",
                check=_CHECK,
            )


def bound_of(spec: RunSpec) -> Bound:
    """Return how many a spec allows."""
    return Bound(spec.limits.max_bad_frames, _CHECK in spec.accept)
