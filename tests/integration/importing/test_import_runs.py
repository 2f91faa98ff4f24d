"""Outputs that a lab computed itself arrive in its tables: as they are, repaired where a fault is seen, or left out."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from fmdj_cloud.contracts import BindingState, FailureClass, Kind, Manifest, Origin, RunState
from fmdj_cloud.load.results import LoadEnd
from fmdj_cloud.names import sha256_text
from fmdj_cloud.storage.verify import file_digest

pytestmark = pytest.mark.integration

RULE = "processed/m1/facemap_0"
HEADER = b"\x93NUMPY\x01\x00v\x00" + b"{'descr': '|O', 'fortran_order': False, 'shape': (), }".ljust(117) + b"\n"


def test_a_load_task_gets_the_rows_of_the_labs_own_file(world, output) -> None:
    world.upload(output.video, "raw/m1/m1.avi")
    uri = world.upload(output.path, f"{RULE}/m1_proc.npy")
    key = world.insert_task()

    world.settle()
    run = world.run(key)
    assert (run.state, run.kind) == (RunState.PUBLISHED, Kind.IMPORT), run.sentence
    (result,) = world.load()
    assert result.end is LoadEnd.LOADED, result.sentence

    proc, element, signals = output.proc(), world.lab.element, world.lab.signals
    regions = (element.Region & key).to_dicts(order_by="roi_no")
    assert [(row["roi_no"], row["roi_name"]) for row in regions] == [
        (0, "full frame"),
        (1, "pupil 1"),
        (2, "motion SVD 1"),
        (3, "blink 1"),
        (4, "motion SVD 2"),
        (5, "running 1"),
    ]
    energy = output.recording.truth
    for row, slot in ((regions[0], 0), (regions[2], 1), (regions[4], 2)):
        stored = proc["motion"][slot]
        np.testing.assert_array_equal(row["motion"][1:500], stored[:499])  # Facemap stores these one frame early (F1)
        np.testing.assert_array_equal(row["motion"][500:], stored[500:])
        assert row["motion"][0] == row["motion"][1]
        norms = np.linalg.norm(proc["motMask"][slot].astype(float), axis=0)
        components = (element.MotionSVD & key & {"roi_no": row["roi_no"]}).to_dicts(order_by="component_id")
        for component in components[:5]:
            number = component["component_id"]
            scaled = proc["motSVD"][slot][:, number] / norms[number]  # 600 frames are one chunk (F5)
            np.testing.assert_allclose(component["projection"], scaled, rtol=1e-4)
            mask = proc["motMask_reshape"][slot][..., number] / norms[number]
            np.testing.assert_allclose(component["motmask"], mask, rtol=1e-4, atol=1e-7)
            np.testing.assert_allclose(component["singular_value"], norms[number], rtol=1e-5)
        assert len(element.MovieSVD & key & {"roi_no": row["roi_no"]}) == len(components)
    whisker = np.corrcoef(regions[2]["motion"], energy.whisker_energy)[0, 1]
    assert whisker > 0.9
    (pupil,) = (signals.Pupil & key).to_dicts()
    for name, trace in proc["pupil"][0].items():
        np.testing.assert_array_equal(pupil[name], trace)
    (blink,) = (signals.Blink & key).to_dicts()
    np.testing.assert_array_equal(blink["trace"], proc["blink"][0])
    assert len(signals.Running & key) == 0  # noise (F4)
    (summary,) = (element.Summary & key).to_dicts()
    np.testing.assert_array_equal(summary["avgframe"], proc["avgframe_reshape"])

    manifest = Manifest.model_validate_json(
        world.store.get_bytes(f"{run.output_dir}/a1/manifest.json", max_bytes=1 << 24)
    )
    (original,) = [file for file in manifest.files if file.path == uri]
    assert (original.size, original.sha256) == (output.path.stat().st_size, file_digest(output.path))
    assert manifest.gui_file == uri
    assert {signal.origin for signal in manifest.signals} == {Origin.IMPORT}
    assert any("Facemap's is noise (F4)" in warning for warning in manifest.warnings)
    assert (element.FacemapTask & key).fetch1("facemap_output_dir") == "m1/facemap_0"
    assert (element.RecordingInfo & key).fetch1("nframes") == 600


def test_a_missing_output_is_waited_for(world, roi_output, eventually) -> None:
    world.upload(roi_output.video, "raw/m1/m1.avi")
    key = world.insert_task(facemap_output_dir="curated/m1")
    controller = world.controller()

    controller.run_pass()

    binding = world.binding(key)
    assert binding.state is BindingState.WAITING
    for place in ("processed/curated/m1", RULE):
        assert f"{world.bucket}/{place}" in binding.sentence
    world.upload(roi_output.path, "processed/curated/m1/m1_proc.npy")
    eventually(lambda: controller.run_pass() and world.binding(key).state is BindingState.PLANNED)
    assert controller.drain(timeout=120)
    (result,) = world.load()
    assert result.end is LoadEnd.LOADED, result.sentence
    element, proc = world.lab.element, roi_output.proc()
    rows = (element.Region & key).to_dicts(order_by="roi_no")
    assert [row["roi_name"] for row in rows] == ["motion SVD 1", "motion SVD 2"]
    for row, slot in zip(rows, (1, 2), strict=True):  # Facemap keeps slot 0 for the full frame that wasn't computed
        np.testing.assert_array_equal(row["motion"][500:], proc["motion"][slot][500:])
    assert (element.FacemapTask & key).fetch1("facemap_output_dir") == "curated/m1"


def test_without_the_videos_an_output_is_imported_with_a_warning(world, roi_output) -> None:
    world.upload(roi_output.path, f"{RULE}/renamed_proc.npy")
    key = world.insert_task()
    world.settle()
    (result,) = world.load()
    assert result.end is LoadEnd.LOADED, result.sentence
    manifest = Manifest.model_validate_json(
        world.store.get_bytes(f"{world.run(key).output_dir}/a1/manifest.json", max_bytes=1 << 24)
    )
    assert manifest.views == ()
    assert "nothing says whether renamed_proc.npy covers all their frames" in manifest.warnings[0]


def test_of_several_outputs_none_is_guessed(world, roi_output) -> None:
    world.upload(roi_output.video, "raw/m1/m1.avi")
    for name in ("a_proc.npy", "b_proc.npy"):
        world.upload(roi_output.path, f"{RULE}/{name}")
    world.upload(roi_output.path, f"{RULE}/svd-0123456789abcdef/a1/n/facemap/main/m1_proc.npy")  # a run of ours
    key = world.insert_task()
    world.controller().run_pass()
    binding = world.binding(key)
    assert (binding.state, binding.failure_class) == (BindingState.REFUSED, FailureClass.INPUT)
    assert "a_proc.npy, b_proc.npy" in binding.sentence


def test_an_output_of_other_videos_is_refused(world, roi_output, tmp_path: Path) -> None:
    from fmdj_cloud.demo.recordings import RecordingSpec, generate

    shorter = generate(RecordingSpec(name="m1", width=160, height=120, nframes=(60,)), tmp_path)
    world.upload(shorter.videos[0][0], "raw/m1/m1.avi")
    world.upload(roi_output.path, f"{RULE}/m1_proc.npy")
    key = world.insert_task()
    world.settle()
    run = world.run(key)
    assert (run.state, run.failure_class) == (RunState.FAILED, FailureClass.INPUT)
    assert "m1_proc.npy has 600 frames and the videos have 60" in run.sentence


class _Command:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> object:
        return Path.touch, (self.target,)


def test_hostile_files_end_in_one_sentence_each(world, roi_output, tmp_path: Path) -> None:
    contents = [
        HEADER + pickle.dumps(_Command(tmp_path / "owned"), 3),
        HEADER + b"\x80\x03cnumpy\nndarray\nJ\x00\xca\x9a\x3b\x85\x85R.",  # asks for 8 GB
        roi_output.path.read_bytes()[:-5000],
    ]
    keys = []
    for task, content in enumerate(contents):
        world.store.put_bytes(f"{world.bucket}/processed/m1/facemap_{task}/m1_proc.npy", content)
        keys.append(world.insert_task(task))
    world.settle()
    for key in keys:
        run = world.run(key)
        assert (run.state, run.failure_class, run.attempt) == (RunState.FAILED, FailureClass.INPUT, 1)
        assert run.sentence.startswith("m1_proc.npy can't be imported, since")
    assert not (tmp_path / "owned").exists()


def test_another_file_in_the_same_place_is_another_run(world, roi_output, output) -> None:
    world.upload(roi_output.path, f"{RULE}/m1_proc.npy")
    key = world.insert_task()
    world.settle()
    first = world.run(key)
    assert [result.end for result in world.load()] == [LoadEnd.LOADED]
    (world.lab.element.FacemapProcessing & key).delete(prompt=False)
    world.upload(output.path, f"{RULE}/m1_proc.npy")
    world.controller().run_pass()
    assert world.run(key).run_id != first.run_id
    assert world.run(key).content_digest != first.content_digest != sha256_text("")
