from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import pytest

from fmdj_cloud.errors import IntegrityError
from fmdj_cloud.storage.verify import file_digest, md5_of_etag, sha256_of, verify_file

DATA = b"frames"
SHA256 = hashlib.sha256(DATA).hexdigest()
MD5 = hashlib.md5(DATA).hexdigest()
BASE64 = base64.b64encode(hashlib.sha256(DATA).digest()).decode()
OTHER = "0" * 64


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "v").write_bytes(DATA)
    return tmp_path / "v"


def test_a_digest_is_lower_case_hex(path: Path) -> None:
    assert file_digest(path) == SHA256
    assert file_digest(path, "md5") == MD5


@pytest.mark.parametrize(
    ("etag", "md5"), [(MD5, MD5), (f"{MD5}-2", None), (None, None), ("abc", None), (MD5.upper(), None)]
)
def test_only_an_etag_of_one_part_is_an_md5(etag: str | None, md5: str | None) -> None:
    assert md5_of_etag(etag) == md5


@pytest.mark.parametrize(
    ("checksum", "kind", "metadata", "expected"),
    [
        (BASE64, "FULL_OBJECT", {}, SHA256),
        (BASE64, None, {}, SHA256),
        (BASE64, "FULL_OBJECT", {"sha256": OTHER}, SHA256),
        (BASE64, "COMPOSITE", {}, None),
        (BASE64 + "-2", None, {}, None),
        (BASE64, "COMPOSITE", {"sha256": OTHER}, OTHER),
        ("???", None, {}, None),
        (None, None, {"sha256": SHA256.upper()}, SHA256),
        (None, None, {"sha256": "short"}, None),
        (None, None, {}, None),
    ],
)
def test_the_sha256_that_an_object_carries(
    checksum: str | None, kind: str | None, metadata: dict[str, str], expected: str | None
) -> None:
    assert sha256_of(checksum, kind, metadata) == expected


def test_bytes_that_match_pass(path: Path) -> None:
    verify_file(path, "s3://b/v", size=len(DATA), sha256=(SHA256, None), md5=MD5)
    verify_file(path, "s3://b/v", size=len(DATA), sha256=(None, None), md5=None)


def test_a_sha256_that_matches_outweighs_an_etag_that_is_no_md5_after_all(path: Path) -> None:
    verify_file(path, "s3://b/v", size=len(DATA), sha256=(SHA256,), md5="0" * 32)


@pytest.mark.parametrize(
    ("size", "sha256", "md5", "word"),
    [
        (7, (SHA256,), MD5, "6 bytes instead of 7"),
        (6, (SHA256, OTHER), None, "SHA-256"),
        (6, (OTHER, None), None, "SHA-256"),
        (6, (None,), "0" * 32, "MD5"),
    ],
)
def test_bytes_that_do_not_match_are_refused(
    path: Path, size: int, sha256: tuple[str | None, ...], md5: str | None, word: str
) -> None:
    with pytest.raises(IntegrityError, match=word):
        verify_file(path, "s3://b/v", size=size, sha256=sha256, md5=md5)
