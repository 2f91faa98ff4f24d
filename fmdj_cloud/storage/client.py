"""The boto3 client, with every S3 setting applied, and its errors in our words."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import boto3
from boto3.exceptions import Boto3Error, S3UploadFailedError
from botocore import exceptions as aws
from botocore.config import Config
from pydantic import SecretStr
from urllib3.exceptions import HTTPError

from fmdj_cloud import __version__
from fmdj_cloud.errors import (
    ConfigError,
    FmdjError,
    IntegrityError,
    ObjectMissingError,
    PreconditionError,
    StorageError,
)
from fmdj_cloud.settings import S3Settings

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_WRONG_CREDENTIALS = frozenset(
    {
        "AccessDenied",
        "AuthorizationHeaderMalformed",
        "Forbidden",
        "InvalidAccessKeyId",
        "InvalidToken",
        "PermanentRedirect",
        "SignatureDoesNotMatch",
        "401",
        "403",
    }
)
_RUN_OUT = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"})
"""Of credentials that were right: whoever starts later finds the next ones."""
_WRONG_CLIENT = (
    aws.NoCredentialsError,
    aws.PartialCredentialsError,
    aws.CredentialRetrievalError,
    aws.ProfileNotFound,
    aws.NoRegionError,
    aws.SSOError,
    aws.ParamValidationError,
    aws.InvalidRegionError,
    aws.UnauthorizedSSOTokenError,
)
"""Errors before or beside any answer that trying again won't mend."""


def make_client(settings: S3Settings) -> S3Client:
    """Return a client of the store.

    Clients are thread-safe, sessions are not: each client has its own session.

    Parameters
    ----------
    settings : S3Settings
        Empty credentials and an empty region come from the AWS chain.

    Raises
    ------
    ConfigError
        If the settings can't be a client's: unknown profile, malformed endpoint, unreadable CA bundle.
    """
    if (settings.access_key_id is None) != (settings.secret_access_key is None):
        raise ConfigError(
            "storage.s3.access_key_id and storage.s3.secret_access_key belong together: set both or neither."
        )
    if settings.ca_bundle is not None and not settings.ca_bundle.is_file():
        raise ConfigError(f"storage.s3.ca_bundle={settings.ca_bundle} is not a file: name the PEM file of your CA.")
    config = Config(
        connect_timeout=settings.connect_timeout_s,
        read_timeout=settings.read_timeout_s,
        # The ranges of several transfers at a time, and a request or two beside them
        max_pool_connections=2 * settings.concurrency + 2,
        request_checksum_calculation=settings.request_checksum_calculation,
        response_checksum_validation=settings.response_checksum_validation,
        retries={"mode": "standard", "total_max_attempts": settings.max_attempts},
        s3={"addressing_style": settings.addressing_style},
        tcp_keepalive=True,
        # A proxy set for the whole machine can't reach a store on the machine itself
        proxies={} if urlsplit(settings.endpoint_url or "").hostname in _LOOPBACK else None,
        user_agent_extra=f"fmdj-cloud/{__version__}",
    )
    try:
        session = boto3.session.Session(
            profile_name=settings.profile,
            region_name=settings.region,
            aws_access_key_id=_reveal(settings.access_key_id),
            aws_secret_access_key=_reveal(settings.secret_access_key),
            aws_session_token=_reveal(settings.session_token),
        )
        return session.client(
            "s3",
            endpoint_url=settings.endpoint_url,
            verify=None if settings.ca_bundle is None else str(settings.ca_bundle),
            config=config,
        )
    except (aws.BotoCoreError, Boto3Error, ValueError, OSError) as error:
        raise ConfigError(f"The settings under storage.s3 don't make an S3 client: {error}.") from error


def _reveal(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()


@contextlib.contextmanager
def translated(uri: str, doing: str) -> Iterator[None]:
    """Turn the errors of boto3 raised inside into ours.

    Parameters
    ----------
    uri : str
        What is asked for.
    doing : str
        Infinitive for the sentence: ``"read"``, ``"write"``, ``"list"``, ``"delete"``.

    Raises
    ------
    ObjectMissingError
        404: the object isn't there.
    PreconditionError
        412: it isn't the version asked for.
    ConfigError
        The bucket, the credentials, the rights or the certificate are wrong.
    StorageError
        Anything else: timeouts, broken connections, 5xx, credentials that have run out.
    """
    try:
        yield
    except FmdjError:
        raise
    except Exception as error:
        ours = translate(error, uri, doing)
        if ours is None:
            raise
        raise ours from error


def translate(error: Exception, uri: str, doing: str) -> FmdjError | None:
    """Return our error for one of boto3's, None for one that isn't."""
    if isinstance(error, aws.ClientError):
        return _answered(error, uri, doing)
    if isinstance(error, S3UploadFailedError) and isinstance(error.__context__, aws.ClientError):
        return _answered(error.__context__, uri, doing)  # s3transfer keeps only the words of what it caught
    if isinstance(error, aws.FlexibleChecksumError):
        return IntegrityError(f"The bytes of {uri} don't match their checksum: {_end(error)} Upload it again.")
    if isinstance(error, _WRONG_CLIENT) or "CERTIFICATE_VERIFY_FAILED" in str(error):
        return ConfigError(
            f"Can't {doing} {uri}: {_end(error)} Check profile, credentials and CA bundle under storage.s3."
        )
    if isinstance(error, Boto3Error | aws.BotoCoreError | HTTPError | ConnectionError | TimeoutError):
        return StorageError(f"Can't {doing} {uri}: {_end(error)} Check that the store is up and reachable.")
    return None


def _answered(error: aws.ClientError, uri: str, doing: str) -> FmdjError:
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    message = str(error.response.get("Error", {}).get("Message", "")) or code
    if code == "NoSuchBucket":
        bucket = uri.split("/")[2]
        return ConfigError(f"Can't {doing} {uri}: there is no bucket {bucket!r}. Create it or correct the URI.")
    if code == "InvalidBucketName":
        return ConfigError(f"Can't {doing} {uri}: {uri.split('/')[2]!r} can't be the name of a bucket.")
    if status == 412 or code in ("PreconditionFailed", "412"):
        return PreconditionError(f"{uri} isn't the version that was asked for: it was replaced meanwhile.")
    if status == 404 or code in ("NoSuchKey", "NoSuchVersion", "NotFound", "404"):
        return ObjectMissingError(f"There is no {uri}: check its path, or upload it.")
    if code in _RUN_OUT:
        return StorageError(
            f"Can't {doing} {uri}: the credentials have run out, the store says {message!r} ({code}). "
            "Replace those under storage.s3, or those in the worker's environment."
        )
    if status in (401, 403) or code in _WRONG_CREDENTIALS:
        return ConfigError(
            f"Can't {doing} {uri}: the store says {message!r} ({code}). "
            f"Check the credentials under storage.s3 and that they have the right to {doing} there "
            f"(without the right to list, a missing object is answered so too)."
        )
    if code in ("BadDigest", "InvalidDigest", "XAmzContentChecksumMismatch", "XAmzContentSHA256Mismatch"):
        return IntegrityError(f"The bytes of {uri} arrived damaged at the store ({code}): upload it again.")
    return StorageError(f"Can't {doing} {uri}: the store says {message!r} ({code}, HTTP {status}). Try again later.")


def _end(error: Exception) -> str:
    return str(error).strip().rstrip(".") + "."
