"""How far a surface moves from one frame to the next, by phase correlation.

The method is that of Kuglin and Hines (1975): the inverse Fourier transform of two pictures' cross-power
spectrum, every frequency weighted alike, has its peak at their displacement. Choices made here:

- each crop loses its mean and is faded out over a quarter of its extent at each side (raised cosine), since the
  transform takes opposite edges for neighbours and the surface enters at one and leaves at the other; zeros are
  added up to a length that the transform is quick with;
- frequencies are whitened fully: the surface's own texture doesn't favour a direction; then those above a
  third of the sampling rate are damped (Gaussian), where sensor noise and compression are all there is;
- the peak is taken at whole pixels, as Facemap does, among displacements of at most two fifths of the crop: beyond,
  too little of the surface is seen twice.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import fft

Array = npt.NDArray[Any]

MAX_PART = 0.4
_FADE = 0.25
_CUTOFF = 1 / 3
_TINY = 1e-6
_AT_ONCE = 16
"""Frames whose spectra stay in a processor's cache."""


class Displacement:
    """Displacement of a crop's content from frame to frame, fed piece by piece.

    Parameters
    ----------
    height, width : int
        Pixels of the crop.
    """

    def __init__(self, height: int, width: int) -> None:
        self._window = np.outer(_fade(height), _fade(width)).astype(np.float32)
        self._shape = fft.next_fast_len(height, real=True), fft.next_fast_len(width, real=True)
        fy, fx = fft.fftfreq(self._shape[0])[:, np.newaxis], fft.rfftfreq(self._shape[1])[np.newaxis]
        self._weight = np.exp(-((fy**2 + fx**2) / (2 * (_CUTOFF / 2) ** 2))).astype(np.float32)
        self._reach = int(MAX_PART * height), int(MAX_PART * width)
        self._last: Array | None = None

    def of(self, crops: Array) -> Array:
        """Return the displacement of each frame from the one before it.

        Parameters
        ----------
        crops : ndarray of uint8, shape (n, height, width)
            The next frames of the video.

        Returns
        -------
        ndarray of float64, shape (n, 2)
            dy, dx in pixels, positive down and right. The video's first frame has none: (0, 0).
        """
        out = np.zeros((len(crops), 2))
        for start in range(0, len(crops), _AT_ONCE):
            self._piece(crops[start : start + _AT_ONCE], out[start : start + _AT_ONCE])
        return out

    def _piece(self, crops: Array, out: Array) -> None:
        pictures = crops.astype(np.float32)
        pictures -= pictures.mean(axis=(1, 2), keepdims=True)
        pictures *= self._window
        spectra = fft.rfft2(pictures, s=self._shape)
        if self._last is not None:
            spectra = np.concatenate([self._last, spectra])
        self._last = spectra[-1:].copy()
        if len(spectra) < 2:
            return
        cross = spectra[1:] * np.conj(spectra[:-1])
        size = np.sqrt(cross.real**2 + cross.imag**2)
        largest = size.max(axis=(1, 2), keepdims=True)
        cross *= self._weight / np.maximum(size, largest * _TINY + np.finfo(np.float32).tiny)
        out[len(out) - len(cross) :] = self._peaks(fft.irfft2(cross, s=self._shape))

    def _peaks(self, correlation: Array) -> Array:
        ry, rx = self._reach
        rolled = np.roll(correlation, (ry, rx), axis=(1, 2))[:, : 2 * ry + 1, : 2 * rx + 1]
        rolled[:, ry, rx] += np.finfo(np.float32).tiny  # a crop without any texture doesn't move
        flat = rolled.reshape(len(rolled), -1).argmax(axis=1)
        return np.stack(np.unravel_index(flat, (2 * ry + 1, 2 * rx + 1)), axis=1) - (ry, rx)


def _fade(length: int) -> Array:
    """Return a window that is 1 in the middle and falls to 0 at both ends."""
    edge = max(1, int(_FADE * length))
    distance = np.minimum(np.arange(length), np.arange(length)[::-1]) + 0.5
    return np.where(distance < edge, 0.5 - 0.5 * np.cos(np.pi * distance / edge), 1.0)
