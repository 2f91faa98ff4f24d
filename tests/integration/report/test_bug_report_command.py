"""`fmdj bug-report` gathers what an issue needs; no secret is in it, wherever it stood."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable

import pytest

from fmdj_cloud.cli import app
from fmdj_cloud.contracts import FailureClass, Kind, Outcome, RunState
from tests.integration.export.conftest import Recorded
from tests.integration.load.killing import settings_json

pytestmark = pytest.mark.integration
CANARIES = ("c4n4ry-of-the-secrets-folder", "c4n4ry-of-the-environment", "c4n4ry-in-a-url", "AKIAC4N4RYC4N4RYC4N4")
LOG = f"""fetching from mysql://ada:{CANARIES[2]}@db.lab:3306/raw with {CANARIES[3]}
X_TOKEN={CANARIES[1]} and {CANARIES[0]} on node-7
Traceback (most recent call last):
  File "/opt/venv/lib/python3.11/site-packages/fmdj_cloud/worker/svd/child.py", line 9, in main
  File "/opt/venv/lib/python3.11/site-packages/facemap/process.py", line 400, in run
ValueError: cannot convert float NaN to integer
"""


@pytest.fixture
def fmdj(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    config = recorded.folder / "config.yaml"
    config.write_text(settings_json(recorded.pose))  # JSON is YAML
    secrets = recorded.folder / "secrets"
    secrets.mkdir()
    (secrets / "fmdj_storage__s3__session_token").write_text(CANARIES[0])
    monkeypatch.setenv("FMDJ_CONFIG", str(config))
    monkeypatch.setenv("FMDJ_SECRETS_DIR", str(secrets))
    monkeypatch.setenv("X_TOKEN", CANARIES[1])
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["fmdj", "bug-report", *words])
        capsys.readouterr()
        try:
            code = int(app.main())
        except SystemExit as end:
            code = int(end.code or 0)
        finally:
            root.handlers[:] = handlers
            root.setLevel(level)
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def test_a_crashed_run_is_told_without_secrets_and_for_the_right_project(
    recorded: Recorded, fmdj: Callable[..., tuple[int, str, str]]
) -> None:
    run = recorded.svd.launch(_task(recorded), content="crashes")
    folder = f"{run.output_dir}/a{run.attempt}"
    recorded.store.put_bytes(f"{folder}/n1/run.log", LOG.encode())
    crash = Outcome(failure_class=FailureClass.CRASH, sentence="The worker crashed.", evidence={"node": "node-7"})
    assert recorded.ledger.fail(run.run_id, RunState.LAUNCHED, run.attempt, crash, epoch=recorded.svd.epoch)

    out = recorded.folder / "report.md"
    code, _, said = fmdj(run.run_id, "--to", str(out))
    assert code == 0
    assert "It is for Facemap: https://github.com/MouseLand/facemap/issues" in said
    text = out.read_text("utf-8")
    for canary in CANARIES:
        assert canary not in text
    password = json.loads((recorded.folder / "config.yaml").read_text())["database"].get("password")
    assert not password or password not in text
    for kept in (
        "db.lab:3306",
        "node-7",
        run.run_id,
        folder,
        "facemap/process.py",
        "The worker crashed.",
        "fmdj doctor",
    ):
        assert kept in text
    assert "spec.json of attempt 1" in text
    assert len(text) < 65_536


def test_an_older_attempt_is_told_by_how_that_one_failed(
    recorded: Recorded, fmdj: Callable[..., tuple[int, str, str]]
) -> None:
    run = recorded.svd.launch(_task(recorded), content="crashes, then needs more memory")
    recorded.store.put_bytes(f"{run.output_dir}/a{run.attempt}/n1/run.log", LOG.encode())
    crash = Outcome(failure_class=FailureClass.CRASH, sentence="The worker crashed.")
    assert recorded.ledger.retry(run.run_id, 1, crash, not_before_s=0, epoch=recorded.svd.epoch)
    memory = Outcome(failure_class=FailureClass.MEMORY, sentence="It needs more memory than there is.")
    assert recorded.ledger.fail(run.run_id, RunState.READY, 2, memory, epoch=recorded.svd.epoch)

    assert "It is for Facemap" in fmdj(run.run_id, "--attempt", "1", "--to", "-")[2]
    assert "It is for fmdj-cloud" in fmdj(run.run_id, "--to", "-")[2]


def test_a_loaded_run_and_no_run_at_all_have_a_report_too(
    recorded: Recorded, fmdj: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = next(run for run in recorded.ledger.runs() if run.task_kind is Kind.SVD)
    code, text, said = fmdj(run.run_id, "--to", "-")
    assert code == 0
    assert "<summary>Manifest</summary>" in text
    assert "<summary>Quality checks</summary>" in text
    assert "It is for fmdj-cloud" in said
    assert fmdj("subject=nobody", "--to", "-")[0] == 2
    assert fmdj(run.run_id, "--attempt", "9", "--to", "-")[0] == 2

    monkeypatch.setenv("FMDJ_DATABASE__PORT", "1")  # where nobody listens
    monkeypatch.setenv("FMDJ_DATABASE__HOST", "127.0.0.1")
    code, text, said = fmdj(run.run_id, "--to", "-")
    assert code == 0
    assert "The task can't be looked at" in text
    assert "`fmdj doctor` finds fault with" in said


def _task(recorded: Recorded) -> dict:
    recorded.svd.tasks = 7
    return recorded.svd.insert_task()
