"""What a generated subject does, frame by frame: the truth that signals are compared with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Box = tuple[int, int, int, int]
"""``(y0, y1, x0, x1)``, half-open, pixels of the full frame."""

_FRAMES_PER_BLINK = 130
_BLINK_LENGTHS = (5, 9)
_STATE_LENGTHS = (14, 23)
_WHISKING_PERIOD = 6.1
_SNIFFING_PERIOD = 8.7
_LID_AT_EDGES = 0.9
"""Lid in the first and last frame of a blink: low enough to hide every pupil."""


@dataclass(frozen=True)
class Truth:
    """What the subject did, over all frames of all sequential files.

    Attributes
    ----------
    pupil_area : ndarray of float64, shape (n,)
        Square pixels; what lies behind the lid counts too.
    pupil_center : ndarray of float64, shape (n, 2)
        y, x in pixels of the full frame of view 0.
    blinks : tuple of (int, int)
        First frame and the one after the last in which the lid covers any of the eye.
    whisker_energy, snout_energy : ndarray of float64, shape (n,)
        Sum over the box of |frame k - frame k-1| without sensor noise, gray levels; row 0 copies row 1.
    running : ndarray of float64, shape (n, 2)
        dy, dx of the surface from frame k-1 to k in pixels, positive down and right, in view 0;
        row 0 copies row 1.
    """

    pupil_area: Floats
    pupil_center: Floats
    blinks: tuple[tuple[int, int], ...]
    whisker_energy: Floats
    snout_energy: Floats
    running: Floats

    @property
    def nframes(self) -> int:
        """Number of frames."""
        return len(self.pupil_area)

    @property
    def eye_open(self) -> npt.NDArray[np.bool_]:
        """Whether the eye is open, ndarray of bool, shape (n,)."""
        eye_open = np.ones(self.nframes, dtype=bool)
        for start, stop in self.blinks:
            eye_open[start:stop] = False
        return eye_open

    def save(self, path: Path) -> None:
        """Write the truth as an ``.npz`` file."""
        np.savez(
            path,
            pupil_area=self.pupil_area,
            pupil_center=self.pupil_center,
            blinks=np.array(self.blinks, dtype=np.int64).reshape(-1, 2),
            whisker_energy=self.whisker_energy,
            snout_energy=self.snout_energy,
            running=self.running,
        )


def load_truth(path: Path) -> Truth:
    """Read the truth that lies beside a generated recording.

    Parameters
    ----------
    path : Path
        The file ``<name>_truth.npz``.
    """
    with np.load(path, allow_pickle=False) as arrays:
        return Truth(
            pupil_area=arrays["pupil_area"],
            pupil_center=arrays["pupil_center"],
            blinks=tuple((int(start), int(stop)) for start, stop in arrays["blinks"]),
            whisker_energy=arrays["whisker_energy"],
            snout_energy=arrays["snout_energy"],
            running=arrays["running"],
        )


@dataclass(frozen=True)
class Script:
    """What the subject is told to do; the drawing turns it into pixels.

    Attributes
    ----------
    pupil_radius : ndarray of float64, shape (n,)
        Between 0 and 1, from the smallest to the largest pupil.
    pupil_offset : ndarray of float64, shape (n, 2)
        y, x between -1 and 1, of the pupil's range in the eye.
    lid : ndarray of float64, shape (n,)
        Part of the eye that the lid covers, 0 to 1.
    blinks : tuple of (int, int)
    whisker, snout : ndarray of float64, shape (n,)
        Position between -1 and 1.
    running : ndarray of int64, shape (n, 2)
        dy, dx in pixels from frame k-1 to k; row 0 copies row 1 and moves nothing.
    """

    pupil_radius: Floats
    pupil_offset: Floats
    lid: Floats
    blinks: tuple[tuple[int, int], ...]
    whisker: Floats
    snout: Floats
    running: npt.NDArray[np.int64]


def write_script(nframes: int, seed: int, max_speed: tuple[int, int]) -> Script:
    """Return a subject's behaviour, the same for the same arguments.

    Parameters
    ----------
    nframes : int
        At least 2.
    seed : int
    max_speed : (int, int)
        Fastest running along y and x, pixels per frame.
    """
    pupil = np.random.default_rng((seed, 1))
    blinks, lid = _blink(nframes, np.random.default_rng((seed, 2)))
    whisker, snout = _bursts(nframes, np.random.default_rng((seed, 3)))
    return Script(
        pupil_radius=0.5 + 0.5 * _wander(nframes, pupil, 170.0),
        pupil_offset=np.stack([_wander(nframes, pupil, 230.0), _wander(nframes, pupil, 190.0)], axis=1),
        lid=lid,
        blinks=blinks,
        whisker=whisker,
        snout=snout,
        running=_run(nframes, np.random.default_rng((seed, 4)), max_speed),
    )


def _wander(nframes: int, rng: np.random.Generator, period: float) -> Floats:
    """Return a slow, smooth trace between -1 and 1: three sines of unrelated periods."""
    time = np.arange(nframes)[:, np.newaxis]
    periods = period * np.array([1.0, 0.53, 0.29]) * rng.uniform(0.9, 1.1, 3)
    weights = np.array([0.5, 0.3, 0.2])
    waves: Floats = np.sin(2 * np.pi * (time / periods + rng.uniform(0, 1, 3))) @ weights
    return waves


def _blink(nframes: int, rng: np.random.Generator) -> tuple[tuple[tuple[int, int], ...], Floats]:
    """Return blinks, one at a random place of each of several equal stretches, and the lid's position."""
    lid = np.zeros(nframes)
    blinks = []
    longest = _BLINK_LENGTHS[1]
    count = max(nframes // _FRAMES_PER_BLINK, min(2, nframes // (6 * longest)))
    stretch = nframes / max(count, 1)
    for number in range(count):
        length = int(rng.integers(*_BLINK_LENGTHS))
        earliest = int(number * stretch) + 3 * longest
        start = int(rng.integers(earliest, max(earliest + 1, int((number + 1) * stretch) - 2 * longest)))
        lid[start : start + length] = 1.0
        lid[[start, start + length - 1]] = _LID_AT_EDGES
        blinks.append((start, start + length))
    return tuple(blinks), lid


def _bursts(nframes: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Return the positions of whiskers and snout.

    Rest, whisking, sniffing and both follow each other in random order, equally long within a
    cycle, so that the two energies are uncorrelated in recordings of any length.
    """
    envelope = np.zeros((nframes, 2))
    start = 0
    while start < nframes:
        length = int(rng.integers(*_STATE_LENGTHS))
        for state in rng.permutation(4):
            active = np.array([state & 1, state >> 1])
            envelope[start : start + length] = active * rng.uniform(0.55, 1.0, 2)
            start += length
    padded = np.pad(envelope, ((1, 1), (0, 0)), mode="edge")
    envelope = 0.25 * padded[:-2] + 0.5 * padded[1:-1] + 0.25 * padded[2:]
    time = np.arange(nframes)[:, np.newaxis]
    phase = time / np.array([_WHISKING_PERIOD, _SNIFFING_PERIOD]) + rng.uniform(0, 1, 2)
    position = envelope * np.sin(2 * np.pi * phase)
    return position[:, 0], position[:, 1]


def _run(nframes: int, rng: np.random.Generator, max_speed: tuple[int, int]) -> npt.NDArray[np.int64]:
    """Return the surface's whole-pixel displacements: bouts in both directions, with rests."""
    drive = 1.4 * np.stack([_wander(nframes, rng, 110.0), _wander(nframes, rng, 140.0)], axis=1)
    running: npt.NDArray[np.int64] = np.rint(np.clip(drive, -1, 1) * max_speed).astype(np.int64)
    running[0] = running[1]
    return running
