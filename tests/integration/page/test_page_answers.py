"""What the status page's server answers: the facts of `fmdj status` and `explain`, safely, and nothing else."""

from __future__ import annotations

import contextlib
import json

import pytest

from fmdj_cloud.contracts import RunRecord, RunState
from fmdj_cloud.control.advice import ADVICE
from fmdj_cloud.control.status import gather_status
from fmdj_cloud.demo.keeper import plain
from tests.support.page.http import ask, connect
from tests.support.page.site import Site

pytestmark = pytest.mark.integration


def every_path(runs: dict[str, RunRecord]) -> list[str]:
    pages = ["/", "/runs", "/failures", *(f"/runs/{run.run_id}" for run in runs.values())]
    api = ["/api/overview", *(f"/api{page}" for page in pages[1:])]
    return [*pages, *api, f"/runs/{runs['input'].run_id}/log", "/static/page.css", "/static/live.js", "/nowhere"]


def found(address: str, query: str) -> set[str]:
    return {run["run_id"] for run in ask(address, f"/api/runs?{query}").json["runs"]}


def test_the_overview_says_what_fmdj_status_says(page_address: str, site: Site) -> None:
    world = site.world
    said = ask(page_address, "/api/overview").json["status"]
    expected = gather_status(world.ledger, (world.lab,), world.store).model_dump(mode="json")
    for one in (*said["pipelines"], *expected["pipelines"]):
        assert one.pop("queue_age_s") > 0
    assert said == expected


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", {"loaded", "memory", "input", "launched", "ready"}),
        ("state=failed", {"memory", "input"}),
        ("class=memory", {"memory"}),
        ("state=loaded&class=memory", set()),
        ("pipeline=lab&state=launched", {"launched"}),
        ("pipeline=other", set()),
        ("key.subject=m1&key.session_id=1", {"loaded", "memory", "input", "launched", "ready"}),
        ("key.recording_id=2", {"memory"}),
        ("key.recording_id=22", set()),
        ("key.subject=m%25", set()),
        ("key.subject=m_", set()),
        ("key.subject=1", set()),
        ("state=&class=&key.subject=&page=1", {"loaded", "memory", "input", "launched", "ready"}),
    ],
)
def test_lists_hold_what_was_asked_for(
    page_address: str, runs: dict[str, RunRecord], query: str, names: set[str]
) -> None:
    assert found(page_address, query) == {runs[name].run_id for name in names}


def test_long_lists_have_pages(other_address: str, runs: dict[str, RunRecord]) -> None:
    pages = [ask(other_address, f"/api/runs?page={number}").json for number in (1, 2, 3)]
    assert [len(page["runs"]) for page in pages] == [2, 2, 1]
    assert {run["run_id"] for page in pages for run in page["runs"]} == {run.run_id for run in runs.values()}
    assert ask(other_address, "/api/runs?page=9").json["page"] == 3
    html = ask(other_address, "/runs?key.subject=m1&page=2").text
    assert 'rel="prev" href="/runs?key.subject=m1&amp;page=1"' in html
    assert 'rel="next" href="/runs?key.subject=m1&amp;page=3"' in html


def test_a_run_tells_all_that_is_known_of_it(page_address: str, runs: dict[str, RunRecord]) -> None:
    page = ask(page_address, f"/api/runs/{runs['loaded'].run_id}").json
    assert page["explanation"]["state"] == "done"
    assert page["inputs"][0]["uri"].endswith("/videos/rec1/cam.avi")
    assert page["parameters"]["sbin"] == 4
    assert page["manifest"]["versions"]["facemap"] == "1.0.8"
    assert page["manifest"]["signals"][0]["repairs"] == ["F1"]
    assert [(one["check"], one["verdict"]) for one in page["quality"]] == [("nan", "pass"), ("flat", "warn")]
    assert page["usage"]["core_h"] >= 0
    assert page["usage"]["cost"] is None
    assert page["log"].endswith("INFO published\n")
    (attempt,) = page["attempts"]
    assert (attempt["outcome"], attempt["memory_mib"], attempt["stages"][0]["stage"]) == ("published", 4096, "all")
    html = ask(page_address, f"/runs/{runs['loaded'].run_id}").text
    for words in (
        "rec1/cam.avi",
        "Quality checks",
        "F1",
        "4096 MiB memory",
        "INFO computed svd",
        "claims 1 frame more",
        "camera covered",
    ):
        assert words in html, words


def test_a_failed_run_says_why_and_what_to_do(page_address: str, runs: dict[str, RunRecord]) -> None:
    page = ask(page_address, f"/api/runs/{runs['memory'].run_id}").json
    assert page["explanation"]["why"] == "The worker was killed for memory at 65536 MiB."
    assert page["attempts"][0]["advice"] == ADVICE["memory"]
    assert "ERROR The worker was killed" in ask(page_address, f"/runs/{runs['memory'].run_id}/log?attempt=1").text


def test_failures_come_by_class_with_the_remedy(page_address: str, runs: dict[str, RunRecord]) -> None:
    classes = {one["failure_class"]: one for one in ask(page_address, "/api/failures").json["classes"]}
    assert set(classes) == {"memory", "input"}
    assert classes["memory"]["remedy"] == ADVICE["memory"]
    assert [run["run_id"] for run in classes["memory"]["examples"]] == [runs["memory"].run_id]
    assert classes["input"]["runs"] == 1
    assert "sbin" in classes["input"]["refused"][0]["sentence"]


def test_all_that_failed_is_counted_though_only_some_is_listed(
    other_address: str, site: Site, runs: dict[str, RunRecord]
) -> None:
    for _ in range(3):
        site.refused("facemap_params['sbin'] is 0: give a whole number of 1 or more.")

    (refused,) = [one for one in ask(other_address, "/api/failures").json["classes"] if one["failure_class"] == "input"]
    overview = ask(other_address, "/api/overview").json

    assert len(overview["status"]["bindings"]) == 2, "as many as a page has rows"
    assert refused["refused_found"] >= 4
    assert overview["failed"] == refused["refused_found"] + 2
    assert f"input: {refused['refused_found'] + 1}<" in ask(other_address, "/failures").text


def test_tasks_are_named_in_the_order_of_their_key(page_address: str, site: Site) -> None:
    order = list(site.world.lab.element.FacemapTask.primary_key)
    assert order != sorted(order)
    status = ask(page_address, "/api/overview").json["status"]
    assert {tuple(line["task"]) for line in (*status["runs"], *status["bindings"])} == {tuple(order)}


def test_money_is_said_where_prices_are_set(other_address: str, runs: dict[str, RunRecord]) -> None:
    usage = ask(other_address, f"/api/runs/{runs['launched'].run_id}").json["usage"]
    assert usage["cost"] == pytest.approx(1000 * usage["core_h"] + 100 * usage["memory_gib_h"])
    assert usage["cost"] > 0
    assert "EUR" in ask(other_address, f"/runs/{runs['launched'].run_id}").text


def test_every_answer_keeps_browsers_from_harm(page_address: str, runs: dict[str, RunRecord]) -> None:
    for path in every_path(runs):
        answer = ask(page_address, path)
        policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
        assert policy["default-src"] == "'none'", path
        assert policy["script-src"] == policy["style-src"] == "'self'", path
        assert policy["frame-ancestors"] == "'none'", path
        assert answer.headers["x-content-type-options"] == "nosniff", path
        assert answer.headers["x-frame-options"] == "DENY", path
        assert "server" not in answer.headers, path
        if "html" in answer.headers["content-type"]:
            assert " style=" not in answer.text, path
            assert "<style" not in answer.text, path
            assert " on" not in answer.text.split("<body")[0].split("<script")[-1], path


def test_no_page_tells_a_secret(page_address: str, site: Site, runs: dict[str, RunRecord]) -> None:
    said = plain(site.world.settings)
    secrets = [said["database"].get("password"), *(said["storage"]["s3"].get(name) for name in ("secret_access_key",))]
    known = [secret for secret in secrets if secret and len(secret) > 3]
    assert known
    for path in every_path(runs):
        text = ask(page_address, path).text
        assert not any(secret in text for secret in known), path


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_nothing_can_be_changed(page_address: str, runs: dict[str, RunRecord], method: str) -> None:
    for path in every_path(runs):
        assert ask(page_address, path, method).status == 405 or path == "/nowhere", path


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/nowhere", 404, "Not Found"),
        ("/runs/svd-0000000000000000", 404, "There is no run svd-0000000000000000"),
        ("/runs?state=odd", 400, "There is no state &#39;odd&#39;"),
        ("/runs?class=odd", 400, "There is no class"),
        ("/runs?key.odd=1", 400, "have no attribute"),
        ("/runs?sort=odd", 400, "can&#39;t be asked for"),
        (f"/runs?key.subject={'m' * 300}", 400, "200 are the most"),
        ("/runs/svd%00", 404, "There is no run"),
        ("/runs/%F0%9F%90%AD%0A", 404, "There is no run"),
        ("/runs?key.subject=2024-01%00", 400, "can&#39;t be asked for"),
        ("/static/../app.py", 404, "Not Found"),
        ("/static/%2e%2e/app.py", 404, "Not Found"),
    ],
)
def test_what_there_isnt_is_said(page_address: str, path: str, status: int, words: str) -> None:
    answer = ask(page_address, path)
    assert answer.status == status
    assert words in answer.text
    api = ask(page_address, path, Accept="application/json")
    assert api.status == status
    assert set(api.json) == {"problem"}


def test_a_log_of_no_attempt_is_said(page_address: str, runs: dict[str, RunRecord]) -> None:
    assert ask(page_address, f"/runs/{runs['memory'].run_id}/log?attempt=7").status == 404
    assert ask(page_address, f"/runs/{runs['memory'].run_id}/log?attempt=x").status == 400
    assert "no attempt" in ask(page_address, f"/runs/{runs['ready'].run_id}/log").text


def test_a_page_of_this_machine_answers_to_no_other_name(page_address: str) -> None:
    assert ask(page_address, "/", Host="lab.example.org").status == 400
    assert ask(page_address, "/", Host="localhost:8090").status == 200


def test_probes_are_answered(page_address: str) -> None:
    assert ask(page_address, "/healthz").json == {"ok": True}
    assert ask(page_address, "/readyz").json["ok"] is True


def test_news_come_as_events(page_address: str, runs: dict[str, RunRecord]) -> None:
    with contextlib.closing(connect(page_address)) as connection:
        connection.request("GET", "/events")
        answer = connection.getresponse()
        assert answer.getheader("Content-Type", "").startswith("text/event-stream")
        lines = iter(answer.readline, b"")
        assert next(line for line in lines if line.startswith(b"event: ")) == b"event: news\n"
        news = json.loads(next(lines).removeprefix(b"data: "))
    run_id = runs["launched"].run_id
    assert news["texts"][f"state.{run_id}"] == RunState.LAUNCHED.value
    assert news["bars"][run_id] == 0.3
    assert set(news["active"]) == {run_id, runs["ready"].run_id}


def test_no_more_listen_than_may(other_address: str) -> None:
    listeners = [connect(other_address) for _ in range(2)]
    try:
        for one in listeners:
            one.request("GET", "/events")
            assert one.getresponse().status == 200
        refused = ask(other_address, "/events")
        assert (refused.status, refused.headers["retry-after"]) == (503, "10")
        assert ask(other_address, "/").status == 200
    finally:
        for one in listeners:
            one.close()
