"""Connections whose other end has gone without a word are noticed."""

from __future__ import annotations

import socket

from fmdj_cloud.pipeline.keepalive import IDLE_S, INTERVAL_S, PROBES, UNANSWERED_S, keep_alive


class Driver:
    """A connection as PyMySQL has it."""

    def __init__(self, own: socket.socket) -> None:
        self._sock = own


def _options(own: socket.socket) -> list[int]:
    names = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT, socket.TCP_USER_TIMEOUT)
    keeps = own.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    return [keeps, *(own.getsockopt(socket.IPPROTO_TCP, name) for name in names)]


def test_a_connection_over_tcp_is_probed_and_stays_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as own:
        for connection in (own, Driver(own)):
            keep_alive(connection)

            assert _options(own) == [1, IDLE_S, INTERVAL_S, PROBES, UNANSWERED_S * 1000]
        accepted, _ = server.accept()
        with accepted:
            own.sendall(b"still there")
            assert accepted.recv(64) == b"still there"


def test_a_connection_over_a_unix_socket_is_left_alone() -> None:
    own, other = socket.socketpair(socket.AF_UNIX)
    with own, other:
        keep_alive(own)

        assert own.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 0
