"""The command line against the demo's world."""

from __future__ import annotations

import json

import pytest

from fmdj_cloud.cli.compare import spec_of
from fmdj_cloud.cli.context import open_context
from fmdj_cloud.contracts import Basis, Engine
from fmdj_cloud.control.choose import select_tasks
from tests.integration.e2e.demo_world import Demo, fmdj

pytestmark = pytest.mark.integration


def test_status_counts_and_lists_runs(demo: Demo) -> None:
    result = demo.cli("status", "-o", "json")
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    assert report["counts"] == {"loaded": 6, "failed": 1}
    assert {run["run_id"] for run in report["runs"]} == {run["run_id"] for run in demo.report["runs"]}
    assert report["leader"] is None  # the demo has stopped its controller, which resigned


def test_status_in_words(demo: Demo) -> None:
    result = demo.cli("status", "--state", "failed")
    assert demo.run("truncated")["run_id"] in result.stdout
    assert demo.run("one-camera")["run_id"] not in result.stdout
    assert "No controller is running" in result.stdout


def test_explain_says_why_and_what_to_do(demo: Demo) -> None:
    result = demo.cli("explain", "subject=m1", "recording_id=4")
    assert result.returncode == 0, result.stderr
    words = " ".join(result.stdout.split())
    assert "truncated.avi" in words
    assert "Correct the video" in words


def test_explain_of_a_loaded_task_by_run_id(demo: Demo) -> None:
    result = demo.cli("explain", demo.run("one-camera")["run_id"], "-o", "json")
    (explanation,) = json.loads(result.stdout)
    assert explanation["state"] == "done"
    assert [attempt["outcome"] for attempt in explanation["attempts"]] == ["published"]


def test_plan_of_a_task_shows_what_it_would_become(demo: Demo) -> None:
    result = demo.cli("plan", "recording_id=2", "-o", "json")
    assert result.returncode == 0, result.stderr
    (line,) = json.loads(result.stdout)["demo"]["lines"]
    assert line["run_id"] == demo.run("two-views")["run_id"]
    assert line["estimate"]["frames"] == 2100
    assert line["estimate"]["source"] in ("RecordingInfo", "header")


def test_engines_are_compared_signal_by_signal(demo: Demo) -> None:
    result = demo.cli("compare", demo.run("one-camera")["run_id"], "-o", "json")
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert set(found["seconds"]) == {"facemap", "turbo"}
    measured = {(d["region"], d["signal"], d["measure"]): d["value"] for d in found["differences"]}
    assert measured["", "avgframe", "max difference"] < 1e-3
    assert measured["full frame", "motion", "max difference"] < 1e-6
    assert measured["full frame", "motSVD", "least |r| of 10"] > 0.99
    assert measured["full frame", "motSVD", "overlap of 10"] > 0.99
    assert measured["full frame", "motSVD", "energy"] > 0.9999


def test_engines_are_compared_on_one_task(demo: Demo) -> None:
    result = demo.cli("compare", "subject=m1")
    assert result.returncode == 2
    assert "say more of its key" in " ".join(result.stderr.split())


def test_engines_are_compared_as_the_task_would_be_launched(demo: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FMDJ_CONFIG", str(demo.workdir / "config.yaml"))
    with open_context(None) as context:
        (choice,) = select_tasks(context.labs, context.ledger, {"run_id": demo.run("truncated")["run_id"]})
        task = choice.tasks.get(choice.key)
        assert task is not None
        context.ledger.accept(task, ["missing_frames"], "somebody")
        spec = spec_of(context, choice, task, Engine.TURBO, Basis.EXACT)
        edited = task.model_copy(update={"param_digest": "of other parameters"})
        assert spec.accept == ("missing_frames",)
        assert spec_of(context, choice, edited, Engine.TURBO, Basis.EXACT).accept == ()


def test_poses_have_one_engine(demo: Demo) -> None:
    result = demo.cli("compare", demo.run("pose")["run_id"])
    assert result.returncode == 2
    assert "task of pose inference" in " ".join(result.stderr.split())


def test_plan_with_nothing_pending(demo: Demo) -> None:
    result = demo.cli("plan")
    assert result.returncode == 0, result.stderr
    assert "0 pending" in result.stdout


def test_logs_are_those_of_the_worker(demo: Demo) -> None:
    result = demo.cli("logs", "recording_id=1")
    assert result.returncode == 0, result.stderr
    assert demo.run("one-camera")["run_id"] in result.stdout


def test_a_log_belongs_to_one_task(demo: Demo) -> None:
    result = demo.cli("logs", "subject=m1")
    assert result.returncode == 2
    assert "matches 7 tasks" in result.stderr


def test_release_with_nothing_held(demo: Demo) -> None:
    result = demo.cli("release")
    assert result.returncode == 0, result.stderr
    assert "nothing was held" in result.stdout


def test_doctor_finds_everything_in_order_but_for_the_controller(demo: Demo) -> None:
    result = demo.cli("doctor", "-o", "json")
    assert result.returncode == 0, result.stdout + result.stderr
    verdicts = {finding["check"]: finding["verdict"] for finding in json.loads(result.stdout)}
    assert verdicts.pop("controller") == "warn"
    assert set(verdicts.values()) <= {"ok", "n/a"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("explain", "nonsense"), "is not understood"),
        (("explain", "subject=nobody"), "No task matches subject=nobody"),
        (("explain", "no_such_attribute=1"), "no_such_attribute"),
        (("explain", "svd-0000000000000000"), "There is no run svd-0000000000000000"),
        (("explain",), "Say which task"),
        (("status", "--pipeline", "other"), "There is no pipeline 'other'"),
    ],
)
def test_a_wrong_command_line_is_one_sentence(demo: Demo, arguments: tuple[str, ...], words: str) -> None:
    result = demo.cli(*arguments)
    assert result.returncode in (2, 20)
    assert words in result.stderr
    assert "Traceback" not in result.stderr


def test_without_settings_the_commands_say_what_is_missing() -> None:
    result = fmdj("status")
    assert result.returncode == 20
    assert "FMDJ_CONFIG" in result.stderr


def test_the_kept_servers_are_announced(demo: Demo) -> None:
    assert "fmdj demo --stop" in demo.output
    assert "export FMDJ_CONFIG=" in demo.output


def test_a_second_demo_in_the_same_folder_is_refused(demo: Demo) -> None:
    result = fmdj("demo", "--output-dir", str(demo.workdir))
    assert result.returncode == 2
    assert "fmdj demo --stop" in result.stderr
