"""A task's row names files; none that lies outside of its roots is ever opened, written or made a key.

Links and races in shared folders are in tests/integration/storage/test_file_faults.py, the rules for URIs in
tests/unit/storage/test_uri.py and test_roots_candidates.py.
"""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmdj_cloud.control import plan_import
from fmdj_cloud.control.places import find_video
from fmdj_cloud.errors import FmdjError, InputError
from fmdj_cloud.names import check_nonce
from fmdj_cloud.settings import FileSettings, PipelineSettings
from fmdj_cloud.storage.file import FileStore
from fmdj_cloud.storage.manifests import file_uri


@pytest.fixture
def lab(tmp_path):
    """A shared folder with one video, and a secret beside it; its pipeline and store."""
    root = tmp_path / "videos"
    root.mkdir()
    (root / "cam.avi").write_bytes(b"video")
    (tmp_path / "secret.avi").write_bytes(b"classified")
    (tmp_path / "videos-of-others").mkdir()
    (tmp_path / "videos-of-others" / "cam.avi").write_bytes(b"classified")
    (root / "link.avi").symlink_to(tmp_path / "secret.avi")
    pipeline = PipelineSettings(
        name="lab",
        behavior_schema="facemap",
        video_roots=(f"file://{root}",),
        path_map={"/mnt/lab": f"file://{root}"},
        processed_root=f"file://{tmp_path}/processed",
    )
    return pipeline, FileStore(FileSettings(roots=(root,))), tmp_path


@pytest.mark.parametrize(
    "path",
    [
        "../secret.avi",
        "x/../../secret.avi",
        "./../secret.avi",
        "..\\secret.avi",
        "{tmp}/secret.avi",
        "{tmp}/videos/../secret.avi",
        "{tmp}/videos-of-others/cam.avi",
        "/mnt/lab/../secret.avi",
        "/mnt/labs/cam.avi",
        "file://{tmp}/secret.avi",
        "file://{tmp}/videos/%2e%2e/secret.avi",
        "s3://other-bucket/secret.avi",
        "http://169.254.169.254/latest/meta-data",
        "link.avi",
        "/etc/passwd",
        "/proc/self/environ",
        "cam.avi\0.mp4",
        "",
    ],
)
def test_a_file_path_that_leads_out_of_the_roots_is_refused(lab, path):
    pipeline, store, tmp = lab
    with pytest.raises(FmdjError) as refused:
        find_video(path.replace("{tmp}", str(tmp)), pipeline, store)
    assert "classified" not in refused.value.sentence


def test_the_same_places_named_rightly_are_found(lab):
    pipeline, store, tmp = lab
    for path in ("cam.avi", "/mnt/lab/cam.avi", f"{tmp}/videos/cam.avi"):
        assert find_video(path, pipeline, store).uri == f"file://{tmp}/videos/cam.avi"


@given(st.text(max_size=30))
def test_a_manifests_file_lies_below_its_attempt_or_is_a_whole_uri(path):
    folder = "s3://bucket/processed/m1/facemap_0/svd-0123456789abcdef/a1"
    try:
        uri = file_uri(folder, path)
    except InputError:
        return
    assert "://" in path or (uri.startswith(f"{folder}/") and ".." not in uri.split("/"))


@given(st.text(max_size=40))
def test_a_pods_folder_is_one_plain_name(nonce):
    try:
        check_nonce(nonce)
    except ValueError:
        return
    assert nonce.isascii()
    assert not set(nonce) & set("/.\\ \n")


@pytest.mark.parametrize(
    "given",
    ["../../etc", "m1/../../secret", "/etc", "{tmp}/videos-of-others", "s3://other/x", "file:///etc", "a\0b", "a\nb"],
)
def test_a_folder_to_load_from_lies_in_the_roots(lab, given):
    pipeline, _, tmp = lab
    roots = (*pipeline.video_roots, pipeline.processed_root)
    task = SimpleNamespace(output_dir=given.replace("{tmp}", str(tmp)))
    try:
        places = plan_import._given(task, pipeline)
    except InputError:
        return
    for place in places:
        assert any(place.startswith(f"{root}/") for root in roots), place
        assert ".." not in place.split("/")
