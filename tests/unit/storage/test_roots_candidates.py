from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmdj_cloud.errors import InputError
from fmdj_cloud.storage.roots import candidates

ROOTS = ("s3://lab/videos", "s3://archive")
MAP = {
    "/mnt/lab": "s3://lab/mounted",
    "/mnt/lab/deep/": "s3://deep",
    "Z:\\data": "s3://windows/z",
    "\\\\server\\share": "s3://windows/share",
}


def places(path: str) -> list[str]:
    return candidates(path, video_roots=ROOTS, path_map=MAP)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("m1/a.avi", ["s3://lab/videos/m1/a.avi", "s3://archive/m1/a.avi"]),
        ("./m1//a.avi", ["s3://lab/videos/m1/a.avi", "s3://archive/m1/a.avi"]),
        ("m 1/a+b#2 100%.avi", ["s3://lab/videos/m 1/a+b#2 100%.avi", "s3://archive/m 1/a+b#2 100%.avi"]),
        ("..m1/a..avi", ["s3://lab/videos/..m1/a..avi", "s3://archive/..m1/a..avi"]),
    ],
)
def test_a_relative_path_is_looked_for_under_every_root_in_order(path: str, expected: list[str]) -> None:
    assert places(path) == expected


def test_a_relative_windows_path_is_tried_as_it_stands_first() -> None:
    assert places("m1\\a.avi") == [
        "s3://lab/videos/m1\\a.avi",
        "s3://lab/videos/m1/a.avi",
        "s3://archive/m1\\a.avi",
        "s3://archive/m1/a.avi",
    ]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/mnt/lab/m1/a.avi", "s3://lab/mounted/m1/a.avi"),
        ("/mnt//lab/./m1/a.avi", "s3://lab/mounted/m1/a.avi"),
        ("/mnt/lab/deep/a.avi", "s3://deep/a.avi"),
        ("/mnt/lab/a\\b.avi", "s3://lab/mounted/a\\b.avi"),
        ("Z:\\data\\m1\\a.avi", "s3://windows/z/m1/a.avi"),
        ("z:/Data/m1/A.avi", "s3://windows/z/m1/A.avi"),
        ("\\\\SERVER\\share\\m1\\a.avi", "s3://windows/share/m1/a.avi"),
        ("//server/share/m1/a.avi", "s3://windows/share/m1/a.avi"),
    ],
)
def test_an_absolute_path_is_translated_by_its_longest_prefix(path: str, expected: str) -> None:
    assert places(path) == [expected]


def test_a_whole_drive_can_be_a_prefix() -> None:
    assert candidates("D:\\a\\b.avi", video_roots=(), path_map={"D:": "s3://d"}) == ["s3://d/a/b.avi"]


@pytest.mark.parametrize(
    "path",
    ["/mnt/laboratory/a.avi", "/mnt", "/mnt/lab", "Y:\\data\\a.avi", "\\\\other\\share\\a.avi", "/server/share/a"],
)
def test_an_absolute_path_under_no_prefix_is_refused_and_the_prefixes_are_named(path: str) -> None:
    with pytest.raises(InputError, match=r"path_map \('/mnt/lab'") as caught:
        places(path)
    assert caught.value.check == "path"


@pytest.mark.parametrize("uri", ["s3://lab/videos/m1/a b.avi", "s3://archive/x", "s3://deep/y/z"])
def test_a_uri_inside_a_root_or_a_mapped_folder_stands_for_itself(uri: str) -> None:
    assert places(uri) == [uri]


@pytest.mark.parametrize("uri", ["s3://other/a.avi", "s3://lab/videos2/a.avi", "s3://lab/videos", "file:///etc/passwd"])
def test_a_uri_outside_every_root_is_refused(uri: str) -> None:
    with pytest.raises(InputError, match="outside the pipeline's roots"):
        places(uri)


@pytest.mark.parametrize(
    "path",
    [
        "../secret.avi",
        "m1/../../secret.avi",
        "m1\\..\\..\\secret.avi",
        "/mnt/lab/../secret.avi",
        "/mnt/lab/deep/../../secret.avi",
        "Z:\\data\\..\\secret.avi",
        "\\\\server\\share\\..\\secret.avi",
        "s3://lab/videos/../secret.avi",
        "..",
        ".",
    ],
)
def test_no_path_climbs_out_of_its_root(path: str) -> None:
    with pytest.raises(InputError):
        places(path)


@pytest.mark.parametrize("path", ["\\mnt\\lab\\a.avi", "\\a.avi"])
def test_a_path_from_the_root_of_an_unnamed_drive_is_refused(path: str) -> None:
    with pytest.raises(InputError):
        candidates(path, video_roots=ROOTS, path_map={"Z:\\": "s3://z"})


def test_an_empty_path_is_refused() -> None:
    with pytest.raises(InputError, match="empty"):
        places("")


def test_a_relative_path_without_roots_is_refused() -> None:
    with pytest.raises(InputError, match="video_roots"):
        candidates("a.avi", video_roots=(), path_map=MAP)


@given(st.text(alphabet="ab./\\: Zs3", max_size=24))
def test_whatever_is_in_the_column_every_candidate_lies_below_a_root(path: str) -> None:
    folders = (*ROOTS, *MAP.values())
    try:
        found = places(path)
    except InputError:
        return
    for uri in found:
        assert any(uri.startswith(folder + "/") for folder in folders)
        assert ".." not in uri.split("/")
