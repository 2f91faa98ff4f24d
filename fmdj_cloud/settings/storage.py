"""How to reach the object stores."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from fmdj_cloud.settings.base import Section


class S3Settings(Section):
    """How to reach the object store."""

    endpoint_url: str | None = Field(None, description="Endpoint of an S3-compatible store; empty is AWS.")
    region: str | None = Field(None, description="Region; empty asks the AWS chain.")
    addressing_style: Literal["auto", "path", "virtual"] = Field(
        "auto", description="Bucket in the path or in the host name; most on-prem stores need `path`."
    )
    profile: str | None = Field(None, description="Profile of the AWS configuration.")
    access_key_id: SecretStr | None = Field(None, description="Key id; empty asks the AWS chain, which refreshes.")
    secret_access_key: SecretStr | None = Field(None, description="Secret key.")
    session_token: SecretStr | None = Field(None, description="Session token of temporary credentials.")
    request_checksum_calculation: Literal["when_supported", "when_required"] = Field(
        "when_supported", description="Checksums on requests; some S3-compatible stores need `when_required`."
    )
    response_checksum_validation: Literal["when_supported", "when_required"] = Field(
        "when_supported", description="Validation of checksums on responses; likewise."
    )
    verify_etag: bool = Field(
        True, description="Compare an ETag that looks like an MD5 with the bytes; off for stores where it isn't one."
    )
    part_size_mib: Annotated[int, Field(ge=5, le=5120)] = Field(
        16, description="Part of a transfer, MiB. Memory of a transfer is at most part size x concurrency."
    )
    concurrency: Annotated[int, Field(ge=1, le=64)] = Field(
        8, description="Parallel parts of a transfer: 8 fill a 10 Gbit/s link without starving the decoder."
    )
    max_attempts: Annotated[int, Field(ge=1, le=20)] = Field(
        8, description="Tries of one request, with backoff: a store that restarts is back within these."
    )
    connect_timeout_s: Annotated[float, Field(gt=0)] = Field(10, description="Time to connect, seconds.")
    read_timeout_s: Annotated[float, Field(gt=0)] = Field(60, description="Silence on a connection, seconds.")
    ca_bundle: Path | None = Field(None, description="PEM file of a private certificate authority.")

    @field_validator("endpoint_url")
    @classmethod
    def _names_nobody(cls, url: str | None) -> str | None:
        if url is not None and "@" in urlsplit(url).netloc:
            raise ValueError(
                "it holds a user or a password, and is shown wherever settings are: set access_key_id and "
                "secret_access_key instead"
            )
        return url


class FileSettings(Section):
    """Folders that every machine mounts under the same path: NFS, a shared volume."""

    roots: tuple[Path, ...] = Field(
        (), description="Folders that `file://` URIs may lie in; empty takes the folders that the pipelines name."
    )
    inodes: bool = Field(
        True, description="A file with another inode is another file; off for mounts that number them anew."
    )
    concurrency: Annotated[int, Field(ge=1, le=64)] = Field(
        4, description="Parallel reads of one file: a file server answers several sooner than one."
    )

    @field_validator("roots")
    @classmethod
    def _absolute(cls, roots: tuple[Path, ...]) -> tuple[Path, ...]:
        for root in roots:
            if not root.is_absolute() or ".." in root.parts or root == Path("/"):
                raise ValueError(f"{root} is not an absolute path of a folder below /")
        return roots


class StorageSettings(Section):
    """The object stores."""

    s3: S3Settings = Field(default_factory=S3Settings, description="The `s3://` store.")
    file: FileSettings = Field(default_factory=FileSettings, description="The `file://` store.")
