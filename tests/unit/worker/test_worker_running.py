"""Phase correlation on pictures whose displacement is known."""

import numpy as np
import pytest

from fmdj_cloud.worker.svd.running import Displacement


def surface(steps: np.ndarray, height: int, width: int, *, noise: float = 0.0, seed: int = 0) -> np.ndarray:
    """Return crops of a texture that moves by `steps` (dy, dx) from each frame to the next."""
    rng = np.random.default_rng(seed)
    texture = rng.integers(20, 235, (600, 600)).astype(float)
    texture = (texture + np.roll(texture, 1, 0) + np.roll(texture, 1, 1) + np.roll(texture, (1, 1), (0, 1))) / 4
    place = 300 - np.concatenate([[[0, 0]], np.cumsum(steps, axis=0)])
    crops = np.stack([texture[y : y + height, x : x + width] for y, x in place])
    return np.clip(crops + rng.normal(0, noise, crops.shape), 0, 255).astype(np.uint8)


def test_whole_pixel_shifts_are_exact_down_and_right_positive():
    steps = np.array([[0, 0], [3, 0], [0, 5], [-4, 2], [7, -9], [1, 1]])
    found = Displacement(48, 64).of(surface(steps, 48, 64))
    np.testing.assert_array_equal(found[1:], steps)


@pytest.mark.parametrize("shape", [(48, 64), (31, 77), (24, 24)])
def test_random_walks_are_exact_under_noise(shape):
    rng = np.random.default_rng(5)
    steps = rng.integers(-4, 5, (60, 2))
    found = Displacement(*shape).of(surface(steps, *shape, noise=4))
    np.testing.assert_array_equal(found[1:], steps)


def test_pieces_yield_the_same_as_the_whole():
    steps = np.random.default_rng(2).integers(-5, 6, (200, 2))
    crops = surface(steps, 40, 50)
    whole, meter = Displacement(40, 50).of(crops), Displacement(40, 50)
    pieces = np.concatenate([meter.of(crops[a:b]) for a, b in ((0, 1), (1, 2), (2, 90), (90, 201))])
    np.testing.assert_array_equal(pieces, whole)


def test_the_first_frame_has_no_displacement():
    assert Displacement(20, 20).of(surface(np.array([[2, 2]]), 20, 20))[0].tolist() == [0, 0]


def test_a_surface_without_texture_doesnt_move():
    assert not Displacement(20, 30).of(np.full((5, 20, 30), 128, np.uint8)).any()


def test_a_surface_that_stands_still_under_noise_doesnt_move():
    assert not Displacement(40, 40).of(surface(np.zeros((30, 2), int), 40, 40, noise=5))[1:].any()


def test_brightness_that_flickers_is_no_movement():
    steps = np.array([[2, -3]] * 20)
    crops = surface(steps, 40, 50).astype(float)
    crops *= np.linspace(0.5, 1, len(crops))[:, np.newaxis, np.newaxis]
    np.testing.assert_array_equal(Displacement(40, 50).of(crops.astype(np.uint8))[1:], steps)


@pytest.mark.parametrize("shape", [(2, 2), (1, 9), (3, 40)])
def test_tiny_crops_are_no_error(shape):
    assert Displacement(*shape).of(np.random.default_rng(0).integers(0, 255, (4, *shape), np.uint8)).shape == (4, 2)
