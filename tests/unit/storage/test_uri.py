from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmdj_cloud.errors import ConfigError, InputError
from fmdj_cloud.storage.uri import KEY_MAX_BYTES, join, local_path, relative, scheme, split

segments = st.text(
    st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="/"), min_size=1, max_size=20
).filter(lambda text: text not in (".", ".."))
paths = st.lists(segments, min_size=1, max_size=4).map("/".join)
bases = st.builds(
    lambda bucket, path, slash: f"s3://{bucket}{path and '/'}{path}{slash}",
    st.from_regex(r"[a-z0-9][a-z0-9.-]{2,20}", fullmatch=True),
    st.one_of(st.just(""), paths),
    st.sampled_from(["", "/"]),
)


@given(bases, paths)
def test_what_is_joined_to_a_folder_lies_below_it_and_is_taken_apart_again(base: str, path: str) -> None:
    uri = join(base, path)

    assert relative(uri, base) == path
    bucket, key = split(uri)
    assert f"s3://{bucket}/{key}" == uri
    assert scheme(uri) == "s3"


@given(bases, segments, segments, paths)
def test_a_sibling_whose_name_starts_alike_is_not_below(base: str, name: str, more: str, path: str) -> None:
    assert relative(join(base, name + more, path), join(base, name)) is None


@given(bases, st.lists(paths, min_size=2, max_size=4))
def test_joining_in_steps_is_joining_at_once(base: str, parts: list[str]) -> None:
    stepwise = base
    for part in parts:
        stepwise = join(stepwise, part)

    assert stepwise == join(base, *parts)


@given(bases, st.lists(st.sampled_from(["..", ".", "", "a", "b c"]), min_size=1, max_size=5).map("/".join))
def test_no_path_leads_out_of_its_folder(base: str, path: str) -> None:
    if any(segment in ("", ".", "..") for segment in path.split("/")):
        with pytest.raises(InputError, match="must be relative"):
            join(base, path)
    else:
        assert join(base, path).startswith(base.rstrip("/") + "/")


@pytest.mark.parametrize("part", ["", "/etc/passwd", "../x", "a/../../x", "a//b", "a/", "./a", "a/.."])
def test_parts_that_are_empty_absolute_or_climb_are_refused(part: str) -> None:
    with pytest.raises(InputError):
        join("s3://lab/videos", part)


@pytest.mark.parametrize("part", ["a\nb", "a\x00", "\x7f", "\ud800"])
def test_characters_that_a_listing_cannot_show_are_refused(part: str) -> None:
    with pytest.raises(InputError, match="control characters"):
        join("s3://lab", part)


def test_the_longest_key_is_taken_and_a_longer_one_refused() -> None:
    assert split(join("s3://lab", "é" * (KEY_MAX_BYTES // 2)))[1] == "é" * (KEY_MAX_BYTES // 2)

    with pytest.raises(InputError, match="1024 bytes"):
        join("s3://lab", "é" * (KEY_MAX_BYTES // 2), "x")


@pytest.mark.parametrize("key", ["a b", "a+b", "a#b", "a%20b", "a?b=c", "ü/é", "a//b", "https://x"])
def test_the_key_stands_raw(key: str) -> None:
    assert split(f"s3://lab/{key}") == ("lab", key)


@pytest.mark.parametrize(("uri", "parts"), [("s3://lab", ("lab", "")), ("s3://lab/", ("lab", ""))])
def test_a_bare_bucket_has_an_empty_key(uri: str, parts: tuple[str, str]) -> None:
    assert split(uri) == parts


@pytest.mark.parametrize("uri", ["", "lab/x", "/lab/x", "s3:/lab/x", "s3:///x", "file:///x", "S3://lab/x"])
def test_what_is_no_s3_uri_is_refused(uri: str) -> None:
    with pytest.raises(ConfigError, match="s3://bucket/prefix"):
        split(uri)


def test_a_folder_is_not_below_itself() -> None:
    assert relative("s3://lab/videos/", "s3://lab/videos") is None
    assert relative("s3://lab/videos", "s3://lab/videos") is None


@given(paths)
def test_a_file_uri_is_its_path(path: str) -> None:
    uri = join("file:///data/", path)

    assert local_path(uri) == f"/data/{path}"
    assert relative(uri, "file:///data") == path
    assert scheme(uri) == "file"


@pytest.mark.parametrize("uri", ["file://", "file:///", "file://host/data", "s3://lab/x", "file:data", "/data"])
def test_what_is_no_file_uri_with_an_absolute_path_is_a_matter_of_configuration(uri: str) -> None:
    with pytest.raises(ConfigError, match="file:///data"):
        local_path(uri)


@pytest.mark.parametrize("path", ["a/../b", "..", "./a", "a//b", "a\0b"])
def test_file_uris_that_climb_are_refused(path: str) -> None:
    with pytest.raises(InputError):
        local_path(f"file:///data/{path}")
