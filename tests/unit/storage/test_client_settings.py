from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from botocore import exceptions as aws
from pydantic import SecretStr

from fmdj_cloud.errors import (
    ConfigError,
    IntegrityError,
    ObjectMissingError,
    PreconditionError,
    StorageError,
)
from fmdj_cloud.settings import S3Settings, StorageSettings
from fmdj_cloud.storage import open_store
from fmdj_cloud.storage.client import make_client, translate, translated


def test_every_setting_reaches_the_client() -> None:
    client = make_client(
        S3Settings(
            endpoint_url="https://store.lab:9000",
            region="eu-x",
            addressing_style="path",
            access_key_id=SecretStr("id"),
            secret_access_key=SecretStr("secret"),
            session_token=SecretStr("token"),
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            concurrency=3,
            max_attempts=4,
            connect_timeout_s=5,
            read_timeout_s=6,
        )
    )

    config: Any = client.meta.config
    assert client.meta.endpoint_url == "https://store.lab:9000"
    assert client.meta.region_name == "eu-x"
    assert config.s3["addressing_style"] == "path"
    assert config.request_checksum_calculation == "when_required"
    assert config.response_checksum_validation == "when_required"
    assert config.retries["total_max_attempts"] == 4
    assert (config.connect_timeout, config.read_timeout) == (5, 6)
    assert config.max_pool_connections >= 3
    credentials: Any = client._request_signer._credentials
    assert (credentials.access_key, credentials.secret_key, credentials.token) == ("id", "secret", "token")


def test_credentials_left_empty_come_from_the_aws_chain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "from-the-chain")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")

    client: Any = make_client(S3Settings())

    assert client._request_signer._credentials.access_key == "from-the-chain"


def test_a_store_on_this_machine_is_not_looked_for_behind_a_proxy() -> None:
    client: Any = make_client(S3Settings(endpoint_url="http://127.0.0.1:9"))
    assert client.meta.config.proxies == {}

    client = make_client(S3Settings(endpoint_url="http://store.lab"))
    assert client.meta.config.proxies is None


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"access_key_id": "id"}, "belong together"),
        ({"secret_access_key": "secret"}, "belong together"),
        ({"profile": "nobody-has-this"}, "nobody-has-this"),
        ({"endpoint_url": "not a url"}, "not a url"),
        ({"ca_bundle": Path("/nowhere/ca.pem")}, "/nowhere/ca.pem"),
    ],
)
def test_settings_that_make_no_client_are_named(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        make_client(S3Settings(**settings))


@pytest.mark.parametrize("uri", ["gs://lab/x", "no uri"])
def test_a_uri_that_no_store_serves_is_a_matter_of_configuration(uri: str) -> None:
    store = open_store(StorageSettings())

    with pytest.raises(ConfigError, match="s3://"):
        store.head(uri)


def test_a_bucket_alone_is_no_object() -> None:
    with pytest.raises(ConfigError, match="add the path"):
        open_store(StorageSettings()).head("s3://lab")


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (404, "NoSuchKey", ObjectMissingError),
        (404, "404", ObjectMissingError),
        (404, "NoSuchVersion", ObjectMissingError),
        (404, "NoSuchBucket", ConfigError),
        (400, "InvalidBucketName", ConfigError),
        (412, "PreconditionFailed", PreconditionError),
        (403, "AccessDenied", ConfigError),
        (403, "403", ConfigError),
        (403, "SignatureDoesNotMatch", ConfigError),
        (403, "InvalidAccessKeyId", ConfigError),
        (400, "ExpiredToken", StorageError),
        (401, "ExpiredToken", StorageError),
        (403, "RequestExpired", StorageError),
        (301, "PermanentRedirect", ConfigError),
        (400, "BadDigest", IntegrityError),
        (503, "SlowDown", StorageError),
        (500, "InternalError", StorageError),
    ],
)
def test_answers_of_the_store_in_our_words(status: int, code: str, expected: type[Exception]) -> None:
    answer: Any = {"Error": {"Code": code, "Message": "said so"}, "ResponseMetadata": {"HTTPStatusCode": status}}

    error = translate(aws.ClientError(answer, "GetObject"), "s3://lab/a.avi", "read")

    assert type(error) is expected
    assert "s3://lab/a.avi" in str(error)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (aws.NoCredentialsError(), ConfigError),
        (aws.SSLError(endpoint_url="https://x", error="CERTIFICATE_VERIFY_FAILED"), ConfigError),
        (aws.SSLError(endpoint_url="https://x", error="EOF"), StorageError),
        (aws.EndpointConnectionError(endpoint_url="https://x"), StorageError),
        (aws.ReadTimeoutError(endpoint_url="https://x"), StorageError),
        (aws.IncompleteReadError(actual_bytes=1, expected_bytes=2), StorageError),
        (aws.FlexibleChecksumError(error_msg="differs"), IntegrityError),
        (ConnectionResetError("reset"), StorageError),
    ],
)
def test_errors_without_an_answer_in_our_words(error: Exception, expected: type[Exception]) -> None:
    assert type(translate(error, "s3://lab/a.avi", "read")) is expected


def test_other_errors_pass_through_untouched() -> None:
    with pytest.raises(ZeroDivisionError), translated("s3://lab/a.avi", "read"):
        raise ZeroDivisionError

    ours = ObjectMissingError("gone")
    with pytest.raises(ObjectMissingError) as caught, translated("s3://lab/a.avi", "read"):
        raise ours
    assert caught.value is ours
