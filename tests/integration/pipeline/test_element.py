"""The Element's tables: named and keyed as the Element's, usable as DataJoint tables, opened as they are."""

from __future__ import annotations

import threading
import types
from collections.abc import Callable

import datajoint as dj
import numpy as np
import pytest

from fmdj_cloud.contracts import Kind
from fmdj_cloud.errors import ConfigError, UsageError
from fmdj_cloud.pipeline import codec
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.element import declare_element, open_element
from fmdj_cloud.pipeline.ledger import Ledger
from fmdj_cloud.pipeline.signals import declare_signals, open_signals
from fmdj_cloud.settings import DatabaseSettings

from .conftest import SUBJECT_KEY, World, linking_module

pytestmark = pytest.mark.integration
Connect = Callable[[], Database]

ROI = {"roi_no": 0, "roi_name": "FullSVD", "motion": np.arange(5, dtype=np.float32)}
MASK = np.arange(6, dtype=np.float32).reshape(2, 3)


def _fill(world: World, key: dict) -> None:
    element = world.element
    world.add_result(key)
    element.Region.insert1({**key, **ROI}, allow_direct_insert=True)
    component = {**key, "roi_no": 0, "component_id": 0, "projection": np.arange(5.0)}
    element.MotionSVD.insert1({**component, "singular_value": 2.5, "motmask": MASK}, allow_direct_insert=True)
    element.MovieSVD.insert1({**component, "movmask": MASK}, allow_direct_insert=True)
    element.Summary.insert1({**key, "sbin": 4, "avgframe": MASK, "avgmotion": MASK}, allow_direct_insert=True)


def test_tables_have_the_elements_names_and_keys(world: World) -> None:
    assert world.database.tables(world.element.schema) >= {
        "video_recording",
        "video_recording__file",
        "_recording_info",
        "facemap_task",
        "__facemap_processing",
        "_facial_signal",
        "_facial_signal__region",
        "_facial_signal__motion_s_v_d",
        "_facial_signal__movie_s_v_d",
        "_facial_signal__summary",
    }
    assert world.element.MotionSVD.primary_key == [
        *("subject", "recording_id", "facemap_task_id", "roi_no", "component_id")
    ]
    assert world.element.component == "component_id"


def test_rows_of_every_table_come_back_as_they_went(world: World) -> None:
    key = world.add_task(facemap_params={"sbin": 4, "rois": [{"ellipse": np.eye(3, dtype=bool)}]})
    _fill(world, key)
    element = world.element
    params = (element.FacemapTask & key).fetch1("facemap_params")
    np.testing.assert_array_equal(params["rois"][0]["ellipse"], np.eye(3, dtype=bool))
    np.testing.assert_array_equal((element.MotionSVD & key).fetch1("motmask"), MASK)
    assert (element.MotionSVD & key).fetch1("singular_value") == 2.5
    assert (element.MovieSVD & key).fetch1("singular_value") is None
    joined = (element.FacialSignal * element.Region * element.MotionSVD & key).fetch1()
    assert (joined["roi_name"], joined["component_id"]) == ("FullSVD", 0)
    assert (element.Region & key).fetch1("xrange") is None


def test_deleting_a_task_deletes_its_results(world: World) -> None:
    kept, gone = world.add_task(1), world.add_task(2)
    for key in (kept, gone):
        _fill(world, key)
    (world.element.FacemapTask & gone).delete(prompt=False)
    for table in (world.element.FacialSignal, world.element.MotionSVD, world.element.Summary):
        assert len(table()) == 1
    (world.session & kept).delete(prompt=False)
    assert len(world.element.FacemapTask()) == 0


def test_populate_says_who_fills_the_table(world: World) -> None:
    key = world.add_task()
    recording = {name: key[name] for name in ("subject", "recording_id")}
    assert len(world.element.FacemapProcessing().key_source) == 0  # no files yet
    world.element.VideoFile.insert1({**recording, "file_id": 0, "file_path": "v.avi"})
    with pytest.raises(UsageError, match="FacemapProcessing is not filled by populate"):
        world.element.FacemapProcessing.populate()


def test_declaring_twice_changes_nothing(world: World) -> None:
    key = world.add_task()
    linked = types.SimpleNamespace(Session=world.session, Device=world.element.VideoRecording.parents(as_objects=True))
    linked.Device = next(table for table in linked.Device if "device" in table.full_table_name)
    again = declare_element(world.database, world.element.schema, linking_module=linked)
    assert (again.FacemapTask & key).fetch1("facemap_params") == {"sbin": 4}


def test_a_linking_module_without_a_table_is_named(world: World) -> None:
    with pytest.raises(ConfigError, match=r"lab_tables has no table Session and no Device"):
        declare_element(world.database, "x", linking_module=types.ModuleType("lab_tables"))


def test_an_element_is_opened_by_another_connection(world: World, connect: Connect) -> None:
    key = world.add_task()
    _fill(world, key)
    element = open_element(connect(), world.element.schema)
    assert (element.Region & key).fetch1("roi_name") == "FullSVD"
    assert len(element.FacemapTask - element.FacialSignal) == 0
    element.Region.insert1({**key, "roi_no": 1}, allow_direct_insert=True)
    (element.FacialSignal & key).delete(prompt=False)
    assert len(world.element.Region()) == 0


def test_opening_what_is_not_there_creates_nothing(world: World) -> None:
    with pytest.raises(ConfigError, match="no_such_schema"):
        open_element(world.database, "no_such_schema")
    with pytest.raises(ConfigError, match="no VideoRecording"):
        open_element(world.database, world.database.ledger_schema)
    assert world.database.tables("no_such_schema") == set()


def test_the_older_name_of_components_is_recognised(make_world, database_settings) -> None:
    world = make_world(SUBJECT_KEY)
    for table in (world.element.MotionSVD, world.element.MovieSVD):
        world.database.execute(f"ALTER TABLE {table.full_table_name} RENAME COLUMN component_id TO pc_no")
    other = Database(database_settings)
    assert open_element(other, world.element.schema).component == "pc_no"
    other.close()


def test_a_column_without_a_codec_is_packed_and_unpacked_by_us(make_world, database_settings) -> None:
    """What a 0.14 schema looks like to a 2.x client: blobs without a codec in the heading."""
    world = make_world(SUBJECT_KEY)
    key = world.add_task()
    before = world.tasks.param_digests([key])
    column = f"{world.element.FacemapTask.full_table_name}.facemap_params"
    if world.database.backend == "postgresql":
        world.database.execute(f"COMMENT ON COLUMN {column} IS 'content of _proc.npy'")
    else:
        table = world.element.FacemapTask.full_table_name
        world.database.execute(f"ALTER TABLE {table} MODIFY facemap_params LONGBLOB NOT NULL COMMENT 'plain'")
    database = Database(database_settings)
    element = open_element(database, world.element.schema)
    assert element.FacemapTask.heading["facemap_params"].codec is None
    old = type(world)(database, element, world.session)
    assert old.task(key).params == {"sbin": 4}  # the bytes are the same
    assert old.tasks.param_digests([key]) == before
    params = {"sbin": 2, "rois": [{"yrange": np.arange(4)}]}
    row = codec.encode(element.FacemapTask, {**key, "facemap_task_id": 1, "facemap_params": params})
    assert isinstance(row["facemap_params"], bytes)
    element.FacemapTask.insert1(row)
    np.testing.assert_array_equal(old.task({**key, "facemap_task_id": 1}).params["rois"][0]["yrange"], np.arange(4))
    raw = (element.FacemapTask & {**key, "facemap_task_id": 1}).fetch1("facemap_params")
    assert codec.decode(element.FacemapTask.heading["facemap_params"], raw)["sbin"] == 2
    database.close()


def test_signal_tables_share_the_key_of_facial_signal(world: World, connect: Connect) -> None:
    key = world.add_task()
    _fill(world, key)
    signals = declare_signals(world.database, world.element, "lab_1")
    trace = np.linspace(0, 1, 5)
    pupil = dict.fromkeys(("area", "area_smooth"), trace) | dict.fromkeys(("com", "com_smooth"), np.zeros((5, 2)))
    pupil |= {"axdir": np.zeros((5, 2, 2)), "axlen": np.ones((5, 2))}
    for table, columns in ((signals.Pupil, pupil), (signals.Blink, {"trace": trace})):
        table.insert1(codec.encode(table, {**key, "roi_no": 2, **columns}))
    signals.Running.insert1({**key, "roi_no": 3, "displacement": np.ones((5, 2))})
    joined = world.element.FacialSignal().join(signals.Pupil(), semantic_check=False)
    np.testing.assert_array_equal((joined & {"roi_no": 2}).fetch1("area"), trace)
    opened = open_signals(connect(), "lab_1")
    np.testing.assert_array_equal((opened.Blink & key).fetch1("trace"), trace)
    assert opened.Running.fetch1("displacement").shape == (5, 2)
    assert declare_signals(world.database, world.element, "lab_1").Pupil.full_table_name == opened.Pupil.full_table_name
    assert not signals.Pupil().parents()
    (world.element.FacemapTask & key).delete(prompt=False)  # our tables are not in its way
    assert len(opened.Pupil()) == 1


def test_processes_that_start_at_once_declare_everything_once(database_settings: DatabaseSettings) -> None:
    errors: list[BaseException] = []
    databases = [Database(database_settings) for _ in range(4)]
    declared = [linking_module(databases[0], f"{database_settings.prefix}lab", SUBJECT_KEY)] + [
        open_lab_tables(database, f"{database_settings.prefix}lab") for database in databases[1:]
    ]

    def start(database: Database, linked: object) -> None:
        try:
            element = declare_element(database, f"{database_settings.prefix}behavior", linking_module=linked)
            Ledger(database).attach("lab", Kind.SVD, element.FacemapTask)
            declare_signals(database, element, "lab")
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=start, args=pair) for pair in zip(databases, declared, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert databases[0].tables(database_settings.ledger_schema) >= {"run", "lab_binding_svd", "lab_pupil", "run__job"}
    for database in databases:
        database.close()


def open_lab_tables(database: Database, name: str) -> object:
    return dj.VirtualModule(name, name, create_schema=False, connection=database.connection)


def test_signal_tables_that_are_not_declared_are_missed(world: World) -> None:
    with pytest.raises(ConfigError, match="'nobody'"):
        open_signals(world.database, "nobody")
