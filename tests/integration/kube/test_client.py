"""The client at the wire: what it sends, what it makes of any answer, and what it does again."""

import contextlib
import json
import socketserver
import struct
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from fmdj_cloud.control.kube.client import KubeClient, KubeError
from fmdj_cloud.control.kube.resources import EVENTS, JOBS, LEASES, PODS
from fmdj_cloud.settings import KubernetesSettings
from fmdj_cloud.telemetry import REGISTRY

pytestmark = pytest.mark.integration


class Asked(NamedTuple):
    method: str
    path: str
    headers: dict[str, str]
    body: Any


class Answer(NamedTuple):
    """What the server does: status and body, or chunks; then it goes on, ends the connection, or breaks it."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = {}
    chunks: list[bytes] | None = None
    end: str = ""


def refusal(status: int, reason: str = "", message: str = "", **headers: str) -> Answer:
    body = {"kind": "Status", "status": "Failure", "code": status, "reason": reason, "message": message}
    return Answer(status, body, {name.replace("_", "-"): value for name, value in headers.items()})


DROP = Answer(end="break")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "Wire"

    def log_message(self, *_: Any) -> None:
        pass

    def _serve(self) -> None:
        size = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(size)) if size else None
        self.server.asked.append(Asked(self.command, self.path, dict(self.headers), body))
        answer = self.server.answers.pop(0) if self.server.answers else self.server.otherwise(self.server.asked[-1])
        if answer.end == "break" and answer.chunks is None:
            self._break()
            return
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.chunks is None:
            data = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
        else:
            self._stream(answer.chunks, answer.end)
        if answer.end == "close quietly":
            self.close_connection = True

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve

    def _stream(self, chunks: list[bytes], end: str) -> None:
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for chunk in chunks:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
            self.wfile.flush()
        if end == "break":
            self._break()
        elif end == "silence":
            self.server.closing.wait(30)
        else:
            self.wfile.write(b"0\r\n\r\n")

    def _break(self) -> None:
        self.close_connection = True
        self.connection.setsockopt(
            socketserver.socket.SOL_SOCKET, socketserver.socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
        self.connection.close()

    def finish(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            super().finish()


class Wire(socketserver.ThreadingTCPServer):
    """Answers what the test has written down, then what `otherwise` says."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[Asked] = []
        self.answers: list[Answer] = []
        self.otherwise: Callable[[Asked], Answer] = lambda _: Answer(200, {"kind": "Job"})
        self.closing = threading.Event()
        self.closed = threading.Event()

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        self.closed.set()

    def handle_error(self, *_: Any) -> None:
        pass


class Time:
    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def wire() -> Iterator[Wire]:
    server = Wire()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.closing.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def config(wire: Wire, tmp_path: Path) -> Path:
    path = tmp_path / "kubeconfig"
    write_config(path, wire, "t0")
    return path


def write_config(path: Path, wire: Wire, token: str) -> None:
    context = {"name": "x", "context": {"cluster": "x", "user": "x", "namespace": "lab"}}
    content = {
        "current-context": "x",
        "contexts": [context],
        "clusters": [{"name": "x", "cluster": {"server": f"http://127.0.0.1:{wire.server_address[1]}"}}],
        "users": [{"name": "x", "user": {"token": token}}],
    }
    path.write_text(yaml.safe_dump(content))


@pytest.fixture
def client(config: Path, time: Time) -> Iterator[KubeClient]:
    settings = KubernetesSettings(kubeconfig=config, request_timeout_s=20)
    made = KubeClient(settings, clock=time, sleep=time.sleep, jitter=lambda: 0.0)
    yield made
    made.close()


def paths(wire: Wire) -> list[str]:
    return [f"{asked.method} {asked.path}" for asked in wire.asked]


class TestRequests:
    def test_objects_are_asked_for_in_the_namespace_of_the_context(self, client: KubeClient, wire: Wire):
        assert client.get(JOBS, "j1") == {"kind": "Job"}
        (asked,) = wire.asked
        assert asked.path == "/apis/batch/v1/namespaces/lab/jobs/j1"
        assert asked.headers["Authorization"] == "Bearer t0"
        assert asked.headers["User-Agent"].startswith("fmdj-cloud/")

    def test_the_settings_may_name_another_namespace(self, config: Path, wire: Wire):
        KubeClient(KubernetesSettings(kubeconfig=config, namespace="other")).get(PODS, "p")
        assert wire.asked[0].path == "/api/v1/namespaces/other/pods/p"

    def test_each_kind_of_change_has_its_method(self, client: KubeClient, wire: Wire):
        client.create(JOBS, {"metadata": {"name": "j"}})
        client.replace(LEASES, "l", {"a": 1})
        client.patch(JOBS, "j", {"b": 2}, subresource="status")
        assert [(asked.method, asked.path.rpartition("/lab/")[2], asked.body) for asked in wire.asked] == [
            ("POST", "jobs", {"metadata": {"name": "j"}}),
            ("PUT", "leases/l", {"a": 1}),
            ("PATCH", "jobs/j/status", {"b": 2}),
        ]
        assert wire.asked[2].headers["Content-Type"] == "application/merge-patch+json"

    def test_deletion_says_what_becomes_of_pods_and_of_which_object_it_is(self, client: KubeClient, wire: Wire):
        client.delete(JOBS, "j", propagation="Foreground", uid="u1")
        assert wire.asked[0].body["propagationPolicy"] == "Foreground"
        assert wire.asked[0].body["preconditions"] == {"uid": "u1"}

    def test_lists_come_in_pages_and_are_one_list(self, client: KubeClient, wire: Wire):
        wire.answers = [
            Answer(200, {"metadata": {"resourceVersion": "7", "continue": "more+/="}, "items": [{"a": 1}]}),
            Answer(200, {"metadata": {"resourceVersion": "7"}, "items": None}),
        ]
        listed = client.list(JOBS, selector="a=b,c")
        assert listed.items == [{"a": 1}]
        assert listed.resource_version == "7"
        assert paths(wire) == [
            "GET /apis/batch/v1/namespaces/lab/jobs?labelSelector=a%3Db%2Cc&limit=200",
            "GET /apis/batch/v1/namespaces/lab/jobs?labelSelector=a%3Db%2Cc&limit=200&continue=more%2B%2F%3D",
        ]

    def test_requests_are_counted_by_what_they_do_and_how_they_end(self, client: KubeClient, wire: Wire):
        def count(**labels: str) -> float:
            return REGISTRY.get_sample_value("fmdj_api_requests_total", labels) or 0.0

        missing = {"verb": "get", "resource": "jobs", "code": "404"}
        listed = {"verb": "list", "resource": "pods", "code": "200"}
        before = count(**missing), count(**listed)
        wire.answers = [refusal(404, "NotFound"), Answer(200, {"items": []})]
        with pytest.raises(KubeError):
            client.get(JOBS, "j")
        client.list(PODS)
        assert (count(**missing), count(**listed)) == (before[0] + 1, before[1] + 1)

    def test_requests_keep_to_the_rate(self, config: Path, time: Time):
        settings = KubernetesSettings(kubeconfig=config, requests_per_s=10, request_burst=5)
        client = KubeClient(settings, clock=time, sleep=time.sleep)
        for _ in range(15):
            client.get(JOBS, "j")
        assert time.now == pytest.approx(101.0)

    def test_without_a_rate_of_their_own_requests_suffice_for_the_launches_that_are_asked_for(
        self, config: Path, time: Time
    ):
        settings = KubernetesSettings(kubeconfig=config, launches_per_s=50, request_burst=1)
        client = KubeClient(settings, clock=time, sleep=time.sleep)
        for _ in range(1 + 2 * 50):  # to make and to delete a second's Jobs
            client.get(JOBS, "j")
        assert 100.0 < time.now <= 101.0


class TestRefusals:
    def test_the_api_server_s_own_words_are_kept(self, client: KubeClient, wire: Wire):
        wire.answers = [refusal(403, "Forbidden", 'jobs "j" is forbidden: exceeded quota')]
        with pytest.raises(KubeError) as caught:
            client.get(JOBS, "j")
        error = caught.value
        assert (error.status, error.reason) == (403, "Forbidden")
        assert error.message == 'jobs "j" is forbidden: exceeded quota'
        assert (
            error.sentence
            == 'Kubernetes answered get jobs j with 403 Forbidden: jobs "j" is forbidden: exceeded quota.'
        )

    @pytest.mark.parametrize("body", [b"<html>Bad gateway</html>", b"", b"\xff\xfe", b"[1]", b'{"kind": "Other"}'])
    def test_an_answer_of_something_else_on_the_way_is_survived(self, client: KubeClient, wire: Wire, body: bytes):
        wire.otherwise = lambda _: Answer(404, body)
        with pytest.raises(KubeError) as caught:
            client.get(JOBS, "j")
        assert caught.value.is_missing

    @pytest.mark.parametrize("body", [b"<html>Log in here</html>", b"[1]", b'"x"'])
    def test_success_without_an_object_is_none(self, client: KubeClient, wire: Wire, body: bytes):
        wire.otherwise = lambda _: Answer(200, body)
        with pytest.raises(KubeError, match="isn't an object of Kubernetes") as caught:
            client.get(JOBS, "j")
        assert caught.value.status == 0

    def test_nobody_is_followed_elsewhere(self, client: KubeClient, wire: Wire):
        wire.answers = [Answer(302, {}, {"Location": "/elsewhere"})]
        with pytest.raises(KubeError) as caught:
            client.get(JOBS, "j")
        assert caught.value.status == 302
        assert len(wire.asked) == 1

    def test_an_api_server_that_is_not_there_is_named(self, client: KubeClient, wire: Wire, time: Time):
        wire.shutdown()
        wire.server_close()
        with pytest.raises(
            KubeError, match=r"The Kubernetes API at http://127.0.0.1:\d+ didn't answer get jobs j"
        ) as caught:
            client.get(JOBS, "j")
        assert (caught.value.status, caught.value.reason) == (0, "Unreached")

    def test_one_that_says_nothing_is_given_up(self, config: Path, wire: Wire):
        wire.otherwise = lambda _: Answer(chunks=[], end="silence")
        client = KubeClient(KubernetesSettings(kubeconfig=config, request_timeout_s=0.2))
        with pytest.raises(KubeError) as caught:
            client.get(JOBS, "j")
        assert caught.value.reason == "Timeout"
        assert len(wire.asked) == 1


NAMED = {"metadata": {"name": "j"}}
GENERATED = {"metadata": {"generateName": "j-"}}


class TestRepeating:
    @pytest.mark.parametrize("trouble", [refusal(429), refusal(500), refusal(503), refusal(504), DROP])
    @pytest.mark.parametrize(
        "ask",
        [
            pytest.param(lambda c: c.get(JOBS, "j"), id="get"),
            pytest.param(lambda c: c.list(JOBS), id="list"),
            pytest.param(lambda c: c.create(JOBS, NAMED), id="create with a name"),
            pytest.param(lambda c: c.replace(LEASES, "l", {}), id="replace"),
            pytest.param(lambda c: c.patch(JOBS, "j", {}), id="merge"),
            pytest.param(lambda c: c.delete(JOBS, "j"), id="delete"),
        ],
    )
    def test_what_is_safe_is_done_again(self, client: KubeClient, wire: Wire, time: Time, ask: Any, trouble: Answer):
        wire.answers = [trouble, trouble]
        ask(client)
        assert len(wire.asked) == 3
        assert time.slept == [0.25, 1.0]

    @pytest.mark.parametrize("trouble", [refusal(500), refusal(503), DROP])
    def test_what_may_have_been_done_is_not(self, client: KubeClient, wire: Wire, trouble: Answer):
        wire.answers = [trouble]
        with pytest.raises(KubeError):
            client.create(EVENTS, GENERATED)
        assert len(wire.asked) == 1

    def test_what_was_turned_away_may_always_be_done_again(self, client: KubeClient, wire: Wire):
        wire.answers = [refusal(429)]
        client.create(EVENTS, GENERATED)
        assert len(wire.asked) == 2

    @pytest.mark.parametrize("status", [400, 403, 404, 409, 410, 422])
    def test_what_is_refused_stays_refused(self, client: KubeClient, wire: Wire, status: int):
        wire.answers = [refusal(status)]
        with pytest.raises(KubeError):
            client.get(JOBS, "j")
        assert len(wire.asked) == 1

    def test_it_is_tried_again_when_the_api_server_wants_it(self, client: KubeClient, wire: Wire, time: Time):
        wire.answers = [refusal(429, Retry_After="7")]
        client.get(JOBS, "j")
        assert time.slept == [7.0]

    def test_nobody_waits_longer_than_a_request_may_take(self, client: KubeClient, wire: Wire, time: Time):
        wire.answers = [refusal(429, Retry_After="60")]
        with pytest.raises(KubeError) as caught:
            client.get(JOBS, "j")
        assert caught.value.retry_after_s == 60
        assert time.slept == []

    def test_trouble_that_lasts_is_told(self, client: KubeClient, wire: Wire, time: Time):
        wire.otherwise = lambda _: refusal(503)
        with pytest.raises(KubeError) as caught:
            client.get(JOBS, "j")
        assert caught.value.status == 503
        assert len(wire.asked) == 4
        assert time.now < 110

    def test_a_connection_that_was_closed_meanwhile_is_replaced(self, client: KubeClient, wire: Wire):
        wire.answers = [Answer(200, {"kind": "Job"}, end="close quietly")]
        client.get(JOBS, "j")
        assert wire.closed.wait(10), "the server never closed the connection"
        client.create(EVENTS, GENERATED)
        assert len(wire.asked) == 2


class TestCredentials:
    def test_expired_ones_are_read_anew_once_and_the_request_repeated(
        self, client: KubeClient, wire: Wire, config: Path
    ):
        write_config(config, wire, "t1")
        wire.otherwise = lambda asked: (
            Answer(200, {"kind": "Job"})
            if asked.headers["Authorization"] == "Bearer t1"
            else refusal(401, "Unauthorized")
        )
        client.get(JOBS, "j")
        client.create(EVENTS, GENERATED)
        assert [asked.headers["Authorization"] for asked in wire.asked] == ["Bearer t0", "Bearer t1", "Bearer t1"]

    def test_ones_that_stay_wrong_are_told_after_two_tries(self, client: KubeClient, wire: Wire):
        wire.otherwise = lambda _: refusal(401, "Unauthorized")
        with pytest.raises(KubeError) as caught:
            client.get(JOBS, "j")
        assert caught.value.status == 401
        assert "check the credentials" in caught.value.sentence
        assert len(wire.asked) == 2

    def test_ones_that_cannot_be_read_any_more_are_no_worse(self, client: KubeClient, wire: Wire, config: Path):
        config.write_text("{")
        wire.answers = [refusal(401, "Unauthorized")]
        with pytest.raises(KubeError) as caught:
            client.get(JOBS, "j")
        assert caught.value.status == 401

    def test_a_watch_s_are_read_anew_too(self, client: KubeClient, wire: Wire, config: Path):
        write_config(config, wire, "t1")
        wire.answers = [refusal(401), Answer(chunks=[b'{"type":"BOOKMARK","object":{}}\n'])]
        assert len([*client.watch(JOBS, resource_version="5", timeout_s=10)]) == 1


def lines(*events: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(event).encode() + b"\n" for event in events)


class TestWatch:
    def test_it_asks_for_what_comes_after_a_moment_and_for_an_end(self, client: KubeClient, wire: Wire):
        wire.answers = [Answer(chunks=[])]
        assert [*client.watch(JOBS, selector="a=b", resource_version="5", timeout_s=240.0)] == []
        assert paths(wire) == [
            "GET /apis/batch/v1/namespaces/lab/jobs?watch=1&allowWatchBookmarks=true&labelSelector=a%3Db"
            "&resourceVersion=5&timeoutSeconds=240"
        ]

    def test_events_are_whole_however_they_are_cut_on_the_way(self, client: KubeClient, wire: Wire):
        data = lines({"type": "ADDED", "object": {"name": "ä"}}, {"type": "DELETED", "object": {"n": "x" * 200_000}})
        wire.answers = [Answer(chunks=[data[:25], data[25:26], data[26:60], data[60:], b"\n\n"])]
        found = [*client.watch(JOBS, resource_version="5", timeout_s=10)]
        assert [event["type"] for event in found] == ["ADDED", "DELETED"]
        assert found[0]["object"]["name"] == "ä"

    def test_events_are_told_as_they_come(self, client: KubeClient, wire: Wire):
        wire.answers = [Answer(chunks=[lines({"type": "ADDED"}), lines({"type": "MODIFIED"})], end="silence")]
        events = client.watch(JOBS, resource_version="5", timeout_s=10)
        assert [next(events)["type"], next(events)["type"]] == ["ADDED", "MODIFIED"]

    def test_one_that_breaks_is_told_and_half_an_event_is_none(self, client: KubeClient, wire: Wire):
        wire.answers = [Answer(chunks=[lines({"type": "ADDED"}), b'{"type": "MOD'], end="break")]
        events = client.watch(JOBS, resource_version="5", timeout_s=10)
        assert next(events) == {"type": "ADDED"}
        with pytest.raises(KubeError) as caught:
            next(events)
        assert (caught.value.status, caught.value.reason) == (0, "Broken")

    def test_half_an_event_at_a_regular_end_is_none(self, client: KubeClient, wire: Wire):
        wire.answers = [Answer(chunks=[lines({"type": "ADDED"}), b'{"type": "MOD'])]
        assert len([*client.watch(JOBS, resource_version="5", timeout_s=10)]) == 1

    def test_a_line_that_is_no_event_breaks_it(self, client: KubeClient, wire: Wire):
        wire.answers = [Answer(chunks=[b"upstream timed out\n"])]
        with pytest.raises(KubeError) as caught:
            next(client.watch(JOBS, resource_version="5", timeout_s=10))
        assert caught.value.reason == "Broken"

    def test_a_version_that_is_too_old_is_refused(self, client: KubeClient, wire: Wire):
        wire.answers = [refusal(410, "Expired", "too old resource version")]
        with pytest.raises(KubeError) as caught:
            next(client.watch(JOBS, resource_version="5", timeout_s=10))
        assert caught.value.is_expired

    def test_silence_is_noticed_a_little_after_its_end(
        self, client: KubeClient, wire: Wire, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr("fmdj_cloud.control.kube.client._SILENCE_S", 0.2)
        wire.answers = [Answer(chunks=[lines({"type": "ADDED"})], end="silence")]
        events = client.watch(JOBS, resource_version="5", timeout_s=0.0)
        next(events)
        with pytest.raises(KubeError) as caught:
            next(events)
        assert caught.value.reason == "Timeout"

    def test_it_can_be_ended_from_another_thread(self, client: KubeClient, wire: Wire):
        wire.answers = [Answer(chunks=[lines({"type": "ADDED"})], end="silence")]
        begun = threading.Event()
        heard: list[Any] = []

        def listen() -> None:
            try:
                for event in client.watch(JOBS, resource_version="5", timeout_s=60):
                    heard.append(event["type"])
                    begun.set()
            except KubeError as error:
                heard.append(error.reason)

        thread = threading.Thread(target=listen)
        thread.start()
        begun.wait(10)
        client.interrupt()
        thread.join(10)
        assert not thread.is_alive()
        assert heard[0] == "ADDED"

    def test_one_over_a_server_of_http_1_0_works_too(self, client: KubeClient, wire: Wire):
        data = lines({"type": "ADDED"}, {"type": "MODIFIED"})
        wire.answers = [Answer(200, data, end="close quietly")]
        assert len([*client.watch(JOBS, resource_version="5", timeout_s=10)]) == 2


class TestLog:
    def test_the_end_of_it_is_asked_for(self, client: KubeClient, wire: Wire):
        wire.answers = [Answer(200, "frame 1\nframe 2 ä\n".encode())]
        assert client.log("p1", container="worker") == "frame 1\nframe 2 ä\n"
        assert wire.asked[0].path.startswith(
            "/api/v1/namespaces/lab/pods/p1/log?container=worker&tailLines=5000&limitBytes="
        )

    def test_only_so_much_of_it_is_kept(self, client: KubeClient, wire: Wire):
        wire.answers = [Answer(200, b"x" * 1000 + b"end")]
        assert client.log("p1", limit_bytes=10) == "xxxxxxxend"

    def test_a_container_that_is_gone_has_none(self, client: KubeClient, wire: Wire):
        wire.answers = [Answer(200, b"unable to retrieve container logs for containerd://0123")]
        assert client.log("p1") == ""

    def test_what_is_no_text_is_shown_as_far_as_it_goes(self, client: KubeClient, wire: Wire):
        wire.answers = [Answer(200, b"a\xffb")]
        assert client.log("p1") == "a\ufffdb"

    def test_another_server_s_log_may_be_json(self, client: KubeClient, wire: Wire):
        wire.answers = [Answer(200, b'{"time": "x"}\n')]
        assert client.log("p1") == '{"time": "x"}\n'
