"""What lies in the store must be what was published and pinned."""

from __future__ import annotations

import pytest

from fmdj_cloud.contracts import FailureClass, RunState
from fmdj_cloud.load.results import LoadEnd
from fmdj_cloud.settings import S3Settings, StorageSettings
from fmdj_cloud.storage import open_store

pytestmark = pytest.mark.integration


def _refused(world, run, words: str) -> None:
    (result,) = world.loader().run_pass()
    failed = world.run(run)
    assert result.end is LoadEnd.FAILED
    assert (failed.state, failed.failure_class) == (RunState.FAILED, FailureClass.LOAD)
    assert words in failed.sentence


def test_a_wrong_checksum_is_refused(world) -> None:
    key = world.insert_task()
    run = world.publish(key)
    uri = f"{run.output_dir}/a1/n1/signals.h5"
    data = bytearray(world.store.get_bytes(uri, max_bytes=1 << 24))
    data[-1] ^= 1
    world.store.put_bytes(uri, bytes(data))

    _refused(world, run, f"{uri} isn't the file that was published")
    assert set(world.rows(key).values()) == {0}


def test_a_truncated_file_is_refused(world) -> None:
    run = world.publish(world.insert_task())
    uri = f"{run.output_dir}/a1/n1/signals.h5"
    world.store.put_bytes(uri, world.store.get_bytes(uri, max_bytes=1 << 24)[:-100])

    _refused(world, run, "isn't the file that was published")


def test_a_missing_file_is_refused(world) -> None:
    run = world.publish(world.insert_task())
    world.store.delete(f"{run.output_dir}/a1/n1/signals.h5")

    _refused(world, run, "n1/signals.h5 is gone since it was published")


def test_a_file_that_is_no_signals_file_is_refused(world) -> None:
    from fmdj_cloud.contracts import ManifestFile
    from fmdj_cloud.names import sha256_text

    run = world.launch(world.insert_task())
    world.store.put_bytes(f"{run.output_dir}/a1/n1/other", b"hello")
    file = ManifestFile(path="n1/other", role="signals", size=5, sha256=sha256_text("hello"))
    world.pin(run, world.upload(run, files=(file,), gui_file=None))

    _refused(world, run, "can't be read as HDF5")


def test_an_overwritten_manifest_is_harmless(world) -> None:
    key = world.insert_task()
    run = world.publish(key)
    world.upload(run, nonce="n2", seed=2)  # the pod that was thought dead commits after all

    (result,) = world.loader().run_pass()

    assert result.end is LoadEnd.LOADED
    (directory,) = (world.lab.element.FacemapTask & key).to_arrays("facemap_output_dir")
    assert directory.endswith(f"{run.run_id}/a1/n1/facemap/main")


def test_a_deleted_manifest_is_found_in_its_own_folder(world) -> None:
    run = world.publish(world.insert_task())
    world.store.delete(f"{run.output_dir}/a1/manifest.json")

    assert [result.end for result in world.loader().run_pass()] == [LoadEnd.LOADED]


def test_a_missing_manifest_is_refused(world) -> None:
    run = world.publish(world.insert_task())
    for name in ("manifest.json", "n1/manifest.json"):
        world.store.delete(f"{run.output_dir}/a1/{name}")

    _refused(world, run, "a1/manifest.json is gone")


def test_a_manifest_that_is_not_the_pinned_one_is_refused(world) -> None:
    run = world.publish(world.insert_task())
    for name in ("manifest.json", "n1/manifest.json"):
        world.store.put_bytes(f"{run.output_dir}/a1/{name}", b"{}")

    _refused(world, run, "a1/manifest.json is gone or was overwritten")


def test_the_manifest_of_an_older_attempt_is_refused(world) -> None:
    run = world.launch(world.insert_task())
    world.pin(run, world.upload(run, **{"attempt": 7}))

    _refused(world, run, "its attempt is 7, not 1")


def test_a_manifest_of_another_spec_is_refused(world) -> None:
    run = world.launch(world.insert_task())
    world.pin(run, world.upload(run, spec_sha256="f" * 64))

    _refused(world, run, "its spec_sha256 is ")


def test_a_manifest_that_names_files_elsewhere_is_refused(world) -> None:
    from fmdj_cloud.contracts import ManifestFile

    run = world.launch(world.insert_task())
    file = ManifestFile(path="n1/../../a2/n1/signals.h5", role="signals", size=5, sha256="0" * 64)
    world.pin(run, world.upload(run, files=(file,), gui_file=None))

    _refused(world, run, "n1/../../a2/n1/signals.h5")


def test_an_overwritten_spec_is_refused(world) -> None:
    run = world.publish(world.insert_task())
    world.store.put_bytes(f"{run.output_dir}/a1/spec.json", b"{}")

    _refused(world, run, "spec.json was overwritten")


def test_without_a_gui_file_the_folder_of_the_signals_counts(world) -> None:
    key = world.insert_task()
    run = world.publish(key, gui_file=None)

    world.loader().run_pass()

    (directory,) = (world.lab.element.FacemapTask & key).to_arrays("facemap_output_dir")
    assert directory == f"m1/facemap_0/{run.run_id}/a1/n1"


def test_a_store_that_does_not_answer_is_tried_again_later(world, s3_settings: S3Settings) -> None:
    now = [100.0]
    key = world.insert_task()
    run = world.publish(key)
    working = world.store
    dead = s3_settings.model_copy(
        update={"endpoint_url": "http://127.0.0.1:9", "max_attempts": 1, "connect_timeout_s": 0.2}
    )
    world.store = open_store(StorageSettings(s3=dead))
    loader = world.loader(clock=lambda: now[0])
    world.store = working

    assert [result.end for result in loader.run_pass()] == [LoadEnd.LATER]
    assert world.run(run).state is RunState.PUBLISHED
    assert loader.run_pass() == []  # not due yet

    loader._store = working
    now[0] += 11
    assert [result.end for result in loader.run_pass()] == [LoadEnd.LOADED]
