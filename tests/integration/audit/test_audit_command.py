"""`fmdj audit` tells what it finds as it comes, mends with the rights that are printed, and goes on past damage."""

from __future__ import annotations

import contextlib
import json
import logging
import sys
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from fmdj_cloud.audit import look
from fmdj_cloud.audit.findings import Certainty
from fmdj_cloud.cli import app
from fmdj_cloud.contracts import Kind
from fmdj_cloud.control.grants import Program, database_grants, grant_statements
from fmdj_cloud.errors import DatabaseError
from fmdj_cloud.pipeline.database import Database
from tests.integration.audit.conftest import Audited, checks_of, look_at
from tests.integration.load.killing import settings_json

pytestmark = pytest.mark.integration
C = Certainty.CERTAIN


def test_a_damaged_value_is_a_finding_and_the_audit_goes_on(
    audited: Audited, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fmdj = _command(audited, monkeypatch, capsys)
    svd, pose = audited.load()
    audited.update(audited.lab.element.Region, {**svd, "roi_no": 1}, motion=b"mYm\0A" + b"\xff" * 40)
    report = look_at(audited, svd, really=True)
    assert (checks_of(report), report.repaired) == ({("unreadable", C)}, False)
    assert "The rows of FacialSignal" in report.findings[0].sentence
    assert look_at(audited, pose, Kind.POSE).sound
    code, out = fmdj("-o", "json")
    assert (code, [[one["check"] for one in report["findings"]] for report in json.loads(out)]) == (
        1,
        [["unreadable"], []],
    )


def test_what_was_found_is_told_though_the_audit_ends(
    audited: Audited, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fmdj = _command(audited, monkeypatch, capsys)
    svd, _ = audited.load()
    audited.leave_motion_early(svd)

    def gone(*_: object) -> None:
        raise DatabaseError("The database is gone.")

    # the first result's rows are read, and the second's can't be
    monkeypatch.setattr(look, "read_pose", gone)
    monkeypatch.setattr(Database, "ensure_connected", gone)
    code, out = fmdj("-o", "json")
    assert code == DatabaseError.exit_code
    assert [report["table"] for report in json.loads(out)] == ["FacemapTask"]
    code, out = fmdj()
    assert code == DatabaseError.exit_code
    assert "has a motion one frame early" in out


@pytest.fixture
def mender(audited: Audited) -> Iterator[Audited]:
    """The lab, as a user sees it who has the rights that `fmdj grants repair` prints, and no others."""
    audited.load()  # our tables are there
    admin, name = audited.pose.database, f"t{uuid.uuid4().hex[:10]}"
    old = admin.backend != "postgresql"
    admin.execute(f"CREATE USER '{name}'@'%' IDENTIFIED BY 'x'" if old else f"CREATE ROLE {name} LOGIN PASSWORD 'x'")
    for statement in grant_statements(database_grants(Program.REPAIR, admin, [audited.lab]), admin.backend, name):
        admin.execute(statement.rstrip(";"))
    settings = audited.settings.database.model_copy(update={"user": name, "password": SecretStr("x")})
    audited.pose.settings = audited.settings.model_copy(update={"database": settings})
    yield audited
    audited.pose.settings = audited.settings
    admin.execute(f"DROP USER '{name}'@'%'" if old else f"DROP OWNED BY {name}")
    if not old:
        admin.execute(f"DROP ROLE {name}")


def test_the_rights_that_grants_prints_are_enough(
    mender: Audited, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fmdj = _command(mender, monkeypatch, capsys)
    (svd,) = mender.lab.element.FacialSignal.keys()
    (pose,) = mender.pose.inference.FacemapInference.keys()
    mender.leave_motion_early(svd)
    mender.multiply_duration(svd)
    mender.update(mender.pose.inference.FacemapInference, pose, total_frame_count=40)
    code, out = fmdj("--repair", "--yes", "--keep", str(mender.folder / "kept"))
    assert (code, "2 results: 2 mended" in out) == (0, True), out
    with contextlib.closing(Database(mender.pose.settings.database)) as database:
        for table in (
            mender.lab.element.FacialSignal,
            mender.lab.element.FacemapTask,
            mender.lab.element.RecordingInfo,
        ):
            with pytest.raises(DatabaseError):
                database.execute(f"DELETE FROM {table.full_table_name}")


def _command(audited: Audited, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    (audited.folder / "config.yaml").write_text(settings_json(audited.pose))  # JSON is YAML
    monkeypatch.setenv("FMDJ_CONFIG", str(audited.folder / "config.yaml"))
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level

    def fmdj(*words: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["fmdj", "audit", *words])
        capsys.readouterr()
        try:
            code = int(app.main())
        except SystemExit as end:
            code = int(end.code or 0)
        finally:
            root.handlers[:] = handlers
            root.setLevel(level)
        return code, capsys.readouterr().out

    return fmdj


def test_the_command_tells_and_mends(
    audited: Audited, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fmdj = _command(audited, monkeypatch, capsys)
    svd, _ = audited.load()
    code, out = fmdj()
    assert (code, "2 results: 2 sound; 0 of them have no files" in out) == (0, True)
    audited.leave_motion_early(svd)
    code, out = fmdj("-o", "json", f"recording_id={svd['recording_id']}")
    (report,) = json.loads(out)
    assert (code, report["task"], {one["check"] for one in report["findings"]}) == (
        *(1, f"subject=m1 session_id=1 recording_id={svd['recording_id']} facemap_task_id=0"),
        {"alignment"},
    )
    kept = audited.folder / "kept"
    assert fmdj("--repair", "--keep", str(kept))[0] == 1
    assert not kept.exists()
    code, out = fmdj("--repair", "--yes", "--keep", str(kept))
    assert (code, "1 sound, 1 mended" in out, len(list(kept.iterdir()))) == (0, True, 1)
    assert fmdj("--yes")[0] == 2
