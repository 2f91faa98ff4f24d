"""The pure parts: types of copied keys, names of tables, what fits a column, blobs of both formats."""

from __future__ import annotations

import json
import tracemalloc
import types
import uuid
import zlib

import numpy as np
import pytest
from datajoint import blob
from datajoint.declare import match_type
from datajoint.heading import Attribute, default_attribute_properties
from datajoint.utils import from_camel_case
from hypothesis import given
from hypothesis import strategies as st

from fmdj_cloud.contracts import Kind, Outcome
from fmdj_cloud.errors import ConfigError
from fmdj_cloud.names import params_digest
from fmdj_cloud.pipeline import codec
from fmdj_cloud.pipeline.keys import key_type
from fmdj_cloud.pipeline.ledger_rows import evidence_json, failure_of, fit
from fmdj_cloud.pipeline.ledger_tables import EVIDENCE_MAX, binding_table, class_name


def attribute(type_: str, **properties: object) -> Attribute:
    return Attribute(**{**default_attribute_properties, "name": "x", "type": type_, **properties})


@pytest.mark.parametrize(
    ("backend", "found", "copied"),
    [
        ("postgresql", "integer", "int32"),
        ("postgresql", "smallint", "int16"),
        ("postgresql", "bigint", "int64"),
        ("postgresql", "boolean", "bool"),
        ("postgresql", "real", "float32"),
        ("postgresql", "double precision", "float64"),
        ("postgresql", "timestamp without time zone", "datetime(6)"),
        ("postgresql", "time without time zone", "time"),
        ("postgresql", "date", "date"),
        ("postgresql", "uuid", "uuid"),
        ("postgresql", "varchar(8)", "varchar(8)"),
        ("postgresql", "char(36)", "char(36)"),
        ("postgresql", "decimal(6,2)", "decimal(6,2)"),
        ("postgresql", "decimal(6)", "decimal(6,0)"),
        ("mysql", "int", "int32"),
        ("mysql", "int unsigned", "int unsigned"),
        ("mysql", "tinyint", "int8"),
        ("mysql", "mediumint", "mediumint"),
        ("mysql", "datetime", "datetime"),
        ("mysql", "datetime(6)", "datetime(6)"),
        ("mysql", "time", "time"),
        ("mysql", "enum('a','b')", "enum('a','b')"),
        ("mysql", "decimal(4,1)", "decimal(4,1)"),
    ],
)
def test_key_types_are_copied_into_types_that_datajoint_declares(backend: str, found: str, copied: str) -> None:
    assert key_type(attribute(found), backend, "session") == copied
    match_type(copied)


def test_a_uuid_is_one_whatever_the_server_calls_it() -> None:
    assert key_type(attribute("binary(16)", uuid=True), "mysql", "session") == "uuid"


@pytest.mark.parametrize(
    ("backend", "found"), [("postgresql", "enum_1a2b"), ("postgresql", "enum('a')"), ("mysql", "binary(16)")]
)
def test_a_key_type_that_cannot_be_copied_is_named(backend: str, found: str) -> None:
    with pytest.raises(ConfigError, match="session"):
        key_type(attribute(found), backend, "session")


PIPELINES = st.from_regex(r"[a-z][a-z0-9_]{0,23}", fullmatch=True)


@given(PIPELINES, PIPELINES)
def test_no_two_pipelines_share_a_table(one: str, other: str) -> None:
    for suffix in ("Pupil", "Blink", "Running", "BindingSvd", "BindingPose"):
        tables = [from_camel_case(class_name(name, suffix)) for name in (one, other)]
        assert (tables[0] == tables[1]) is (one == other)
        assert all(len(table) <= 60 for table in tables)


@pytest.mark.parametrize("pair", [("lab_1", "lab1"), ("a_b", "ab"), ("a__b", "a_b"), ("lab_", "lab")])
def test_names_that_look_alike_are_told_apart(pair: tuple[str, str]) -> None:
    assert binding_table(pair[0], Kind.SVD) != binding_table(pair[1], Kind.SVD)


@given(st.text(st.characters(), max_size=300), st.integers(10, 100))
def test_text_fits_and_can_be_encoded(text: str, limit: int) -> None:
    fitted = fit(text, limit)
    assert len(fitted) <= limit
    assert "\0" not in fitted
    fitted.encode("utf-8")


@given(st.dictionaries(st.text(max_size=200), st.text(max_size=3000), max_size=30), st.text(max_size=20))
def test_evidence_is_json_that_fits_its_column(evidence: dict[str, str], check: str) -> None:
    text = evidence_json(Outcome(failure_class="crash", evidence=evidence, check=check))
    assert len(text) <= EVIDENCE_MAX
    assert text.isascii()
    assert all(isinstance(value, str) for value in json.loads(text).values())


def test_short_evidence_is_kept_whole() -> None:
    outcome = Outcome(failure_class="input", check="tail", evidence={"file": "eye ü.avi"})
    assert json.loads(evidence_json(outcome)) == {"check": "tail", "file": "eye ü.avi"}


def test_only_a_failure_has_a_failure_class() -> None:
    assert failure_of(Outcome(failure_class="gpu")) == "gpu"
    with pytest.raises(ValueError, match="no failure"):
        failure_of(Outcome())


ARRAY = np.arange(6, dtype=np.float32).reshape(2, 3)


def table_with(**attributes: Attribute) -> types.SimpleNamespace:
    return types.SimpleNamespace(heading=attributes)


def test_blobs_are_packed_only_where_datajoint_does_not() -> None:
    table = table_with(
        new=attribute("<blob>", is_blob=True, codec=object()),
        old=attribute("longblob", is_blob=True),
        plain=attribute("bytea"),
        number=attribute("int"),
    )
    row = codec.encode(table, {"new": ARRAY, "old": ARRAY, "plain": ARRAY, "number": 3})
    assert row["new"] is ARRAY
    assert row["number"] == 3
    for name in ("old", "plain"):
        np.testing.assert_array_equal(blob.unpack(row[name]), ARRAY)
    assert codec.encode(table, {"old": None}) == {"old": None}


@pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview])
def test_packed_bytes_of_any_kind_are_unpacked(wrap: type) -> None:
    packed = blob.pack({"rois": [{"ellipse": ARRAY}]}, compress=True)
    value = codec.decode(attribute("longblob", is_blob=True), wrap(packed))
    np.testing.assert_array_equal(value["rois"][0]["ellipse"], ARRAY)


@pytest.mark.parametrize("told", ["honest", "too little", "none"])
def test_a_blob_that_unpacks_to_gigabytes_costs_nothing_and_is_refused(told: str) -> None:
    size = 32 << 20
    inflated = b"dj0\0" + b"\0" * size
    lengths = {"honest": len(inflated), "too little": 100, "none": 0}
    packed = b"ZL123\0" + lengths[told].to_bytes(8, "little") + zlib.compress(inflated)
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"more than 1 MiB|damaged"):
        codec.decode(attribute("longblob", is_blob=True), packed, max_mib=1)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 << 20


def test_a_blob_that_is_packed_twice_is_refused() -> None:
    once = blob.pack(np.zeros(1 << 18), compress=True)
    twice = b"ZL123\0" + len(once).to_bytes(8, "little") + zlib.compress(once)
    with pytest.raises(ValueError, match="packed twice"):
        codec.unpack(twice)


def nested(depth: int) -> list[object]:
    found: list[object] = []
    for _ in range(depth):
        found = [found]
    return found


@pytest.mark.parametrize(
    "value",
    [{"sbin": 1 << 20_000}, {1 << 20_000: 4}, {"rois": nested(60)}, {"a": np.array([1 << 20_000], object)}],
    ids=["number", "name", "depth", "array"],
)
def test_parameters_that_nobody_could_show_are_refused_before_anybody_compares_them(
    value: dict[object, object],
) -> None:
    column = attribute("longblob", is_blob=True)
    with pytest.raises(ValueError, match=r"bits|deep"):
        codec.decode_parameters(column, blob.pack(value))


def test_parameters_that_are_nearly_nothing_and_unpack_to_much_are_refused() -> None:
    column = attribute("longblob", is_blob=True)
    with pytest.raises(ValueError, match="times its size"):
        codec.decode_parameters(column, blob.pack({"x": np.zeros(1 << 20)}))
    noise = np.random.default_rng(1).random(1 << 20)
    drawn = {"rois": [{"ellipse": np.ones((480, 640), bool)}] * 10, "motion": noise}
    np.testing.assert_array_equal(codec.decode_parameters(column, blob.pack(drawn))["motion"], noise)


def test_parameters_as_labs_write_them_are_taken() -> None:
    value = {"sbin": 4, "rois": [{"ellipse": ARRAY, "yrange": (1, 2)}], "proc": {"filenames": [["a.avi"]]}, 3: None}
    assert params_digest(codec.decode_parameters(attribute("longblob", is_blob=True), blob.pack(value)))


def test_what_datajoint_has_decoded_stays_as_it_is() -> None:
    column = attribute("<blob>", is_blob=True, codec=object())
    assert codec.decode(column, ARRAY) is ARRAY
    assert codec.decode(column, None) is None
    assert codec.decode(attribute("int"), np.int64(3)) == 3


@pytest.mark.parametrize(("backend", "form"), [("postgresql", str), ("mysql", bytes)])
def test_uuids_go_to_sql_as_each_server_keeps_them(backend: str, form: type) -> None:
    column = attribute("uuid" if backend == "postgresql" else "binary(16)", uuid=True)
    value = uuid.uuid4()
    stored = codec.to_sql(column, value, backend)
    assert isinstance(stored, form)
    assert codec.decode(column, stored) == value
    assert codec.to_sql(column, str(value), backend) == stored
