"""A schema that DataJoint 0.14 declared is opened as it is: tasks read, rows of ours in its format, nothing altered."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import datajoint as dj
import numpy as np
import pytest
from pydantic import SecretStr

from fmdj_cloud.contracts import Kind
from fmdj_cloud.control.grants import Program, database_grants, grant_statements
from fmdj_cloud.errors import ConfigError
from fmdj_cloud.load.results import LoadEnd
from fmdj_cloud.names import canonical_key
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.element import declare_element
from fmdj_cloud.pipeline.formats import Format
from fmdj_cloud.pipeline.inference import declare_inference
from fmdj_cloud.pipeline.recordings import insert_load_tasks
from tests.support.datajoint014.lab import OLD, OldLab
from tests.unit.load import conftest as svd

from .outputs import SESSIONS, loaded, written

pytestmark = pytest.mark.integration
MakeLab = Callable[..., OldLab]


@pytest.mark.parametrize("keys", SESSIONS)
def test_tasks_are_found_by_keys_of_any_kind(make_old_lab: MakeLab, keys: str) -> None:
    session, values, shape = SESSIONS[keys]
    lab = make_old_lab(session, shape)
    key = lab.add_task(values)
    tasks = lab.open()[1].tasks(Kind.SVD)
    assert list(map(canonical_key, tasks.pending(10))) == [canonical_key(key)]
    assert tasks.select(key) == tasks.select("facemap_task_id = 0") == tasks.pending(1)
    assert tasks.select({name: value for name, value in key.items() if name in values}) == tasks.pending(1)
    task = tasks.get(key)
    assert task is not None
    assert (task.params, task.files) == ({"sbin": 4}, ((0, "m1/face.avi"),))
    assert set(tasks.param_digests([key])) == {canonical_key(key)}


def test_what_the_gui_exported_is_read_as_the_lab_wrote_it(make_old_lab: MakeLab) -> None:
    lab = make_old_lab()
    roi = {"rind": 0, "ellipse": np.eye(4, dtype=bool), "yrange": np.arange(4), "pupil_sigma": np.float64(2.5)}
    exported = {"rois": [roi], "sbin": 4, "filenames": [["a.avi", "b.avi"]], "motSVD": [np.zeros((3, 2), np.float32)]}
    key = lab.add_task({"subject": "m1"}, facemap_params=exported)
    task = lab.open()[1].tasks(Kind.SVD).get(key)
    assert task is not None
    np.testing.assert_array_equal(task.params["rois"][0]["ellipse"], roi["ellipse"])
    assert task.params["rois"][0]["pupil_sigma"] == 2.5
    assert task.params["filenames"] == [["a.avi", "b.avi"]]
    assert task.params["motSVD"][0].dtype == np.float32


def test_a_result_that_the_lab_deletes_makes_the_task_pending_again(make_old_lab: MakeLab) -> None:
    lab = make_old_lab(shape=OLD)
    key = lab.add_task({"subject": "m1"})
    tasks = lab.open()[1].tasks(Kind.SVD)
    loaded(lab, key)
    assert tasks.pending(10) == []
    lab.run("(FacemapProcessing & key).delete()", key=key)
    assert tasks.pending(10) == [key]
    loaded(lab, key)
    count = lab.run("result = len(FacialSignal.MotionSVD & key), len(element.opened(ours).LabPupil & key)", key=key)
    assert count == [2 * svd.COMPONENTS, 1]


def test_tasks_of_ours_are_the_labs_to_read(make_old_lab: MakeLab) -> None:
    lab = make_old_lab()
    key = lab.add_task({"subject": "m1"})
    recording = {"subject": "m1", "recording_id": 1}
    insert_load_tasks(lab.open()[1].element, [(recording, 5, "m1/facemap_5")])
    row = lab.run("result = (FacemapTask & key).fetch1()", key={**key, "facemap_task_id": 5})
    assert (row["task_mode"], row["facemap_params"], row["facemap_output_dir"]) == ("load", {}, "m1/facemap_5")


def test_our_tables_are_in_the_labs_format_and_describe_themselves(make_old_lab: MakeLab) -> None:
    lab = make_old_lab("session_uuid : uuid")
    opened = lab.open()[1]
    assert opened.element.format is Format.NATIVE
    tables = lab.run(
        """
        our = element.opened(ours)
        result = {table.__name__: (table.describe(printout=False), repr(table()))
                  for table in (our.Run, our.Run.Attempt, our.Run.Job, our.LabPupil, our.LabRunning, our.Claim,
                                our.LabBindingSvd, our.SchemaVersion, our.Pipeline, our.Request, our.Leader)}
        """,
    )
    described = tables["LabPupil"][0]
    assert "session_uuid         : uuid" in described
    assert "area                 : longblob                     # (nframes) float64, pixels" in described
    assert "Run.Attempt\n" in tables["Job"][0]
    assert "~lineage" not in lab.database.tables(lab.database.ledger_schema)


@pytest.mark.parametrize("default", ["latin1 COLLATE latin1_swedish_ci", "utf8mb4 COLLATE utf8mb4_unicode_ci"])
def test_strings_of_any_character_set_are_compared(
    make_old_lab: MakeLab, mysql_server: Any, default: str, tmp_path: Any
) -> None:
    admin = Database(mysql_server)
    prefix = f"{mysql_server.prefix}set_{default.split()[0]}_"
    for name in ("lab", "behavior"):
        admin.execute(f"CREATE DATABASE {prefix}{name} CHARACTER SET {default}")
    admin.close()
    lab = make_old_lab(shape=OLD, prefix=prefix)
    key = lab.add_task({"subject": "Gr\u00fcn"})
    tasks = lab.open()[1].tasks(Kind.SVD)
    assert tasks.pending(1) == [key]
    loaded(lab, key)
    assert tasks.pending(1) == []
    assert lab.run("result = len(FacialSignal * element.opened(ours).LabPupil & key)", key=key) == 1


def test_a_lineage_that_somebody_left_behind_is_in_nobodys_way(make_old_lab: MakeLab) -> None:
    lab = make_old_lab()
    table = lab.database.quote(f"{lab.prefix}behavior", "~lineage")
    lab.database.execute(
        f"CREATE TABLE {table} (table_name varchar(64), attribute_name varchar(64), lineage varchar(255), "
        "PRIMARY KEY (table_name, attribute_name))"
    )
    lab.database.execute(f"INSERT INTO {table} VALUES ('facemap_task', 'subject', 'x.session.subject')")
    lab.before[f"{lab.prefix}behavior"].add("~lineage")
    key = lab.add_task({"subject": "m1"})
    loaded(lab, key)
    assert lab.open()[1].tasks(Kind.SVD).pending(1) == []
    assert lab.database.query(f"SELECT COUNT(*) FROM {table}") == [(1,)]


def test_a_recording_too_long_for_an_old_recording_info_is_loaded_without_it(
    make_old_lab: MakeLab, caplog: pytest.LogCaptureFixture
) -> None:
    lab = make_old_lab(shape=OLD)
    lab.database.execute(f"ALTER TABLE {lab.prefix}behavior._recording_info MODIFY nframes tinyint NOT NULL")
    key = lab.add_task({"subject": "m1"})
    with caplog.at_level(logging.WARNING):
        loaded(lab, key, nframes=200)
    assert "holds at most 127, and this recording has 200" in caplog.text
    assert lab.run("result = len(RecordingInfo()), len(FacialSignal())") == [0, 1]


def test_an_unsigned_column_holds_twice_as_many_frames(make_old_lab: MakeLab) -> None:
    lab = make_old_lab(shape=OLD)
    lab.database.execute(f"ALTER TABLE {lab.prefix}behavior._recording_info MODIFY nframes tinyint unsigned NOT NULL")
    key = lab.add_task({"subject": "m1"})
    loaded(lab, key, nframes=200)
    assert lab.run("result = RecordingInfo().fetch1('nframes'), len(FacialSignal())") == [200, 1]


def test_values_kept_in_a_store_of_the_labs_own_are_refused(make_old_lab: MakeLab) -> None:
    lab = make_old_lab(shape=OLD)
    column = (
        f"{lab.prefix}behavior._facial_signal__summary MODIFY avgframe binary(16) NOT NULL COMMENT ':blob@raw:mean'"
    )
    lab.database.execute(f"ALTER TABLE {column}")
    with pytest.raises(ConfigError, match=r"avgframe of .* is of the type blob@raw, whose values lie in a store"):
        lab.open()


def test_a_column_that_nobody_fills_is_a_final_failure_that_names_it(make_old_lab: MakeLab) -> None:
    lab = make_old_lab(shape=OLD)
    lab.database.execute(f"ALTER TABLE {lab.prefix}behavior.__facemap_processing ADD COLUMN rig varchar(8) NOT NULL")
    key = lab.add_task({"subject": "m1"})
    (result,) = loaded(lab, key, end=LoadEnd.FAILED)
    assert "rig" in result.sentence


def test_nothing_is_declared_beside_tables_of_datajoint_0_14(make_old_lab: MakeLab) -> None:
    lab = make_old_lab()
    schema = f"{lab.prefix}behavior"
    linked = dj.VirtualModule("lab", f"{lab.prefix}lab", create_tables=False, connection=lab.database.connection)
    with pytest.raises(ConfigError, match=r"declared by DataJoint 0\.14, and can't be declared by 2\.x too"):
        declare_element(lab.database, schema, linking_module=linked)
    with pytest.raises(ConfigError, match="would keep the lab's clients from deleting"):
        declare_inference(lab.database, f"{lab.prefix}inference", element=lab.open()[1].element)


def test_a_loader_with_its_granted_rights_alone_serves_an_old_lab(make_old_lab: MakeLab) -> None:
    lab = make_old_lab()
    key = lab.add_task({"subject": "m1"})
    lab.publish(key, written(lab, key), svd.manifest(), svd=svd.params())
    user = lab.prefix + "loader"
    lab.database.execute(f"CREATE USER '{user}'@'%' IDENTIFIED BY 'secret'")
    grants = database_grants(Program.LOADER, lab.database, [lab.open()[1]])
    for statement in grant_statements(grants, "mysql", user):
        lab.database.execute(statement)
    loader = lab.server.model_copy(update={"user": user, "password": SecretStr("secret")})
    admin, lab.database = lab.database, Database(loader)
    try:
        assert [result.end for result in lab.load()] == [LoadEnd.LOADED]
    finally:
        lab.database.close()
        lab.database = admin
