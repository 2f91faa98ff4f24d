"""The ``s3://`` store, through boto3."""

from __future__ import annotations

import base64
import builtins
import datetime as dt
import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError, FlexibleChecksumError

from fmdj_cloud.errors import ConfigError, IntegrityError, PreconditionError, StorageError
from fmdj_cloud.settings import S3Settings
from fmdj_cloud.storage.base import ObjectInfo, OnBytes
from fmdj_cloud.storage.client import make_client, translated
from fmdj_cloud.storage.download import BROKEN, Body, backoff_s, fetch, local_errors, temporary_beside
from fmdj_cloud.storage.uri import split
from fmdj_cloud.storage.verify import file_digest, md5_of_etag, sha256_of, verify_file

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

_MIB = 1 << 20


class S3Store:
    """Buckets of one S3 endpoint; see :class:`fmdj_cloud.storage.base.Store` for what the methods promise.

    Parameters
    ----------
    settings : S3Settings
    sleep : callable
        Waits between tries, seconds.
    """

    def __init__(self, settings: S3Settings, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._settings = settings
        self._client: S3Client = make_client(settings)
        self._sleep = sleep
        self._transfer = TransferConfig(
            multipart_threshold=settings.part_size_mib * _MIB,
            multipart_chunksize=settings.part_size_mib * _MIB,
            max_concurrency=settings.concurrency,
        )

    def head(self, uri: str, *, version_id: str | None = None) -> ObjectInfo:
        """Describe an object."""
        return _info(uri, self._head(uri, version_id))

    def list(self, prefix_uri: str) -> Iterator[ObjectInfo]:
        """Describe everything below a folder."""
        bucket, key = split(prefix_uri)
        prefix = f"{key.rstrip('/')}/" if key else ""
        with translated(prefix_uri, "list"):
            for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
                for entry in page.get("Contents", ()):
                    if entry["Key"].endswith("/"):
                        continue  # what consoles create to show an empty folder
                    yield ObjectInfo(
                        uri=f"s3://{bucket}/{entry['Key']}",
                        size=entry["Size"],
                        etag=entry["ETag"].strip('"'),
                        modified=_naive(entry["LastModified"]),
                    )

    def get_bytes(
        self, uri: str, *, max_bytes: int, if_match: str | None = None, byte_range: tuple[int, int] | None = None
    ) -> bytes:
        """Read a small object, or a piece of one, into memory."""
        request = _address(uri)
        if if_match is not None:
            request["IfMatch"] = f'"{if_match}"'
        if byte_range is not None:
            start, stop = byte_range
            if stop <= start:
                return b""
            request["Range"] = f"bytes={start}-{stop - 1}"
        with translated(uri, "read"):
            for attempt in range(1, self._settings.max_attempts + 1):
                answer = self._get(request)
                if answer is None:
                    return b""  # the range starts past the end
                try:
                    return _read_body(uri, answer, max_bytes)
                except (*BROKEN, FlexibleChecksumError):
                    if attempt == self._settings.max_attempts:
                        raise
                    self._sleep(backoff_s(attempt))
        raise StorageError(f"Can't read {uri}: storage.s3.max_attempts allows no try.")

    def put_bytes(self, uri: str, data: bytes) -> ObjectInfo:
        """Write a small object."""
        digest = hashlib.sha256(data)
        request: dict[str, Any] = _address(uri) | {"Metadata": {"sha256": digest.hexdigest()}}
        if self._settings.request_checksum_calculation == "when_supported":
            request["ChecksumSHA256"] = base64.b64encode(digest.digest()).decode("ascii")
        else:  # stores that don't know the newer checksums know this one
            md5 = hashlib.md5(data, usedforsecurity=False).digest()
            request["ContentMD5"] = base64.b64encode(md5).decode("ascii")
        with translated(uri, "write"):
            answer = self._client.put_object(Body=data, **request)
        return ObjectInfo(
            uri=uri,
            size=len(data),
            etag=answer["ETag"].strip('"'),
            version_id=_version(answer.get("VersionId")),
            sha256=digest.hexdigest(),
        )

    def download(
        self,
        uri: str,
        path: Path,
        *,
        size: int | None = None,
        etag: str | None = None,
        version_id: str | None = None,
        sha256: str | None = None,
        progress: OnBytes | None = None,
    ) -> None:
        """Copy an object to a local file, in parallel ranges, and verify it."""
        head = self._head(uri, version_id)
        info = _info(uri, head)
        if etag is not None and etag != info.etag:
            raise PreconditionError(
                f"{uri} has ETag {info.etag} instead of {etag}: it was replaced since it was looked at."
            )
        if size is not None and size != info.size:
            raise IntegrityError(f"{uri} has {info.size} bytes instead of {size}: upload it again.")
        request = _address(uri)
        if info.etag is not None:
            request["IfMatch"] = f'"{info.etag}"'
        if info.version_id is not None:
            request["VersionId"] = info.version_id

        def open_range(start: int, stop: int) -> Body:
            answer = self._client.get_object(Range=f"bytes={start}-{stop - 1}", **request)
            sent = answer.get("ContentRange", f"bytes 0-{answer['ContentLength'] - 1}/{answer['ContentLength']}")
            if sent != f"bytes {start}-{stop - 1}/{info.size}":
                answer["Body"].close()
                raise IntegrityError(f"Asked for bytes {start} to {stop - 1} of {uri}, the store sent {sent}.")
            return answer["Body"]

        # An ETag is no MD5 under keys of KMS or of the customer
        plain = not (head.get("ServerSideEncryption", "").startswith("aws:kms") or head.get("SSECustomerAlgorithm"))
        with temporary_beside(path) as temporary, translated(uri, "read"):
            fetch(
                open_range,
                temporary,
                info.size,
                part_size=self._settings.part_size_mib * _MIB,
                concurrency=self._settings.concurrency,
                attempts=self._settings.max_attempts,
                progress=progress,
                sleep=self._sleep,
            )
            verify_file(
                temporary,
                uri,
                size=info.size,
                sha256=(sha256, info.sha256),
                md5=md5_of_etag(info.etag) if plain and self._settings.verify_etag else None,
            )

    def upload(self, path: Path, uri: str, *, progress: OnBytes | None = None) -> ObjectInfo:
        """Copy a local file to the store."""
        bucket, key = split(uri)
        with local_errors(path):
            size = path.stat().st_size
            digest = file_digest(path)
        counter = _Counter(size, progress)
        with translated(uri, "write"), local_errors(path):
            # s3transfer cuts the file into parts, retries each, and aborts the upload if one fails for good
            self._client.upload_file(
                str(path),
                bucket,
                key,
                ExtraArgs={"Metadata": {"sha256": digest}},
                Callback=counter,
                Config=self._transfer,
            )
        info = self.head(uri)
        if (info.size, info.sha256) != (size, digest):
            raise IntegrityError(
                f"{uri} holds {info.size} bytes (SHA-256 {info.sha256}) instead of the {size} ({digest}) sent: "
                f"somebody else writes there, or the store drops metadata."
            )
        return info

    def delete(self, uri: str, *, below: str | None = None) -> None:
        """Delete an object: buckets know no links."""
        with translated(uri, "delete"):
            self._client.delete_object(**_address(uri))

    def unfinished(self, prefix_uri: str) -> Iterator[ObjectInfo]:
        """Describe uploads below a folder that haven't ended."""
        bucket, _ = split(prefix_uri)
        for name, upload_id, begun in self._unfinished(prefix_uri):
            with translated(prefix_uri, "list"):
                pages = self._client.get_paginator("list_parts").paginate(Bucket=bucket, Key=name, UploadId=upload_id)
                size = sum(part["Size"] for page in pages for part in page.get("Parts", ()))
            yield ObjectInfo(uri=f"s3://{bucket}/{name}", size=size, modified=begun)

    def discard_unfinished(self, prefix_uri: str, *, before: dt.datetime | None = None) -> int:
        """Discard what uploads that were cut off have left below a folder."""
        bucket, _ = split(prefix_uri)
        found = [one for one in self._unfinished(prefix_uri) if before is None or (one[2] and one[2] < before)]
        with translated(prefix_uri, "delete"):
            for name, upload_id, _ in found:
                self._client.abort_multipart_upload(Bucket=bucket, Key=name, UploadId=upload_id)
        return len(found)

    def _unfinished(self, prefix_uri: str) -> builtins.list[tuple[str, str, dt.datetime | None]]:
        """Return (key, upload id, when it was begun where the store says it) of the uploads below a folder."""
        bucket, key = split(prefix_uri)
        with translated(prefix_uri, "list"):
            pages = self._client.get_paginator("list_multipart_uploads").paginate(
                Bucket=bucket, Prefix=f"{key.rstrip('/')}/" if key else ""
            )
            return [
                (upload["Key"], upload["UploadId"], _naive(upload["Initiated"]) if "Initiated" in upload else None)
                for page in pages
                for upload in page.get("Uploads", ())
            ]

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _head(self, uri: str, version_id: str | None) -> dict[str, Any]:
        request = _address(uri)
        if version_id is not None:
            request["VersionId"] = version_id
        checksum: dict[str, Any] = {"ChecksumMode": "ENABLED"} if self._validates else {}
        with translated(uri, "read"):
            try:
                return dict(self._client.head_object(**request, **checksum))
            except ClientError as error:
                if not str(error.response.get("Error", {}).get("Code", "")).isdigit():
                    raise
            # An answer to HEAD has no body that could say why; one to GET tells a missing bucket from a
            # missing object, and an expired token from a missing right
            self._client.get_object(Range="bytes=0-0", **request)["Body"].close()
            return dict(self._client.head_object(**request, **checksum))

    @property
    def _validates(self) -> bool:
        return self._settings.response_checksum_validation == "when_supported"

    def _get(self, request: dict[str, Any]) -> dict[str, Any] | None:
        try:
            return dict(self._client.get_object(**request))
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in ("InvalidRange", "416"):
                return None
            raise


def _read_body(uri: str, answer: dict[str, Any], max_bytes: int) -> bytes:
    body = answer["Body"]
    try:
        if answer["ContentLength"] > max_bytes:
            raise IntegrityError(f"{uri} has {answer['ContentLength']} bytes, more than the {max_bytes} it may have.")
        return bytes(body.read())
    finally:
        body.close()


class _Counter:
    """Turns s3transfer's increments, which come from many threads, into bytes done."""

    def __init__(self, size: int, progress: OnBytes | None) -> None:
        self._size = size
        self._progress = progress
        self._done = 0
        self._counting = threading.Lock()

    def __call__(self, count: int) -> None:
        with self._counting:
            self._done += count
            if self._progress is not None:
                self._progress(self._done, self._size)


def _address(uri: str) -> dict[str, Any]:
    bucket, key = split(uri)
    if not key:
        raise ConfigError(f"{uri!r} names a bucket, not an object in it: add the path.")
    return {"Bucket": bucket, "Key": key}


def _info(uri: str, head: dict[str, Any]) -> ObjectInfo:
    etag = head.get("ETag")
    return ObjectInfo(
        uri=uri,
        size=head["ContentLength"],
        etag=etag.strip('"') if etag else None,
        version_id=_version(head.get("VersionId")),
        sha256=sha256_of(head.get("ChecksumSHA256"), head.get("ChecksumType"), head.get("Metadata", {})),
        modified=_naive(head["LastModified"]),
    )


def _version(version_id: str | None) -> str | None:
    # "null" is what a bucket without versions calls every one of them: it identifies nothing
    return None if version_id == "null" else version_id


def _naive(time: dt.datetime) -> dt.datetime:
    return time.astimezone(dt.UTC).replace(tzinfo=None)
