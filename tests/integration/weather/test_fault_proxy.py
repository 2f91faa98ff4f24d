"""The proxy that these tests rely on, before a server that says back what it hears."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.support.weather.proxy import Proxy, proxied, s3_answer

pytestmark = pytest.mark.integration
BODY = b"0123456789" * 1000


class Says(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY)

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[str, int]]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Says) as made:
        made.daemon_threads = True
        thread = threading.Thread(target=made.serve_forever, args=(0.05,))
        thread.start()
        yield "127.0.0.1", made.server_address[1]
        made.shutdown()
        thread.join()


@pytest.fixture
def way(server: tuple[str, int]) -> Iterator[tuple[Proxy, http.client.HTTPConnection]]:
    with (
        proxied(server, s3_answer) as (proxy, port),
        contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection,
    ):
        yield proxy, connection


def ask(connection: http.client.HTTPConnection, method: str = "GET", path: str = "/a") -> tuple[int, bytes]:
    connection.request(method, path, BODY if method == "PUT" else None)
    answer = connection.getresponse()
    return answer.status, answer.read()


def _ask_on(connection: http.client.HTTPConnection) -> None:
    """Ask until it breaks, or for as long as is plenty."""
    for _ in range(100):
        ask(connection)
        time.sleep(0.01)


def test_in_fine_weather_everything_passes(way: tuple[Proxy, http.client.HTTPConnection]) -> None:
    _, connection = way

    assert [ask(connection, method) for method in ("GET", "PUT", "GET")] == [(200, BODY)] * 3


def test_requests_that_match_are_answered_in_the_servers_place(way: tuple[Proxy, http.client.HTTPConnection]) -> None:
    proxy, connection = way
    proxy.change(status=503, matching="^PUT ")

    assert ask(connection) == (200, BODY)
    status, text = ask(connection, "PUT")
    assert (status, proxy.answered) == (503, 1)
    assert b"<Code>SlowDown</Code>" in text
    proxy.change(status=0)
    assert ask(connection, "PUT") == (200, BODY)


def test_one_bit_of_what_is_read_is_flipped_and_none_of_a_listing(
    way: tuple[Proxy, http.client.HTTPConnection],
) -> None:
    proxy, connection = way
    proxy.change(corrupting=True)

    status, body = ask(connection)
    assert status == 200
    assert len(body) == len(BODY)
    assert body != BODY
    assert ask(connection, path="/?list-type=2") == (200, BODY)


def test_connections_break_and_new_ones_are_made(way: tuple[Proxy, http.client.HTTPConnection]) -> None:
    proxy, connection = way
    ask(connection)
    proxy.cut()

    with pytest.raises((ConnectionError, http.client.BadStatusLine)):
        _ask_on(connection)
    connection.close()
    assert ask(connection) == (200, BODY)


def test_a_refused_connection_ends_at_once(way: tuple[Proxy, http.client.HTTPConnection]) -> None:
    proxy, connection = way
    proxy.change(refusing=True)

    with pytest.raises((ConnectionError, http.client.BadStatusLine)):
        ask(connection)


def test_a_half_open_connection_says_nothing_and_goes_on_later(way: tuple[Proxy, http.client.HTTPConnection]) -> None:
    proxy, connection = way
    ask(connection)
    proxy.change(silent=True)
    connection.sock.settimeout(0.2)
    with pytest.raises(TimeoutError):
        ask(connection)
    with socket.create_connection((connection.host, connection.port)) as other:
        assert other.sendall(b"GET / HTTP/1.1\r\n\r\n") is None


def test_a_slow_way_passes_everything_in_the_end(way: tuple[Proxy, http.client.HTTPConnection]) -> None:
    proxy, connection = way
    proxy.change(bytes_per_s=200_000.0, delay_s=0.01)

    assert ask(connection) == (200, BODY)
