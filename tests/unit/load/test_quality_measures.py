"""What is measured in outputs: right on known data, the same in slices, and never an error."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fmdj_cloud.load.quality.clipping import EnergyMeter, edge_excess, share_at_edge
from fmdj_cloud.load.quality.keypoints import PointMeter
from fmdj_cloud.load.quality.likeness import close
from fmdj_cloud.load.quality.pictures import share_black, share_lost, share_white
from fmdj_cloud.load.quality.seams import CHUNK, StepMeter, borders, count_seams, excess_at
from fmdj_cloud.load.quality.traces import longest_rest, not_numbers, share_not_numbers, zeros_at_end
from fmdj_cloud.load.slices import ComponentSlice
from fmdj_cloud.load.svd_check import ComponentMeter

FLOATS = st.one_of(st.sampled_from([0.0, 1.0, np.nan, np.inf, -np.inf, float(np.float32(3.4e38))]), st.floats(width=32))
SETTLED = st.sampled_from([0.0, 0.25, 1.0])
"""Few values, so that a trace often rests."""


def traces(elements=FLOATS, least: int = 0, most: int = 40):
    return hnp.arrays(np.float32, st.integers(least, most), elements=elements)


def pieces(total: int) -> st.SearchStrategy[list[tuple[int, int]]]:
    """Consecutive ranges that make up `total`."""
    cuts = st.lists(st.integers(0, total), max_size=4)
    return cuts.map(lambda inner: list(pairwise([0, *sorted(inner), total])))


def slow_rest(values) -> float:
    """`longest_rest`, frame by frame."""
    if len(values) < 2:
        return 1.0
    run = longest = 0
    for before, after in pairwise(values):
        run = run + 1 if before == after else 0
        longest = max(longest, run)
    return longest / (len(values) - 1)


@given(traces(st.one_of(SETTLED, st.just(np.nan))))
def test_the_longest_rest_is_that_found_frame_by_frame(trace):
    assert longest_rest(trace) == slow_rest(trace[np.isfinite(trace)])


@given(traces())
def test_any_trace_can_be_measured(trace):
    assert 0 <= longest_rest(trace) <= 1
    assert 0 <= longest_rest(np.stack((trace, trace), axis=1)) <= 1
    assert 0 <= zeros_at_end(trace) <= len(trace)
    assert 0 <= share_not_numbers(trace) <= 1
    assert 0 <= share_lost(trace, 10) <= 1
    assert 0 <= share_at_edge(trace, np.stack((trace, trace[::-1]), axis=1), 4, 5) <= 1
    assert 0 <= share_white(trace) + share_black(trace) <= 1
    meter = StepMeter(len(trace))
    meter.add(trace)
    assert np.isfinite(meter.changes).all()


def test_a_constant_that_single_precision_does_not_hold_is_at_rest():
    assert longest_rest(np.full(1000, 0.1, np.float32)) == 1


def test_a_surface_that_moves_in_one_direction_is_not_at_rest():
    moving = np.stack((np.zeros(10), np.arange(10.0)), axis=1)
    assert longest_rest(moving) == 0


@given(st.data(), st.integers(0, 40))
def test_keypoints_in_slices_measure_what_they_measure_at_once(data, nframes):
    x, y = (data.draw(hnp.arrays(np.float32, nframes, elements=st.one_of(SETTLED, st.just(np.nan)))) for _ in "xy")
    likelihood = data.draw(hnp.arrays(np.float32, nframes, elements=FLOATS))
    whole, sliced = PointMeter(0.5), PointMeter(0.5)
    whole.add(x, y, likelihood)
    for start, stop in data.draw(pieces(nframes)):
        sliced.add(x[start:stop], y[start:stop], likelihood[start:stop])
    for name in ("frames", "empty", "wrong", "beyond", "low", "median", "rest"):
        assert getattr(whole, name) == getattr(sliced, name), name
    assert (whole.histogram == sliced.histogram).all()
    finite = np.isfinite(x) & np.isfinite(y)
    assert whole.rest == slow_rest([tuple(point) for point in np.stack((x, y), axis=1)[finite]])


@given(st.data(), st.integers(0, 6), st.integers(1, 30))
def test_components_in_slices_measure_what_they_measure_at_once(data, components, nframes):
    masks = data.draw(hnp.arrays(np.float32, (components, 3, 4), elements=FLOATS))
    projections = data.draw(hnp.arrays(np.float32, (components, nframes), elements=FLOATS))
    whole, sliced = ComponentMeter(3, 4, nframes), ComponentMeter(3, 4, nframes)
    whole.add(ComponentSlice(0, masks, projections))
    for start, stop in data.draw(pieces(components)):
        sliced.add(ComponentSlice(start, masks[start:stop], projections[start:stop]))
    assert whole.bad == sliced.bad == not_numbers(masks) + not_numbers(projections)
    np.testing.assert_equal(whole.deviation, sliced.deviation)
    assert whole.rest == sliced.rest
    np.testing.assert_array_equal(whole.steps.changes, sliced.steps.changes)
    np.testing.assert_array_equal(whole.energy.energy, sliced.energy.energy)
    np.testing.assert_array_equal(whole.steps.turns, sliced.steps.turns)
    assert np.isfinite(whole.steps.turns).all()
    assert 0 <= edge_excess(whole.energy.energy) < np.inf


@given(st.integers(0, 5000), st.lists(st.integers(0, 2000), max_size=3))
def test_borders_lie_between_frames_and_where_no_file_begins(nframes, files):
    found = borders(nframes, files)
    assert all(0 < frame < nframes and frame % CHUNK == 0 for frame in found)
    assert not set(found) & set(np.cumsum(files).tolist())
    seams, judged = count_seams(np.zeros(max(0, nframes - 1)), found)
    assert (seams, judged <= len(found)) == (0, True)


def jumps(trace) -> tuple[int, int]:
    meter = StepMeter(len(trace))
    meter.add(trace)
    return count_seams(meter.changes, borders(len(trace)))


@pytest.mark.parametrize("seed", range(5))
def test_what_runs_on_has_no_seams(seed):
    rng = np.random.default_rng(seed)
    walk = np.cumsum(rng.normal(size=20_000))
    bursts = np.abs(rng.normal(size=20_000)) * (rng.uniform(size=20_000) < 0.05) + rng.uniform(size=20_000)
    for trace in (walk, bursts, rng.gamma(0.5, size=20_000)):
        seams, judged = jumps(trace)
        assert judged == 39
        assert seams / judged <= 0.02


def test_pieces_with_means_and_signs_of_their_own_have_seams():
    rng = np.random.default_rng(1)
    course = np.sin(np.arange(5000) / 40) + 2
    pieces = [course[start : start + CHUNK] * (-1) ** (start // CHUNK) for start in range(0, 5000, CHUNK)]
    assert jumps(np.concatenate(pieces) + rng.normal(scale=0.01, size=5000)) == (9, 9)


def test_a_motion_one_frame_early_in_its_first_chunk_has_a_seam():
    rng = np.random.default_rng(1)
    motion = 1000 + rng.normal(scale=30, size=3000)
    early = np.array(motion)
    early[: CHUNK - 1], early[CHUNK - 1] = motion[1:CHUNK], 0  # as Facemap stores it (F1)
    assert jumps(motion)[0] == 0
    assert jumps(early)[0] == 1


def activity(rng, nframes: int) -> np.ndarray:
    """Forty components of which each frame resembles the one before, louder in some frames than in others, (40, n)."""
    found = rng.normal(size=(40, nframes))
    for frame in range(1, nframes):
        found[:, frame] = 0.6 * found[:, frame - 1] + 0.8 * found[:, frame]
    return found * rng.gamma(2, size=nframes)


def excess(projections: np.ndarray) -> float:
    nframes = projections.shape[1]
    meter = StepMeter(nframes)
    for projection in projections:
        meter.add(projection)
    return max(excess_at(steps, borders(nframes)) for steps in (meter.changes, meter.turns))


@pytest.mark.parametrize("seed", range(3))
def test_pieces_with_bases_of_their_own_do_not_run_on(seed):
    rng = np.random.default_rng(seed)
    whole = activity(rng, 6000)
    assert excess(whole) < 3
    signs = rng.choice((-1, 1), size=(40, 12)).repeat(CHUNK, axis=1)
    assert excess(whole * signs) > 4
    bases = [np.linalg.qr(rng.normal(size=(40, 40)))[0] for _ in range(12)]
    turned = [basis @ whole[:, n * CHUNK : (n + 1) * CHUNK] for n, basis in enumerate(bases)]
    assert excess(np.concatenate(turned, axis=1)) > 4


@given(traces(st.floats(-1e3, 1e3, width=32), 2), st.data())
def test_the_excess_is_that_of_ranks(steps, data):
    at = data.draw(st.lists(st.integers(1, len(steps)), max_size=5))
    ranks = [(np.sum(steps < steps[n - 1]) + np.sum(steps <= steps[n - 1])) / 2 / len(steps) for n in at]
    wanted = (np.mean(ranks) - 0.5) * np.sqrt(12 * len(at)) if at else 0.0
    assert excess_at(steps, at) == pytest.approx(wanted)
    assert excess_at(np.zeros(10), [1, 2]) == 0


def test_a_border_with_too_little_around_it_is_not_judged():
    assert jumps(np.arange(CHUNK + 1.0)) == (0, 1)
    assert count_seams(np.ones(10), [5]) == (0, 0)


def test_motion_spread_evenly_has_no_excess_at_the_edge():
    assert edge_excess(np.ones((8, 9))) == pytest.approx(1)
    inside, outside = np.zeros((8, 9)), np.zeros((8, 9))
    inside[3, 3] = outside[0, 3] = 1
    assert edge_excess(inside) == 0
    assert edge_excess(outside) > 2
    assert edge_excess(np.ones((2, 9))) == 0


def test_energy_is_that_of_the_movie_that_components_make():
    rng = np.random.default_rng(0)
    masks = np.linalg.qr(rng.normal(size=(12, 3)))[0].T.reshape(3, 3, 4)
    projections = np.linalg.qr(rng.normal(size=(20, 3)))[0].T * np.array([[3.0], [2.0], [1.0]])
    meter = EnergyMeter(3, 4)
    for mask, projection in zip(masks, projections, strict=True):
        meter.add(mask, projection)
    movie = np.einsum("ct,cyx->tyx", projections, masks)
    np.testing.assert_allclose(meter.energy, (movie**2).sum(axis=0), atol=1e-12)


def test_a_pupil_in_the_middle_keeps_off_the_edge():
    area = np.array([np.pi * 4, np.pi * 4, np.nan, 0])
    center = np.array([[5.0, 5], [1, 5], [1, 1], [0, 0]])
    assert share_at_edge(area, center, 11, 11) == 0.25


def test_a_pupil_is_lost_where_its_area_is_nothing_that_the_roi_holds():
    assert share_lost(np.array([5.0, 0, -1, np.nan, np.inf, 101, 100]), 100) == 5 / 7


def test_the_histogram_tells_the_likelihood_that_half_of_the_frames_reach():
    meter = PointMeter(0.3)
    likelihood = np.r_[np.full(40, 0.1), np.full(60, 0.905)].astype(np.float32)
    meter.add(np.arange(100.0), np.arange(100.0), likelihood)
    assert meter.low == 0.4
    assert meter.median == 0.9
    assert meter.histogram.sum() == 100


def test_what_holds_no_number_is_like_itself_and_unlike_numbers():
    trace = np.array([1, np.nan, 2, np.inf], np.float32)
    assert close(trace, trace)
    assert close(np.array([1.0015, np.nan, 2, np.inf]), trace)
    assert not close(np.array([1.1, np.nan, 2, np.inf]), trace)
    assert not close(np.array([1, 0, 2, np.inf]), trace)
    assert not close(np.array([1, np.nan, 2, 3]), trace)
    assert not close(np.array([1, np.nan, 2, np.inf]), trace[:3])
