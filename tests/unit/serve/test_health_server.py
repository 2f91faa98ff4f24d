"""The HTTP server says what probes and Prometheus ask for, and nothing else."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
from collections.abc import Iterator

import pytest

from fmdj_cloud import telemetry
from fmdj_cloud.errors import ConfigError
from fmdj_cloud.serve import Health, Probe, StatusServer, serve_status
from fmdj_cloud.settings import ServeSettings


@pytest.fixture
def health() -> Health:
    return Health()


@pytest.fixture
def server(health: Health) -> Iterator[StatusServer]:
    with StatusServer(health, "127.0.0.1") as made:
        yield made


def ask(server: StatusServer, path: str, method: str = "GET", **headers: str) -> tuple[int, str, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    with contextlib.closing(connection):
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.getheader("Content-Type", ""), answer.read()


def test_a_healthy_program_answers_200(server: StatusServer) -> None:
    for path in ("/healthz", "/readyz", "/readyz?verbose"):
        status, kind, body = ask(server, path)
        assert (status, kind, json.loads(body)) == (200, "application/json", {"ok": True, "problems": {}})


def test_what_is_wrong_is_in_the_body(server: StatusServer, health: Health) -> None:
    health.check("cache", lambda: "The cache has heard nothing for 700 s.", Probe.READY)
    health.note("role", "leads")
    status, _, body = ask(server, "/readyz")
    assert status == 503
    assert json.loads(body) == {
        "ok": False,
        "problems": {"cache": "The cache has heard nothing for 700 s."},
        "role": "leads",
    }
    assert ask(server, "/healthz")[0] == 200


def test_metrics_are_in_prometheus_words(server: StatusServer) -> None:
    telemetry.LAUNCHES.labels("svd", "served").inc(2)
    status, kind, body = ask(server, "/metrics")
    assert status == 200
    assert kind.startswith("text/plain; version=")
    assert b'fmdj_launches_total{kind="svd",pipeline="served"} 2.0' in body
    assert b"fmdj_build_info{" in body


def test_metrics_are_in_open_metrics_for_who_asks(server: StatusServer) -> None:
    status, kind, body = ask(server, "/metrics", Accept="application/openmetrics-text; version=1.0.0")
    assert (status, kind.partition(";")[0]) == (200, "application/openmetrics-text")
    assert body.endswith(b"# EOF\n")


def test_head_has_no_body(server: StatusServer) -> None:
    assert ask(server, "/healthz", "HEAD")[::2] == (200, b"")


def test_other_paths_and_methods_are_none(server: StatusServer) -> None:
    assert ask(server, "/")[0] == 404
    assert json.loads(ask(server, "/etc/passwd")[2]) == {"paths": ["/healthz", "/readyz", "/metrics"]}
    assert ask(server, "/healthz", "POST")[0] == 501
    assert ask(server, "/healthz", "DELETE")[0] == 501


def test_who_says_nothing_keeps_nobody_waiting(server: StatusServer) -> None:
    with socket.create_connection(("127.0.0.1", server.port)), socket.create_connection(("127.0.0.1", server.port)):
        assert ask(server, "/healthz")[0] == 200


def test_a_port_in_use_is_a_sentence_with_a_remedy(server: StatusServer, health: Health) -> None:
    settings = ServeSettings(host="127.0.0.1", port=server.port)
    with pytest.raises(ConfigError, match=rf"serve\.port={server.port} .*: choose a free port, or 0 for none\."):
        serve_status(settings, health)


def test_without_a_port_nothing_listens(health: Health) -> None:
    assert serve_status(ServeSettings(), health) is None


def test_without_a_host_every_address_answers(health: Health) -> None:
    with StatusServer(health) as server:
        assert ask(server, "/healthz")[0] == 200
        if socket.has_dualstack_ipv6():
            with contextlib.suppress(OSError), socket.create_connection(("::1", server.port), timeout=10) as found:
                assert found.family == socket.AF_INET6


def test_a_closed_server_is_gone(health: Health) -> None:
    server = StatusServer(health, "127.0.0.1")
    server.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port), timeout=10)
