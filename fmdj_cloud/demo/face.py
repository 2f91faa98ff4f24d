"""Drawing of a face: a background that stays, and four boxes in which something moves."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from fmdj_cloud.demo.truth import Box, Floats, Script

Pixels = npt.NDArray[np.uint8]

SMALLEST = (72, 96)
"""Height and width below which the pupil is too small to be measured."""
PUPIL_GRAY = 26.0
EYE_GRAY = 122.0
LID_GRAY = 182.0
_GLINT_GRAY = 226.0
PUPIL_SATURATION = 85.0
"""Gray level that separates the pupil from everything else in the eye's box."""
BLINK_SATURATION = 150.0
"""Gray level that separates the open eye from the lid."""

_BOXES = {
    "eye": (0.10, 0.46, 0.44, 0.76),
    "whisker": (0.56, 0.88, 0.24, 0.56),
    "snout": (0.38, 0.70, 0.02, 0.22),
    "running": (0.64, 0.98, 0.62, 0.98),
}
_SURFACE_PERIOD = 256
"""Pixels after which the running surface repeats, more than twice what is seen of it in small videos."""
_OVERSAMPLING = 4
"""Steps per pixel in which whiskers and snout move."""
_NOISE_IMAGES = 16
_NOISE_MARGIN = 24


@dataclass(frozen=True)
class Face:
    """A face of a given size, the same for the same seed.

    Attributes
    ----------
    height, width : int
        Pixels.
    seed : int
    noise : float
        Standard deviation of the sensor's noise, gray levels.
    """

    height: int
    width: int
    seed: int = 0
    noise: float = 1.0

    @cached_property
    def boxes(self) -> dict[str, Box]:
        """Box of each moving part: ``eye``, ``whisker``, ``snout``, ``running``."""
        return {
            name: (int(y0 * self.height), int(y1 * self.height), int(x0 * self.width), int(x1 * self.width))
            for name, (y0, y1, x0, x1) in _BOXES.items()
        }

    def shape(self, name: str) -> tuple[int, int]:
        """Return height and width of a box."""
        y0, y1, x0, x1 = self.boxes[name]
        return y1 - y0, x1 - x0

    @property
    def max_speed(self) -> tuple[int, int]:
        """Fastest running that a phase correlation of the box can follow, pixels per frame along y and x."""
        height, width = self.shape("running")
        return min(2, height // 10), min(5, width // 11)

    def pupil(self, script: Script) -> tuple[Floats, Floats]:
        """Return the pupil's radius (n,) and centre (n, 2) as y, x of the full frame, in pixels."""
        y0, y1, x0, x1 = self.boxes["eye"]
        height = y1 - y0
        radius = height * (0.14 + 0.10 * script.pupil_radius)
        middle = np.array([(y0 + y1 - 1) / 2, (x0 + x1 - 1) / 2])
        return radius, middle + height * np.array([0.08, 0.12]) * script.pupil_offset

    def draw(self, script: Script, start: int, stop: int) -> Pixels:
        """Draw frames ``start:stop`` of a script without noise, (stop - start, height, width)."""
        frames = np.repeat(self._background[np.newaxis], stop - start, axis=0)
        drawings = {
            "eye": self._draw_eye(script, start, stop),
            "whisker": _draw_moving(self._whiskers, script.whisker[start:stop]),
            "snout": _draw_moving(self._snout, script.snout[start:stop]).swapaxes(1, 2),
            "running": self._draw_surface(script, start, stop),
        }
        for name, drawing in drawings.items():
            y0, y1, x0, x1 = self.boxes[name]
            frames[:, y0:y1, x0:x1] = drawing
        return frames

    def add_noise(self, frames: Pixels, first: int, view: int) -> None:
        """Add the sensor's noise to frames in place; it depends on their number and view."""
        if self.noise <= 0:
            return
        rng = np.random.default_rng((self.seed, 6, view, first))
        images = rng.integers(0, _NOISE_IMAGES, len(frames))
        corners = rng.integers(0, _NOISE_MARGIN, (len(frames), 2))
        for frame, image, (y, x) in zip(frames, images, corners, strict=True):
            # Modular: the drawing keeps away from 0 and 255 by more than the largest noise.
            frame += self._noise[image, y : y + self.height, x : x + self.width]

    @cached_property
    def _noise(self) -> Pixels:
        rng = np.random.default_rng((self.seed, 5))
        size = (_NOISE_IMAGES, self.height + _NOISE_MARGIN, self.width + _NOISE_MARGIN)
        noise = rng.standard_normal(size, dtype=np.float32) * np.float32(self.noise)
        return np.rint(np.clip(noise, -9, 9)).astype(np.int8).view(np.uint8)

    @cached_property
    def _background(self) -> Pixels:
        rng = np.random.default_rng((self.seed, 7))
        y = np.linspace(0, 1, self.height)[:, np.newaxis]
        x = np.linspace(0, 1, self.width)[np.newaxis]
        head = 1 / (1 + np.exp((np.hypot((y - 0.48) / 0.46, (x - 0.60) / 0.52) - 1) * 14))
        muzzle = 1 / (1 + np.exp((np.hypot((y - 0.58) / 0.28, (x - 0.22) / 0.24) - 1) * 14))
        ear = 1 / (1 + np.exp((np.hypot((y - 0.20) / 0.27, (x - 0.96) / 0.15) - 1) * 12))
        fur = _texture(rng, (self.height, self.width), (1.2, 2.4))
        image = 38 + 18 * x + np.maximum(head, muzzle) * (104 + 10 * fur - 26 * (y - 0.4))
        image += ear * (186 - 66 * ear**4 + 6 * fur - image)
        return _to_pixels(image)

    def _draw_eye(self, script: Script, start: int, stop: int) -> Pixels:
        y0, y1, x0, x1 = self.boxes["eye"]
        around = self._background[y0:y1, x0:x1].astype(np.float32)
        # What surrounds the eye must be brighter than both saturations, wherever the head is dark.
        around = np.maximum(around, np.float32(EYE_GRAY))
        y = np.arange(y1 - y0, dtype=np.float32)[:, np.newaxis]
        x = np.arange(x1 - x0, dtype=np.float32)[np.newaxis]
        middle = (y1 - y0 - 1) / 2, (x1 - x0 - 1) / 2
        distance = np.hypot((y - middle[0]) / (0.47 * (y1 - y0)), (x - middle[1]) / (0.47 * (x1 - x0)))
        eye = np.clip((1 - distance) * 0.47 * (y1 - y0), 0, 1)
        iris = EYE_GRAY + 10 * (1 - np.clip(distance, 0, 1))
        radius, center = self.pupil(script)
        dy = y[np.newaxis] - (center[start:stop, 0, np.newaxis, np.newaxis] - y0).astype(np.float32)
        dx = x[np.newaxis] - (center[start:stop, 1, np.newaxis, np.newaxis] - x0).astype(np.float32)
        pupil = np.clip(radius[start:stop, np.newaxis, np.newaxis].astype(np.float32) + 0.5 - np.hypot(dy, dx), 0, 1)
        inside = iris + pupil * (PUPIL_GRAY - iris)
        # A reflection of the lamp, where the pupil never comes.
        glint = np.hypot(y - middle[0] + 0.15 * (y1 - y0), x - middle[1] - 0.45 * (y1 - y0))
        inside += np.clip(0.045 * (y1 - y0) + 0.5 - glint, 0, 1) * (_GLINT_GRAY - inside)
        lid = np.clip(script.lid[start:stop, np.newaxis, np.newaxis] * (y1 - y0) - y, 0, 1).astype(np.float32)
        inside += lid * (LID_GRAY - inside)
        return _to_pixels(around + eye * (inside - around))

    @cached_property
    def _whiskers(self) -> _Moving:
        height, width = self.shape("whisker")
        y0, y1, x0, x1 = self.boxes["whisker"]
        # Streaks along x that sweep along y, as whiskers do.
        scale = max(2.0, self.height / 90)
        still = self._background[y0:y1, x0:x1].astype(np.float32)
        rng = np.random.default_rng((self.seed, 8))
        return _moving(rng, (height, width), still, (scale, 5 * scale), amplitude=1.4 * scale, contrast=34)

    @cached_property
    def _snout(self) -> _Moving:
        height, width = self.shape("snout")
        y0, y1, x0, x1 = self.boxes["snout"]
        # Drawn on its side: it moves along x.
        scale = max(2.0, self.height / 80)
        still = self._background[y0:y1, x0:x1].astype(np.float32).T
        rng = np.random.default_rng((self.seed, 9))
        return _moving(rng, (width, height), still, (scale, scale), amplitude=1.4 * scale, contrast=30)

    @cached_property
    def _surface(self) -> Pixels:
        rng = np.random.default_rng((self.seed, 10))
        height, width = self.shape("running")
        texture = _texture(rng, (_SURFACE_PERIOD, _SURFACE_PERIOD), (1.0, 1.0))
        return np.pad(_to_pixels(96 + 26 * texture), ((0, height), (0, width)), mode="wrap")

    def _draw_surface(self, script: Script, start: int, stop: int) -> Pixels:
        moved = np.cumsum(script.running, axis=0)[start:stop]
        corner = np.mod(-moved, _SURFACE_PERIOD)
        windows = np.lib.stride_tricks.sliding_window_view(self._surface, self.shape("running"))
        surface: Pixels = windows[corner[:, 0], corner[:, 1]]
        return surface


@dataclass(frozen=True)
class _Moving:
    """A texture that slides along its first axis behind a soft window."""

    still: npt.NDArray[np.float32]
    texture: npt.NDArray[np.float32]
    amplitude: float


def _texture(rng: np.random.Generator, shape: tuple[int, int], sigma: tuple[float, float]) -> npt.NDArray[np.float32]:
    """Return smooth noise of unit standard deviation that tiles the plane."""
    noise = gaussian_filter(rng.standard_normal(shape).astype(np.float32), sigma, mode="wrap")
    scaled: npt.NDArray[np.float32] = (noise - noise.mean()) / noise.std()
    return np.clip(scaled, -2.8, 2.8)


def _moving(
    rng: np.random.Generator,
    shape: tuple[int, int],
    still: npt.NDArray[np.float32],
    sigma: tuple[float, float],
    *,
    amplitude: float,
    contrast: float,
) -> _Moving:
    height, width = shape
    rows = _OVERSAMPLING * (height + 2 * int(np.ceil(amplitude)) + 2)
    texture = _texture(rng, (rows, width), (sigma[0] * _OVERSAMPLING, sigma[1]))
    return _Moving(still=still, texture=contrast * texture, amplitude=amplitude)


def _draw_moving(moving: _Moving, position: Floats) -> Pixels:
    height, width = moving.still.shape
    middle = (len(moving.texture) - _OVERSAMPLING * (height - 1)) // 2
    first = middle + np.rint(_OVERSAMPLING * moving.amplitude * position).astype(np.int64)
    rows = first[:, np.newaxis] + _OVERSAMPLING * np.arange(height)
    window = np.outer(_taper(height), _taper(width)).astype(np.float32)
    drawing = moving.still + window * moving.texture[rows]
    return _to_pixels(drawing)


def _taper(size: int) -> Floats:
    """Return a window that is 1 in the middle and falls to 0 at both ends."""
    taper: Floats = np.clip(np.minimum(np.arange(size), np.arange(size)[::-1]) / (0.2 * size), 0, 1)
    return taper


def _to_pixels(drawing: npt.NDArray[np.floating[Any]]) -> Pixels:
    """Round to gray levels that leave room for the noise on both sides."""
    pixels: Pixels = np.rint(np.clip(drawing, 12, 242)).astype(np.uint8)
    return pixels
