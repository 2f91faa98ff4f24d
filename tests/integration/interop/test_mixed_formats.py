"""One release that serves a lab of DataJoint 0.14 and one of 2.x: each reads its own, and both read Run."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datajoint as dj
import datajoint.migrate
import numpy as np
import pytest
from typer.testing import CliRunner

from fmdj_cloud.cli.app import app
from fmdj_cloud.control.doctor import diagnose_installation
from fmdj_cloud.control.doctor_database import diagnose_schemas
from fmdj_cloud.control.finding import Verdict
from fmdj_cloud.demo.lab import declare_lab
from fmdj_cloud.pipeline import codec
from fmdj_cloud.pipeline.element import declare_element
from fmdj_cloud.pipeline.formats import Format, format_of
from fmdj_cloud.pipeline.lab import open_lab
from tests.support.datajoint014.client import LabError
from tests.support.datajoint014.lab import PIPELINE, OldLab
from tests.unit.load import conftest as svd

from .outputs import loaded

pytestmark = pytest.mark.integration
MakeLab = Callable[..., OldLab]
PUPIL = {"area": np.arange(5.0), "area_smooth": np.arange(5.0), "com": np.zeros((5, 2)), "com_smooth": np.ones((5, 2))}
PUPIL |= {"axdir": np.ones((5, 2, 2)), "axlen": np.zeros((5, 2))}
RESULT = {"subject": "m1", "session_id": 1, "recording_id": 1, "facemap_task_id": 0}


def new_element(lab: OldLab) -> Any:
    """An Element that DataJoint 2 declares beside the old lab's, with a result."""
    tables = declare_lab(lab.database, f"{lab.prefix}new_lab")
    element = declare_element(lab.database, f"{lab.prefix}new_behavior", linking_module=tables)
    tables.Subject.insert1({"subject": "m1"})
    tables.Session.insert1({"subject": "m1", "session_id": 1, "session_datetime": dt.datetime(2026, 1, 15)})
    tables.Device.insert1({"device": "cam"})
    recording = {name: RESULT[name] for name in ("subject", "session_id", "recording_id")}
    element.VideoRecording.insert1({**recording, "device": "cam"})
    element.FacemapTask.insert1({**RESULT, "facemap_params": {"sbin": 4}})
    element.FacemapProcessing.insert1({**RESULT, "processing_time": dt.datetime(2026, 1, 15)}, allow_direct_insert=True)
    element.FacialSignal.insert1(RESULT, allow_direct_insert=True)
    return element


def test_each_lab_reads_its_signals_and_both_read_the_runs(make_old_lab: MakeLab) -> None:
    lab = make_old_lab()
    ledger, old = lab.open()
    element = new_element(lab)
    settings = lab.settings.pipelines[0].model_copy(
        update={"name": "new", "behavior_schema": element.schema, "inference_schema": None}
    )
    new = open_lab(lab.database, ledger, settings)
    assert (old.element.format, new.element.format) == (Format.NATIVE, Format.CORE)
    assert (format_of(old.signals.Pupil), format_of(new.signals.Pupil)) == (Format.NATIVE, Format.CORE)

    key = lab.add_task({"subject": "m1"})
    loaded(lab, key)
    pupil = {**RESULT, "roi_no": 2, **PUPIL}
    new.signals.Pupil.insert1(codec.encode(new.signals.Pupil, pupil))

    theirs = lab.run(
        """
        our = element.opened(ours)
        result = len(FacialSignal * our.LabPupil), our.Run.fetch("run_id", "state"), our.Run.Attempt.fetch("folder")
        """
    )
    assert theirs[0] == 1
    (runs, states), _ = theirs[1:]
    with pytest.raises(LabError, match="Unknown attribute type"):
        lab.run("element.opened(ours).NewPupil.fetch()")

    schema = lab.server.ledger_schema
    opened = dj.VirtualModule("ours", schema, create_tables=False, connection=lab.database.connection)
    joined = element.FacialSignal().join(opened.NewPupil(), semantic_check=False)
    np.testing.assert_array_equal(joined.fetch1("axdir"), PUPIL["axdir"])
    assert [(row["run_id"], row["state"]) for row in opened.Run.to_dicts()] == [(runs[0], states[0])]
    assert len(opened.Run.Attempt.proj("folder") * opened.Run.Job.proj("job_name")) == 1
    old_pupil = opened.LabPupil.fetch1("area")  # 2.x takes blobs of 0.14 for bytes
    assert codec.decode(opened.LabPupil.heading["area"], old_pupil).shape == (svd.NFRAMES,)
    assert "~lineage" not in lab.database.tables(schema)


def test_doctor_says_what_format_each_lab_has(make_old_lab: MakeLab) -> None:
    lab = make_old_lab()
    opened = lab.open()[1]
    first, second = diagnose_schemas(lab.database, opened)
    assert (first.verdict, second.verdict) == (Verdict.OK, Verdict.OK)
    assert first.found == "They are those of element-facemap 0.3, declared by DataJoint 0.14."
    assert second.check == f"tables of {lab.prefix}inference"


def test_doctor_looks_at_an_old_lab_as_a_whole(make_old_lab: MakeLab) -> None:
    lab = make_old_lab()
    lab.open()
    found = {one.check: one for one in diagnose_installation(lab.settings)}
    wanted = {"writing", "binary log", "transaction size", "packet limit", "wait_timeout", "TLS", "grants"}
    assert {*wanted, "database version", f"tables of {lab.prefix}behavior", f"pipeline {PIPELINE}"} <= set(found)
    assert {name for name in (*wanted, "ledger") if found[name].verdict is Verdict.FAIL} == set()


def test_doctor_sees_a_migration_that_stopped_half_way(make_old_lab: MakeLab) -> None:
    lab = make_old_lab(shape="0.1")
    lab.open()
    table = f"{lab.prefix}behavior.facemap_task"
    lab.database.execute(f"ALTER TABLE {table} MODIFY facemap_params longblob NOT NULL COMMENT ':<blob>:'")
    (found,) = diagnose_schemas(lab.database, lab.open()[1])
    assert found.verdict is Verdict.WARN
    assert "those of element-facemap 0.1 or 0.2; MotionSVD, MovieSVD, Region, Summary are" in found.found
    assert "migrate_columns" in found.remedy
    key = {"subject": "m1", "recording_id": 1, "facemap_task_id": 0}
    lab.run(
        """
        Session.insert1(key, ignore_extra_fields=True)
        VideoRecording.insert1({**key, "device": "cam"}, ignore_extra_fields=True)
        """,
        key=key,
    )
    lab.open()[1].element.FacemapTask.insert1({**key, "facemap_params": {"sbin": 2}, "task_mode": "trigger"})
    loaded(lab, key)  # column by column


def test_doctor_sees_a_partial_lineage_and_columns_that_nobody_fills(make_old_lab: MakeLab) -> None:
    lab = make_old_lab(shape="0.1")
    opened = lab.open()[1]
    table = lab.database.quote(f"{lab.prefix}behavior", "~lineage")
    columns = "table_name varchar(64), attribute_name varchar(64), lineage varchar(255)"
    lab.database.execute(f"CREATE TABLE {table} ({columns}, PRIMARY KEY (table_name, attribute_name))")
    lab.before[f"{lab.prefix}behavior"].add("~lineage")
    lab.database.execute(f"ALTER TABLE {lab.prefix}behavior._facial_signal__region ADD COLUMN side char(1) NOT NULL")
    opened = lab.open()[1]
    found = {one.check: one for one in diagnose_schemas(lab.database, opened)}
    lineage = found[f"lineage of {lab.prefix}behavior"]
    assert (lineage.verdict, "lacks 10 tables" in lineage.found) == (Verdict.WARN, True)
    assert "rebuild_lineage()" in lineage.remedy
    unfilled = found[f"columns of {lab.prefix}behavior"]
    assert (unfilled.verdict, unfilled.found) == (Verdict.FAIL, "Region.side can't be NULL and have no default.")


def test_our_tables_follow_a_lab_that_migrates_to_datajoint_2(
    make_old_lab: MakeLab, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lab = make_old_lab("session_uuid : uuid\nsubject : varchar(8)")
    values = {"session_uuid": uuid.UUID(int=7), "subject": "m1"}
    loaded(lab, lab.add_task(values))
    for name in ("behavior", "inference"):
        schema = dj.Schema(f"{lab.prefix}{name}", connection=lab.database.connection, create_tables=False)
        datajoint.migrate.migrate_columns(schema, dry_run=False)
    (found, _) = diagnose_schemas(lab.database, lab.open()[1])
    assert (found.verdict, "fmdj migrate" in found.remedy) == (Verdict.WARN, True)

    config = tmp_path / "fmdj.yaml"
    config.write_text(lab.settings.model_dump_json(exclude_unset=True, exclude={"database"}))
    for name in ("host", "port", "user", "prefix"):
        monkeypatch.setenv(f"FMDJ_DATABASE__{name.upper()}", str(getattr(lab.server, name)))
    assert lab.server.password is not None
    monkeypatch.setenv("FMDJ_DATABASE__PASSWORD", lab.server.password.get_secret_value())
    monkeypatch.setenv("FMDJ_DATABASE__BACKEND", "mysql")
    monkeypatch.setenv("FMDJ_DATABASE__USE_TLS", "false")
    monkeypatch.setenv("FMDJ_CONFIG", str(config))
    answer = CliRunner().invoke(app, ["migrate"])
    assert "Running of lab are as DataJoint 2.x reads them" in " ".join(answer.output.split()), answer.output

    opened = lab.open()[1]
    found, _ = diagnose_schemas(lab.database, opened)
    assert (found.verdict, opened.element.format) == (Verdict.OK, Format.CORE)
    assert (opened.signals.Pupil & values).fetch1("area").shape == (svd.NFRAMES,)
    assert (opened.element.MotionSVD & values & "roi_no = 0").to_arrays("projection")[0].shape == (svd.NFRAMES,)
