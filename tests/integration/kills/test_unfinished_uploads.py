"""What uploads that were cut off leave behind can be discarded, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from fmdj_cloud.settings import S3Settings, StorageSettings
from fmdj_cloud.storage import Store, open_store
from fmdj_cloud.storage.client import make_client
from fmdj_cloud.storage.uri import split

pytestmark = pytest.mark.integration


def test_an_upload_in_parts_that_was_cut_off_is_discarded(store: Store, s3_settings: S3Settings, bucket: str) -> None:
    client = make_client(s3_settings)
    name = split(bucket)[0]
    for key in ("run/a1/pod/big", "run/a10/pod/big"):
        client.create_multipart_upload(Bucket=name, Key=key)
    store.put_bytes(f"{bucket}/run/a1/pod/done", b"done")

    assert store.discard_unfinished(f"{bucket}/run/a1") == 1
    assert store.discard_unfinished(f"{bucket}/run/a1") == 0

    left = client.list_multipart_uploads(Bucket=name)["Uploads"]
    client.close()
    assert [upload["Key"] for upload in left] == ["run/a10/pod/big"]
    assert store.get_bytes(f"{bucket}/run/a1/pod/done", max_bytes=9) == b"done"


def test_a_half_written_file_of_a_shared_folder_is_discarded(tmp_path: Path) -> None:
    store = open_store(StorageSettings(file={"roots": (tmp_path,)}))
    uri = f"file://{tmp_path}/run/a1"
    store.put_bytes(f"{uri}/pod/done", b"done")
    half = tmp_path / "run" / "a1" / "pod" / ".fmdj-0123456789abcdef.part"
    half.write_bytes(b"ha")

    assert store.discard_unfinished(uri) == 1
    assert store.discard_unfinished(f"file://{tmp_path}/run/a2") == 0

    assert not half.exists()
    assert store.get_bytes(f"{uri}/pod/done", max_bytes=9) == b"done"
