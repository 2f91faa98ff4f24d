"""What our connections are asked of the kernel, on real servers."""

from __future__ import annotations

import contextlib
import socket

import pytest

from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.keepalive import IDLE_S
from fmdj_cloud.settings import DatabaseSettings

pytestmark = pytest.mark.integration


def test_every_connection_over_tcp_is_probed_also_one_that_was_made_again(mariadb_settings: DatabaseSettings) -> None:
    with contextlib.closing(Database(mariadb_settings)) as database:
        first = database.connection._conn._sock
        assert first.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == IDLE_S
        first.shutdown(socket.SHUT_RDWR)

        database.ensure_connected()

        again = database.connection._conn._sock
        assert again is not first
        assert again.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == IDLE_S
