"""A private S3 API."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import SecretStr

from fmdj_cloud.demo import guard
from fmdj_cloud.demo.servers.guarded import guarded
from fmdj_cloud.errors import ConfigError
from fmdj_cloud.settings import S3Settings
from fmdj_cloud.storage.client import make_client

_KEYS = "fmdj-demo"


@contextlib.contextmanager
def embedded_s3(workdir: Path, bucket: str) -> Iterator[S3Settings]:
    """Run an S3 API (moto's server, in memory) over HTTP on a free loopback port.

    Parameters
    ----------
    workdir : Path
        Existing folder for the server's log (``s3.log``).
    bucket : str
        Bucket to create.

    Yields
    ------
    S3Settings
        How to reach it; any number of buckets can be added.

    Raises
    ------
    ConfigError
        If the server isn't installed or doesn't start.
    """
    log = workdir / "s3.log"
    if importlib.util.find_spec("moto") is None:
        raise ConfigError("moto isn't installed: install the demo's packages with `pip install 'fmdj-cloud[demo]'`.")
    server = Path(guard.__file__).with_name("s3_server.py")
    with guarded([sys.executable, str(server)], log, pipe=True) as process:
        assert process.stdout is not None  # noqa: S101 - pipe=True
        port = process.stdout.readline().strip()
        if not port:
            raise ConfigError(f"The embedded S3 server ended as it started: see {log}.")
        settings = S3Settings(
            endpoint_url=f"http://127.0.0.1:{int(port)}",
            region="us-east-1",
            addressing_style="path",
            access_key_id=SecretStr(_KEYS),
            secret_access_key=SecretStr(_KEYS),
        )
        _make_bucket(settings, bucket, log)
        yield settings


def _make_bucket(settings: S3Settings, bucket: str, log: Path) -> None:
    client = make_client(settings)
    try:
        client.create_bucket(Bucket=bucket)
    except (BotoCoreError, ClientError) as error:
        raise ConfigError(
            f"The embedded S3 server at {settings.endpoint_url} doesn't take bucket {bucket!r} ({error}): see {log}."
        ) from error
    finally:
        client.close()
