"""What is silently wrong in which version of Facemap."""

from __future__ import annotations

import enum

from fmdj_cloud.errors import ConfigError


class Fault(enum.StrEnum):
    """A fault of Facemap's SVD processing; its name stands in manifests and signals.h5."""

    F1 = "F1"
    """`motion` is one frame early in the first 500 frames."""
    F2 = "F2"
    """Overlapping motion ROIs change each other's frames."""
    F3 = "F3"
    """Pupil and blink ROIs change the frames that everything after them sees."""
    F4 = "F4"
    """Running is noise."""
    F5 = "F5"
    """With fewer than 2,000 frames masks and projections are scaled by the singular values."""
    F6 = "F6"
    """`motSv` and `movSv` hold the last region's singular values only."""
    F7 = "F7"
    """A video that ends before its header says is filled up with black."""
    F8 = "F8"
    """Views of unequal length are cut or filled up with black."""
    F9 = "F9"
    """Unreadable files and unexpected lists of them make it loop for ever."""
    F10 = "F10"
    """Blink smoothing is computed and thrown away."""
    F11 = "F11"
    """With the movie SVD alone, the last region's basis stays in unmerged, unscaled chunks."""


FAULTS: dict[str, frozenset[Fault]] = {"1.0.8": frozenset(Fault)}
"""Faults by version: what is listed is repaired, avoided or refused."""

_LATEST = "1.0.8"


def faults_of(version: str, *, allow_unknown: bool) -> frozenset[Fault]:
    """Return the faults of a version of Facemap.

    Parameters
    ----------
    version : str
    allow_unknown : bool
        Take a version that nobody has looked at for as faulty as the latest known one: repairs that its
        outputs don't need are left out where they show it.

    Raises
    ------
    ConfigError
        If the version is unknown and that isn't allowed.
    """
    known = FAULTS.get(version)
    if known is not None:
        return known
    if allow_unknown:
        return FAULTS[_LATEST]
    raise ConfigError(
        f"Facemap {version} is installed, and which signals it gets wrong is known only for {', '.join(FAULTS)}: use a "
        "worker image with one of these, or set worker.allow_unknown_facemap to take the risk."
    )
