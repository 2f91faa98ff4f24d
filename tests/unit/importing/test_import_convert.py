"""A proc dict becomes signals.h5: the right trace at the right region, repaired only where the fault is seen."""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fmdj_cloud.contracts import Origin
from fmdj_cloud.errors import InputError
from fmdj_cloud.signals_h5 import SignalsReader
from fmdj_cloud.worker.importing.convert import Imported, convert
from fmdj_cloud.worker.importing.layout import lay_out
from fmdj_cloud.worker.importing.proc import read_proc_file


def imported(path: Path) -> tuple[Imported, Path]:
    proc = read_proc_file(path)
    signals = path.with_name("signals.h5")
    return convert(proc, lay_out(proc), signals, run_id="import-0", fps=30.0), signals


@pytest.fixture
def run(save: Callable[..., Path]) -> Callable[..., tuple[Imported, SignalsReader]]:
    def convert_dict(proc: dict[str, Any], **options: Any) -> tuple[Imported, SignalsReader]:
        result, signals = imported(save(proc, **options))
        return result, SignalsReader(signals)

    return convert_dict


def repairs(result: Imported, signal: str, roi_no: int) -> tuple[str, ...]:
    (found,) = [origin for origin in result.signals if (origin.signal, origin.roi_no) == (signal, roi_no)]
    assert found.origin is Origin.IMPORT
    return found.repairs


@pytest.mark.parametrize("protocol", [3, 4])
def test_every_signal_stands_at_its_region(make, run, protocol: int) -> None:
    proc = make().proc(early=False)
    result, signals = run(proc, protocol=protocol)
    assert (result.nframes, result.sizes, signals.sbin, signals.fps) == (600, ((24, 32),), 4, 30.0)
    kinds = [(r.roi_no, r.kind, r.name) for r in signals.regions()]
    assert kinds == [
        (0, "full frame", "full frame"),
        (1, "pupil", "pupil 1"),
        (2, "motion SVD", "motion SVD 1"),
        (3, "blink", "blink 1"),
        (4, "running", "running 1"),
    ]
    for number, slot in ((0, 0), (2, 1)):
        masks, projections = signals.components(number, "mot", 0, 3)
        np.testing.assert_array_equal(masks, np.moveaxis(proc["motMask_reshape"][slot][..., :3], -1, 0))
        np.testing.assert_array_equal(projections, proc["motSVD"][slot][:, :3].T)
        np.testing.assert_array_equal(signals.motion(number), proc["motion"][slot])
    for name, trace in proc["pupil"][0].items():
        np.testing.assert_array_equal(signals.pupil(1)[name], trace)
    np.testing.assert_array_equal(signals.blink(3), proc["blink"][0])
    np.testing.assert_array_equal(signals.summary()[0], proc["avgframe_reshape"])
    assert signals.regions()[2].yrange.tolist() == list(range(8, 20))
    assert signals.regions()[2].yrange_bin.tolist() == [2, 3]


def test_without_the_full_frame_its_placeholder_is_skipped(make, run) -> None:
    proc = make().proc(full=False, early=False)
    _, signals = run(proc)
    assert [region.kind for region in signals.regions()] == ["pupil", "motion SVD", "blink", "running"]
    np.testing.assert_array_equal(signals.motion(1), proc["motion"][1])
    assert signals.n_components(1, "mot") == 3


def test_junk_movie_masks_are_no_movie_svd(make, run) -> None:
    _, signals = run(make().proc())
    assert signals.n_components(0, "mov") == 0


def test_running_is_never_loaded(make, run) -> None:
    result, signals = run(make().proc())
    assert signals.running(4) is None
    assert any("Facemap's is noise (F4)" in warning for warning in result.warnings)


def test_a_shift_that_is_seen_is_repaired(make, run) -> None:
    proc = make(seed=3).proc(early=True)
    energy = np.linalg.norm(proc["motSVD"][0], axis=1)
    result, signals = run(proc)
    assert repairs(result, "motion", 0) == ("F1",)
    np.testing.assert_allclose(signals.motion(0)[1:], energy[1:], rtol=1e-5)
    assert signals.motion(0)[0] == signals.motion(0)[1]


def test_an_aligned_trace_with_a_zero_in_the_same_place_stays(make, run) -> None:
    proc = make(seed=3).proc(early=False)
    proc["motSVD"][0][499] = 0
    proc["motion"][0][499] = 0
    result, signals = run(proc)
    assert repairs(result, "motion", 0) == ()
    np.testing.assert_array_equal(signals.motion(0), proc["motion"][0])


def test_a_zero_alone_is_no_reason_to_shift_a_trace(make, run) -> None:
    proc = make(seed=3).proc(early=True)
    proc["motSVD"][0] = np.random.default_rng(1).standard_normal(proc["motSVD"][0].shape).astype(np.float32)
    result, signals = run(proc)
    assert repairs(result, "motion", 0) == ()
    np.testing.assert_array_equal(signals.motion(0), proc["motion"][0])
    assert any("may be one frame early" in warning for warning in result.warnings)
    assert repairs(result, "motion", 2) == ("F1",)


def test_the_scale_of_a_single_chunk_is_seen_and_repaired(make, run) -> None:
    proc = make().proc()
    scale = np.arange(8, 0, -1, np.float32)
    proc["motMask_reshape"][0] = proc["motMask_reshape"][0] * scale
    expected = proc["motSVD"][0] / scale
    result, signals = run(proc)
    assert repairs(result, "motSVD", 0) == ("F5",)
    masks, projections = signals.components(0, "mot", 0, 8)
    np.testing.assert_allclose(np.linalg.norm(masks.reshape(8, -1), axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(projections.T, expected, rtol=1e-5)
    np.testing.assert_allclose(signals.singular_values(0, "mot"), scale, rtol=1e-5)


def test_scaled_masks_of_many_chunks_are_left_out(make, run) -> None:
    proc = make(frames=2000).proc()
    proc["motMask_reshape"][0] = proc["motMask_reshape"][0] * 7
    result, signals = run(proc)
    assert signals.n_components(0, "mot") == 0
    assert signals.n_components(2, "mot") == 3
    assert any("never merged (F11)" in warning for warning in result.warnings)


def test_singular_values_belong_to_the_last_region(make, run) -> None:
    _, signals = run(make().proc())
    assert signals.singular_values(0, "mot") is None
    assert signals.singular_values(2, "mot").tolist() == [3, 2, 1]


@pytest.mark.parametrize("wrong", [np.zeros(3, np.float32), np.ones(8, np.float32), [], None])
def test_singular_values_that_dont_fit_are_none(make, run, wrong: Any) -> None:
    _, signals = run(make().proc(motSv=wrong))
    assert signals.singular_values(2, "mot") is None


@pytest.mark.parametrize("full", [True, False])
@pytest.mark.parametrize("placeholder", [True, False])
def test_the_forks_list_of_singular_values_is_taken_region_by_region(make, run, full: bool, placeholder: bool) -> None:
    values = [np.arange(8, 0, -1, np.float32)] if full else [np.zeros(0, np.float32)] * placeholder
    _, signals = run(make().proc(full=full, motSv=[*values, np.array([9.0, 8.0, 7.0])]))
    assert signals.singular_values(2 if full else 1, "mot").tolist() == [9, 8, 7]
    if full:
        assert signals.singular_values(0, "mot").tolist() == list(range(8, 0, -1))


def test_overlapping_motion_rois_are_told(make, run) -> None:
    maker = make()
    proc = maker.proc()
    proc["rois"].append({**proc["rois"][1], "iROI": 4})
    for name in ("motion", "motMask_reshape", "motSVD"):
        proc[name].append(proc[name][1])
    result, signals = run(proc)
    assert "F2" in signals.regions()[5].note
    assert any("overlaps motion SVD 1" in warning for warning in result.warnings)


def test_optional_keys_may_be_missing(make, run) -> None:
    proc = make().proc()
    for name in ("save_path", "motSv", "movSv", "movMask", "movMask_reshape", "motMask_reshape", "avgframe_reshape"):
        del proc[name]
    del proc["filenames"]
    _, signals = run({**proc, "savepath": "/data", "movSVD": None})
    assert signals.n_components(0, "mot") == 8
    assert signals.summary()[0].shape == (6, 8)


def test_sizes_and_bins_come_in_any_integer(make, run) -> None:
    result, signals = run(make().proc(Ly=np.array([24]), Lx=[np.int64(32)], sbin=np.float64(4)))
    assert result.sizes == ((24, 32),)
    assert signals.sbin == 4


def test_several_views(make, run) -> None:
    proc = make().proc(Ly=[24, 24], Lx=[32, 32])
    proc["rois"][1]["ivid"] = 1
    result, signals = run(proc)
    assert result.sizes == ((24, 32), (24, 32))
    assert signals.regions()[2].view == 1


def refusal(save: Callable[..., Path], proc: Any) -> InputError:
    with pytest.raises(InputError) as refused:
        imported(save(proc))
    assert refused.value.sentence.count("\n") == 0
    return refused.value


def test_what_save_rois_writes_is_no_result(make, save) -> None:
    whole = make().proc()
    saved = {name: whole[name] for name in ("Ly", "Lx", "sbin", "fullSVD", "rois", "filenames")}
    error = refusal(save, {**saved, "motSVD": True, "movSVD": False, "save_path": "", "sy": np.array([0])})
    assert error.check == "import_results"
    assert "'Save ROIs'" in error.sentence


def test_what_holds_nothing_that_can_be_trusted_is_no_result(make, save) -> None:
    proc = make().proc()
    proc |= {"rois": [proc["rois"][3]], "motSVD": [], "motMask": [], "motMask_reshape": [], "pupil": [], "blink": []}
    error = refusal(save, proc | {"motion": [np.zeros(0, np.float32)]})
    assert error.check == "import_results"
    assert "noise (F4)" in error.sentence


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("blink", [np.zeros(599)]),
        ("motion", [np.zeros(3, np.float32), np.zeros(600, np.float32)]),
        ("motSVD", [np.zeros((600, 2), np.float32)] * 3),
        ("motMask_reshape", [np.zeros((6, 8, 5), np.float32)] * 2),
        ("rois", [{"rind": 7, "yrange": np.arange(3), "xrange": np.arange(3)}]),
        ("rois", [{"rind": 1, "yrange": np.arange(3), "xrange": np.arange(900)}]),
        ("rois", ["x"]),
        ("Ly", [24, 24]),
        ("Ly", [0]),
        ("sbin", "four"),
        ("avgframe_reshape", np.zeros((0, 5))),
        ("pupil", [np.zeros(600)]),
        ("pupil", [{"area": np.zeros((600, 2))}]),
    ],
)
def test_results_that_contradict_each_other_are_refused(make, save, name: str, value: Any) -> None:
    error = refusal(save, make().proc() | {name: value})
    assert error.check == "import_content"


def test_a_file_that_numpy_2_wrote(tmp_path: Path) -> None:
    """Saved by numpy 2.4.6 from a dict as `Maker` makes it, with some of its scalars as numpy's."""
    path = tmp_path / "m1_proc.npy"
    path.write_bytes((Path(__file__).parent / "data" / "numpy2_proc.npy").read_bytes())
    result, signals = imported(path)
    assert (result.nframes, result.sizes) == (30, ((24, 32),))
    with SignalsReader(signals) as reader:
        assert [reader.n_components(number, "mot") for number in (0, 2)] == [8, 3]


@pytest.mark.parametrize("value", [[1, 2], "text", None, np.zeros(3)])
def test_what_isnt_a_dict_is_refused(save, value: Any) -> None:
    assert refusal(save, value).check == "import_file"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, list[int], Path]:
    """A good file, where its opcodes stand, and a folder for damaged copies."""
    from tests.unit.importing.conftest import HEADER, Maker, saved

    folder = tmp_path_factory.mktemp("fuzz")
    good = saved(Maker(frames=40).proc(), folder / "m1_proc.npy").read_bytes()
    return good, [len(HEADER) + at for _, _, at in pickletools.genops(good[len(HEADER) :]) if at is not None], folder


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_a_damaged_file_is_read_or_refused_in_a_sentence(
    whole: tuple[bytes, list[int], Path], data: st.DataObject
) -> None:
    good, opcodes, folder = whole
    damaged = bytearray(good)
    for _ in range(data.draw(st.integers(1, 4), "changes")):
        anywhere = st.integers(0, len(good) - 1)
        at = data.draw(
            st.sampled_from(opcodes) | st.sampled_from(opcodes).map(lambda start: start + 1) | anywhere, "at"
        )
        damaged[at : at + data.draw(st.integers(0, 6), "length")] = data.draw(st.binary(max_size=6), "piece")
    path = folder / "m1_proc.npy"
    path.write_bytes(bytes(damaged))
    refused = None
    try:
        imported(path)
    except InputError as error:
        refused = error
    assert refused is None or (refused.check.startswith("import_") and refused.sentence.isprintable())
