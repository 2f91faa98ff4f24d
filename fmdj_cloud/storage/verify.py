"""Does a file hold the bytes that were recorded for it?"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from pathlib import Path

from fmdj_cloud.errors import IntegrityError

_MD5 = re.compile(r"[0-9a-f]{32}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def file_digest(path: Path, algorithm: str = "sha256") -> str:
    """Return the digest of a file as lower-case hex, read in small pieces."""
    with path.open("rb") as file:
        # An ETag's MD5 guards against accidents, not against attackers
        return hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()


def md5_of_etag(etag: str | None) -> str | None:
    """Return an ETag that looks like an MD5 (an upload in one part), None for any other."""
    return etag if etag is not None and _MD5.fullmatch(etag) else None


def sha256_of(checksum: str | None, checksum_type: str | None, metadata: dict[str, str]) -> str | None:
    """Return the SHA-256 that an object carries, as hex.

    Parameters
    ----------
    checksum, checksum_type : str or None
        ``x-amz-checksum-sha256`` (base64) and its type. A composite one, of the parts' checksums, says
        nothing of the whole.
    metadata : dict
        User metadata, in which our uploads keep ``sha256`` (hex).
    """
    if checksum and checksum_type != "COMPOSITE" and "-" not in checksum:
        try:
            raw = base64.b64decode(checksum, validate=True)
        except binascii.Error:
            raw = b""
        if len(raw) == hashlib.sha256().digest_size:
            return raw.hex()
    recorded = metadata.get("sha256", "").strip().lower()
    return recorded if _SHA256.fullmatch(recorded) else None


def verify_file(path: Path, uri: str, *, size: int, sha256: tuple[str | None, ...], md5: str | None) -> None:
    """Compare a downloaded file with everything that is known of it.

    Parameters
    ----------
    path : Path
        The file.
    uri : str
        Where it comes from, for the sentence.
    size : int
        Bytes that it must have.
    sha256 : tuple of (str or None)
        SHA-256 recorded for it, by whomever; every one must match.
    md5 : str or None
        Compared only where there is no SHA-256, which says more.

    Raises
    ------
    IntegrityError
        If something doesn't match.
    """
    actual_size = path.stat().st_size
    if actual_size != size:
        raise IntegrityError(f"{uri} has {actual_size} bytes instead of {size}: upload it again.")
    expected = {digest for digest in sha256 if digest is not None}
    if expected:
        _compare(uri, "SHA-256", file_digest(path), expected)
    elif md5 is not None:
        _compare(uri, "MD5", file_digest(path, "md5"), {md5})


def _compare(uri: str, name: str, actual: str, expected: set[str]) -> None:
    for digest in expected - {actual}:
        raise IntegrityError(f"The bytes of {uri} have {name} {actual} instead of {digest}: upload it again.")
