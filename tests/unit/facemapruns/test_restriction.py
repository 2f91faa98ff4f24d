"""Restrictions that people write become SQL of ours, or a sentence."""

from __future__ import annotations

import types
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmdj_cloud.errors import UsageError
from fmdj_cloud.pipeline.restriction import Columns, restrict_by_keys, restrict_by_text

TYPES = {
    "subject": "varchar(32)",
    "recording_id": "int",
    "session_date": "date",
    "at": "datetime",
    "depth": "decimal(6,2)",
    "session_uuid": "uuid",
    "facemap_params": "longblob",
    "order": "int",
}
UUID = uuid.UUID("9f1b3f1e-0000-4000-8000-0123456789ab")


def columns(backend: str = "mysql", **more: str) -> Columns:
    attributes = {
        name: types.SimpleNamespace(
            name=name,
            type=kind,
            numeric=kind.startswith(("int", "decimal", "tinyint")),
            uuid=kind == "uuid",
            is_blob=kind == "longblob",
        )
        for name, kind in (TYPES | more).items()
    }
    return Columns(table="FacemapTask", attributes=attributes, backend=backend, quote=lambda name: f"t.`{name}`")


@pytest.mark.parametrize(
    ("text", "sql", "args"),
    [
        ("recording_id = 3", "(t.`recording_id` = %s)", (3,)),
        ("recording_id=-3", "(t.`recording_id` = %s)", (-3,)),
        ("subject = 'm1'", "(t.`subject` = %s)", ("m1",)),
        ('subject="m1"', "(t.`subject` = %s)", ("m1",)),
        ("'m1' = subject", "(%s = t.`subject`)", ("m1",)),
        ("subject = 'it''s 100%'", "(t.`subject` = %s)", ("it's 100%",)),
        ("subject = 'a;b -- c'", "(t.`subject` = %s)", ("a;b -- c",)),
        ("`order` > 2", "(t.`order` > %s)", (2,)),
        ("Subject <> 'm1'", "(t.`subject` <> %s)", ("m1",)),
        ("subject != 'm1'", "(t.`subject` <> %s)", ("m1",)),
        (
            "subject='m1' and recording_id>3 OR NOT depth <= 1.5",
            "(((t.`subject` = %s) AND (t.`recording_id` > %s)) OR (NOT (t.`depth` <= %s)))",
            ("m1", 3, 1.5),
        ),
        (
            "subject='m1' and (recording_id>3 OR recording_id < 1)",
            "((t.`subject` = %s) AND ((t.`recording_id` > %s) OR (t.`recording_id` < %s)))",
            ("m1", 3, 1),
        ),
        ("recording_id in (1, 2,3)", "(t.`recording_id` IN (%s, %s, %s))", (1, 2, 3)),
        ("subject NOT IN ('a')", "(t.`subject` NOT IN (%s))", ("a",)),
        ("subject LIKE 'm%'", "(t.`subject` LIKE %s)", ("m%",)),
        ("subject not like 'm_'", "(t.`subject` NOT LIKE %s)", ("m_",)),
        (
            "session_date BETWEEN '2026-01-01' AND '2026-02-01' AND recording_id = 1",
            "((t.`session_date` BETWEEN %s AND %s) AND (t.`recording_id` = %s))",
            ("2026-01-01", "2026-02-01", 1),
        ),
        ("subject IS NULL", "(t.`subject` IS NULL)", ()),
        ("subject is not null", "(t.`subject` IS NOT NULL)", ()),
        ("recording_id % 2 = 0", "((t.`recording_id` %% %s) = %s)", (2, 0)),
        ("recording_id * 2 + 1 > 7", "(((t.`recording_id` * %s) + %s) > %s)", (2, 1, 7)),
        ("year(session_date) = 2026", "(EXTRACT(YEAR FROM t.`session_date`) = %s)", (2026,)),
        ("true", "TRUE", ()),
        ("(TRUE)", "TRUE", ()),
        ("recording_id = '3'", "(t.`recording_id` = %s)", (3,)),
        ("subject = 7", "(t.`subject` = %s)", ("7",)),
        ("at >= '2026-01-31 09:30'", "(t.`at` >= %s)", ("2026-01-31 09:30",)),
    ],
)
def test_what_is_understood(text: str, sql: str, args: tuple) -> None:
    found = restrict_by_text(text, columns())
    assert found == (sql, args)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("subjct = 'm1'", "no attribute 'subjct': it has subject, recording_id"),
        ("facemap_params = 'x'", "blob"),
        ("recording_id = 1; DROP TABLE x", "`;`"),
        ("recording_id = 1 -- no more", "comment"),
        ("recording_id = 1 # no more", "comment"),
        ("recording_id /* a */ = 1", "comment"),
        ("recording_id IN (SELECT 1)", "subqueries, and has 'SELECT'"),
        ("EXISTS (SELECT 1)", "subqueries"),
        ("recording_id = 1 UNION SELECT 2", "doesn't go on with 'UNION'"),
        ("sleep(10) = 0", "can't call 'sleep'"),
        ("load_file('/etc/passwd') = 'x'", "can't call 'load_file'"),
        ("recording_id = @@version", "can't be read"),
        ("a.recording_id = 1", "without their table"),
        ("recording_id == 1", "write ="),
        ("recording_id = 1 && subject = 'x'", "write AND"),
        ("recording_id = 1 || 1", "write OR"),
        ("recording_id =", "ends too early"),
        ("(recording_id = 1", r"needs '\)' where it has its end"),
        ("recording_id = 1)", r"doesn't go on with '\)'"),
        ("recording_id IN ()", "needs an attribute or a value"),
        ("subject = 'm1", "quote that doesn't end"),
        ("subject = 'm\\'1'", "backslash"),
        ("subject LIKE 7", "string after LIKE"),
        ("recording_id = 'one'", "recording_id is a number"),
        ("recording_id IN (1, 'one')", "recording_id is a number"),
        ("recording_id = 'nan'", "recording_id is a number"),
        ("recording_id < 1e999", "too large: 1e999"),
        ("session_date > 'tomorrow'", "session_date is a date"),
        ("at > 'noon'", "at is a date and time"),
        ("session_uuid = 'x'", "session_uuid is a UUID"),
        ("1", "no condition: write `true`"),
        ("'m1'", "no condition"),
        ("(" * 60 + "true" + ")" * 60, "nested more than"),
        ("NOT " * 60 + "true", "nested more than"),
        ("subject = '" + "x" * 5000 + "'", "list keys instead"),
    ],
)
def test_what_is_refused(text: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        restrict_by_text(text, columns())


def test_servers_differ_in_quotes_booleans_and_casts() -> None:
    postgresql = columns("postgresql", control="boolean")
    assert restrict_by_text('"subject" = "m1"', postgresql) == ("(t.`subject` = %s)", ("m1",))
    assert restrict_by_text("control = 1", postgresql) == ("(t.`control` = %s)", (True,))
    assert restrict_by_text("control = FALSE", postgresql) == ("(t.`control` = %s)", (False,))
    assert restrict_by_text("recording_id LIKE '1%'", postgresql)[0] == "(CAST(t.`recording_id` AS TEXT) LIKE %s)"
    assert restrict_by_text(f"session_uuid = '{UUID}'", postgresql)[1] == (str(UUID),)
    assert restrict_by_text(f"session_uuid = '{UUID}'", columns())[1] == (UUID.bytes,)
    with pytest.raises(UsageError, match="true or false"):
        restrict_by_text("control = 'maybe'", postgresql)


def test_keys_are_alternatives() -> None:
    keys = [{"subject": "m1", "recording_id": "3"}, {"subject": "m2"}]
    assert restrict_by_keys(keys, columns()) == (
        "((t.`subject` = %s AND t.`recording_id` = %s) OR (t.`subject` = %s))",
        ("m1", 3, "m2"),
    )
    for bad, why in [({"subjct": "m1"}, "no attribute"), ({}, "selects everything"), ({"recording_id": "x"}, "number")]:
        with pytest.raises(UsageError, match=why):
            restrict_by_keys([{"subject": "m1"}, bad], columns())


@given(st.text(max_size=60) | st.lists(st.sampled_from(
    ["subject", "recording_id", "=", "'m1'", "3", "AND", "OR", "NOT", "(", ")", "IN", ",", "LIKE", "BETWEEN", "IS",
     "NULL", "-", "%", "year", "true", "`", '"'])).map(" ".join))  # fmt: skip
def test_whatever_is_written_nothing_of_it_is_passed_on(text: str) -> None:
    try:
        sql, args = restrict_by_text(text, columns())
    except UsageError:
        return
    assert sql.replace("%%", "").count("%s") == len(args)
    assert "'" not in sql
    assert ";" not in sql
    words = set(sql.replace("(", " ").replace(")", " ").replace(",", " ").split())
    known = {f"t.`{name}`" for name in TYPES} | {"%s", "%%", "AND", "OR", "NOT", "IN", "LIKE", "BETWEEN", "IS", "NULL"}
    known |= {"TRUE", "FALSE", "=", "-", "EXTRACT", "YEAR", "FROM", "<", ">", "<=", ">=", "<>", "+", "*", "/"}
    known |= {f"-{word}" for word in known}
    assert words <= known
