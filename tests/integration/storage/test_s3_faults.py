"""What happens when objects change, bytes are damaged and connections break."""

from __future__ import annotations

import datetime as dt
import ipaddress
import socket
import ssl
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from fmdj_cloud.errors import (
    ConfigError,
    IntegrityError,
    ObjectMissingError,
    PreconditionError,
    StoppedError,
    StorageError,
)
from fmdj_cloud.settings import S3Settings
from fmdj_cloud.storage import Store
from fmdj_cloud.storage.client import make_client
from fmdj_cloud.storage.s3 import S3Store
from fmdj_cloud.storage.uri import split

pytestmark = pytest.mark.integration

Exchange = Wire = Any
"""Of this folder's conftest, which can't be imported."""


@pytest.fixture
def wired(wired_settings: S3Settings) -> S3Store:
    return S3Store(wired_settings, sleep=lambda seconds: None)


@pytest.fixture
def uploaded(store: Store, bucket: str, video: Path) -> str:
    return store.upload(video, f"{bucket}/video.avi").uri


def put_bare(settings: S3Settings, uri: str, data: bytes) -> None:
    """Write an object as other programs do, without a SHA-256."""
    name, key = split(uri)
    make_client(settings).put_object(Bucket=name, Key=key, Body=data)


# --- replaced objects


def test_an_object_replaced_since_it_was_looked_at_is_refused(store: Store, bucket: str, folder: Path) -> None:
    planned = store.put_bytes(f"{bucket}/v", b"planned")
    store.put_bytes(f"{bucket}/v", b"changed")

    with pytest.raises(PreconditionError, match="replaced"):
        store.download(planned.uri, folder / "v", etag=planned.etag)
    with pytest.raises(PreconditionError, match="replaced"):
        store.get_bytes(planned.uri, max_bytes=100, if_match=planned.etag)

    assert list(folder.iterdir()) == []


def test_an_object_replaced_while_it_comes_down_is_refused_and_leaves_nothing(
    wired_settings: S3Settings, store: Store, uploaded: str, folder: Path
) -> None:
    slow = S3Store(wired_settings.model_copy(update={"concurrency": 1}))
    replaced = []

    def replace_once(done: int, total: int) -> None:
        if not replaced:
            replaced.append(store.put_bytes(uploaded, b"x" * total))

    with pytest.raises(PreconditionError, match="replaced"):
        slow.download(uploaded, folder / "v", progress=replace_once)

    assert list(folder.iterdir()) == []


def test_an_object_deleted_while_it_comes_down_is_missing_and_leaves_nothing(
    wired_settings: S3Settings, store: Store, uploaded: str, folder: Path
) -> None:
    slow = S3Store(wired_settings.model_copy(update={"concurrency": 1}))

    with pytest.raises(ObjectMissingError):
        slow.download(uploaded, folder / "v", progress=lambda done, total: store.delete(uploaded))

    assert list(folder.iterdir()) == []


def test_every_range_demands_the_version_of_the_plan(
    wired: S3Store, wire: Wire, shared_video: str, folder: Path
) -> None:
    etag = wired.head(shared_video).etag

    wired.download(shared_video, folder / "v", etag=etag)

    ranges = [exchange for exchange in wire.exchanges if exchange.asks_for_range]
    assert sorted(exchange.request_headers["range"] for exchange in ranges) == sorted(
        ["bytes=0-5242879", "bytes=5242880-10485759", "bytes=10485760-12582911"]
    )
    assert {exchange.request_headers["if-match"] for exchange in ranges} == {f'"{etag}"'}


# --- damaged bytes


def flip_a_bit(exchange: Exchange) -> None:
    if exchange.asks_for_range and len(exchange.body) > 100:
        damaged = bytearray(exchange.body)
        damaged[50] ^= 1
        exchange.body = bytes(damaged)


def test_bytes_damaged_on_the_way_are_found_by_the_recorded_sha256(
    wired: S3Store, wire: Wire, shared_video: str, folder: Path
) -> None:
    wire.fault = flip_a_bit
    (folder / "v").write_bytes(b"what was there before")

    with pytest.raises(IntegrityError, match="SHA-256"):
        wired.download(shared_video, folder / "v")

    assert [path.name for path in folder.iterdir()] == ["v"]
    assert (folder / "v").read_bytes() == b"what was there before"


def test_bytes_damaged_on_the_way_are_found_by_an_etag_that_is_an_md5(
    wired: S3Store, wire: Wire, s3_settings: S3Settings, bucket: str, folder: Path
) -> None:
    put_bare(s3_settings, f"{bucket}/v", b"frames" * 1000)
    wire.fault = flip_a_bit

    with pytest.raises(IntegrityError, match="MD5"):
        wired.download(f"{bucket}/v", folder / "v")

    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    "header",
    [("x-amz-server-side-encryption", "aws:kms"), ("x-amz-server-side-encryption-customer-algorithm", "AES256")],
)
def test_an_etag_is_no_md5_under_a_key_of_kms_or_of_the_customer(
    wired: S3Store, wire: Wire, s3_settings: S3Settings, bucket: str, folder: Path, header: tuple[str, str]
) -> None:
    put_bare(s3_settings, f"{bucket}/v", b"frames" * 1000)

    def encrypted(exchange: Exchange) -> None:
        other = "f" * 32
        exchange.headers = [(k, f'"{other}"' if k.lower() == "etag" else v) for k, v in exchange.headers] + [header]

    def without_condition(exchange: Exchange) -> bool:
        exchange.request_headers.pop("if-match", None)
        return False

    wire.fault, wire.before = encrypted, without_condition

    wired.download(f"{bucket}/v", folder / "v")

    assert (folder / "v").read_bytes() == b"frames" * 1000


def test_etags_of_a_store_that_makes_them_up_can_be_ignored(
    wired_settings: S3Settings, wire: Wire, s3_settings: S3Settings, bucket: str, folder: Path
) -> None:
    put_bare(s3_settings, f"{bucket}/v", b"frames" * 1000)
    wire.fault = flip_a_bit

    S3Store(wired_settings.model_copy(update={"verify_etag": False})).download(f"{bucket}/v", folder / "v")

    assert (folder / "v").stat().st_size == 6000


def test_a_wrong_sha256_on_the_object_is_found(
    store: Store, s3_settings: S3Settings, bucket: str, folder: Path
) -> None:
    name, _ = split(bucket)
    make_client(s3_settings).put_object(Bucket=name, Key="v", Body=b"frames", Metadata={"sha256": "0" * 64})

    with pytest.raises(IntegrityError, match="SHA-256"):
        store.download(f"{bucket}/v", folder / "v")

    assert list(folder.iterdir()) == []


def test_what_the_caller_demands_counts_too(store: Store, bucket: str, folder: Path) -> None:
    info = store.put_bytes(f"{bucket}/v", b"frames")

    with pytest.raises(IntegrityError, match="SHA-256"):
        store.download(info.uri, folder / "v", sha256="0" * 64)
    with pytest.raises(IntegrityError, match="6 bytes instead of 7"):
        store.download(info.uri, folder / "v", size=7)

    assert list(folder.iterdir()) == []


def test_a_store_that_ignores_ranges_is_found_out(wired: S3Store, wire: Wire, shared_video: str, folder: Path) -> None:
    def whole(exchange: Exchange) -> None:
        if exchange.asks_for_range:
            exchange.status = 200
            exchange.headers = [(k, v) for k, v in exchange.headers if k.lower() != "content-range"]

    wire.fault = whole

    with pytest.raises(IntegrityError, match="the store sent"):
        wired.download(shared_video, folder / "v")

    assert list(folder.iterdir()) == []


def test_an_upload_that_arrives_damaged_is_found(wired: S3Store, wire: Wire, bucket: str, video: Path) -> None:
    def other_size(exchange: Exchange) -> None:
        if exchange.method == "HEAD":
            exchange.headers = [(k, "7" if k.lower() == "content-length" else v) for k, v in exchange.headers]

    wire.fault = other_size

    with pytest.raises(IntegrityError, match="holds 7 bytes"):
        wired.upload(video, f"{bucket}/v")


# --- broken connections


def test_a_range_whose_connection_breaks_is_fetched_again_from_there(
    wired: S3Store, wire: Wire, shared_video: str, folder: Path, video: Path
) -> None:
    def cut_twice(exchange: Exchange) -> None:
        if exchange.asks_for_range and exchange.number < 2:
            exchange.cut_after = 1 << 20

    wire.fault = cut_twice

    wired.download(shared_video, folder / "v")

    assert (folder / "v").read_bytes() == video.read_bytes()
    starts = sorted(int(e.request_headers["range"][6:].split("-")[0]) for e in wire.exchanges if e.asks_for_range)
    assert starts == sorted([0, 1 << 20, 5 << 20, 6 << 20, 10 << 20])


def test_a_connection_that_always_breaks_is_a_storage_failure_and_leaves_nothing(
    wired: S3Store, wire: Wire, shared_video: str, folder: Path
) -> None:
    wire.fault = lambda exchange: setattr(exchange, "cut_after", 1000 if exchange.asks_for_range else None)

    with pytest.raises(StorageError, match="Check that the store is up"):
        wired.download(shared_video, folder / "v")
    with pytest.raises(StorageError):
        wired.get_bytes(shared_video, max_bytes=1 << 30, byte_range=(0, 5000))

    assert list(folder.iterdir()) == []


def test_a_small_read_whose_connection_breaks_is_tried_again(wired: S3Store, wire: Wire, shared_video: str) -> None:
    def cut_once(exchange: Exchange) -> None:
        if exchange.method == "GET" and exchange.number == 0:
            exchange.cut_after = 3

    wire.fault = cut_once

    assert len(wired.get_bytes(shared_video, max_bytes=10, byte_range=(0, 10))) == 10


def test_a_server_error_that_passes_is_not_noticed(wired: S3Store, wire: Wire, shared_video: str, folder: Path) -> None:
    def busy_once(exchange: Exchange) -> None:
        if exchange.number == 0 and exchange.method in ("GET", "HEAD"):
            exchange.answer(503, "SlowDown")

    wire.fault = busy_once

    wired.download(shared_video, folder / "v")

    assert (folder / "v").stat().st_size == 12 << 20


def test_a_server_error_that_stays_is_a_storage_failure(
    wired_settings: S3Settings, wire: Wire, shared_video: str
) -> None:
    wire.fault = lambda exchange: exchange.answer(500, "InternalError")

    with pytest.raises(StorageError, match=r"InternalError, HTTP 500"):
        S3Store(wired_settings.model_copy(update={"max_attempts": 1})).get_bytes(shared_video, max_bytes=1)


def test_a_silent_server_is_a_storage_failure(wired_settings: S3Settings, wire: Wire, shared_video: str) -> None:
    wire.fault = lambda exchange: setattr(exchange, "delay_s", 1.0)

    with pytest.raises(StorageError, match="timeout"):
        S3Store(wired_settings.model_copy(update={"max_attempts": 1, "read_timeout_s": 0.2})).head(shared_video)


def test_a_store_that_is_not_there_is_a_storage_failure(s3_settings: S3Settings) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{taken.getsockname()[1]}"

        with pytest.raises(StorageError, match="Check that the store is up and reachable"):
            S3Store(s3_settings.model_copy(update={"endpoint_url": nobody, "max_attempts": 1})).head("s3://lab/x")


def test_rights_that_are_missing_are_a_matter_of_configuration(
    wired: S3Store, wire: Wire, uploaded: str, folder: Path, video: Path
) -> None:
    wire.fault = lambda exchange: exchange.answer(403, "AccessDenied")

    for call in (
        lambda: wired.head(uploaded),
        lambda: wired.get_bytes(uploaded, max_bytes=1),
        lambda: wired.download(uploaded, folder / "v"),
        lambda: wired.upload(video, uploaded),
        lambda: wired.put_bytes(uploaded, b"x"),
        lambda: list(wired.list(uploaded)),
        lambda: wired.delete(uploaded),
    ):
        with pytest.raises(ConfigError, match=r"storage\.s3"):
            call()


def test_a_token_that_has_run_out_is_told_even_where_the_answer_has_no_body(
    wired: S3Store, wire: Wire, shared_video: str
) -> None:
    def expired(exchange: Exchange) -> None:
        exchange.answer(400, "ExpiredToken")
        if exchange.method == "HEAD":
            exchange.body = b""

    wire.fault = expired

    with pytest.raises(StorageError, match=r"have run out.*ExpiredToken"):
        wired.head(shared_video)


def test_a_download_can_be_stopped_at_once_though_a_connection_is_silent(
    wired: S3Store, wire: Wire, shared_video: str, folder: Path
) -> None:
    def second_is_silent(exchange: Exchange) -> None:
        if exchange.asks_for_range and "bytes=0-" not in exchange.request_headers["range"]:
            exchange.delay_s = 3

    def stop(done: int, total: int) -> None:
        raise StoppedError("Asked to stop.")

    wire.fault = second_is_silent
    began = time.monotonic()

    with pytest.raises(StoppedError):
        wired.download(shared_video, folder / "v", progress=stop)

    assert time.monotonic() - began < 2.5
    assert list(folder.iterdir()) == []


# --- uploads


def open_uploads(settings: S3Settings, bucket: str) -> list[object]:
    return list(make_client(settings).list_multipart_uploads(Bucket=split(bucket)[0]).get("Uploads", ()))


def test_an_upload_whose_part_fails_is_aborted(
    wired: S3Store, wire: Wire, store: Store, s3_settings: S3Settings, bucket: str, video: Path
) -> None:
    def second_part_fails(exchange: Exchange) -> None:
        if exchange.method == "PUT" and "partNumber=2" in exchange.path:
            exchange.answer(500, "InternalError")

    wire.fault = second_part_fails

    with pytest.raises(StorageError):
        wired.upload(video, f"{bucket}/v")

    assert any("partNumber=1" in exchange.path for exchange in wire.exchanges)
    assert open_uploads(s3_settings, bucket) == []
    assert list(store.list(bucket)) == []


def test_an_upload_that_is_stopped_is_aborted(
    wired: S3Store, store: Store, s3_settings: S3Settings, bucket: str, video: Path
) -> None:
    def stop(done: int, total: int) -> None:
        if done > 6 << 20:
            raise StoppedError("Asked to stop.")

    with pytest.raises(StoppedError):
        wired.upload(video, f"{bucket}/v", progress=stop)

    assert open_uploads(s3_settings, bucket) == []
    assert list(store.list(bucket)) == []


def checksum_headers(wire: Wire) -> set[str]:
    names = {name for exchange in wire.exchanges for name in exchange.request_headers}
    return {name for name in names if name.startswith(("x-amz-checksum", "x-amz-sdk-checksum", "x-amz-trailer"))}


def test_stores_that_refuse_the_newer_checksums_see_none(
    wired_settings: S3Settings, wire: Wire, bucket: str, video: Path, folder: Path
) -> None:
    old = S3Store(
        wired_settings.model_copy(
            update={
                "request_checksum_calculation": "when_required",
                "response_checksum_validation": "when_required",
            }
        )
    )

    info = old.upload(video, f"{bucket}/v")
    old.download(info.uri, folder / "v", etag=info.etag)
    old.put_bytes(f"{bucket}/small", b"small")
    old.get_bytes(f"{bucket}/small", max_bytes=5)

    assert checksum_headers(wire) == set()
    assert info.sha256 is not None


def test_other_stores_check_what_they_are_sent(
    wired: S3Store, wire: Wire, bucket: str, video: Path, folder: Path
) -> None:
    wired.upload(video, f"{bucket}/v")
    wired.put_bytes(f"{bucket}/small", b"small")

    parts = [exchange for exchange in wire.exchanges if "partNumber" in exchange.path]
    assert len(parts) == 3
    for part in parts:
        assert any(name.startswith(("x-amz-checksum", "x-amz-trailer")) for name in part.request_headers)
    assert "x-amz-checksum-sha256" in checksum_headers(wire)


# --- private certificate authority


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that signs itself, with its key in one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "lab store")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "store.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path


def test_a_store_with_a_private_authority_is_trusted_if_its_bundle_is_named(
    wire: Wire, serve_wire: Any, s3_settings: S3Settings, store: Store, bucket: str, certificate: Path
) -> None:
    uri = store.put_bytes(f"{bucket}/v", b"frames").uri
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with serve_wire(wire, context) as endpoint:
        settings = s3_settings.model_copy(update={"endpoint_url": endpoint, "max_attempts": 1})

        trusting = S3Store(settings.model_copy(update={"ca_bundle": certificate}))
        assert trusting.get_bytes(uri, max_bytes=10) == b"frames"
        assert trusting.put_bytes(f"{bucket}/w", b"more").sha256 == store.head(f"{bucket}/w").sha256

        with pytest.raises(ConfigError, match="CA bundle"):
            S3Store(settings).get_bytes(uri, max_bytes=10)
