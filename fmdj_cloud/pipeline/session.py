"""What the lab's own tables tell of the session and of the animal: whatever they are called, as far as it is known.

An Element leaves Session and Subject to the lab. Their rows are found through the foreign keys of VideoRecording, and
read by the names that element-session, element-animal and labs use.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import datajoint as dj
from datajoint.dependencies import Dependencies

from fmdj_cloud.errors import DatabaseError, FmdjError
from fmdj_cloud.pipeline.codec import decode, is_blob
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.keys import KeyColumns

_GENERATIONS = 4
"""VideoRecording - Session - Subject, and one between them."""
_STARTS = ("session_datetime", "session_start_time", "session_start_datetime", "session_start", "session_time")
_DATES = ("session_date",)
_SUBJECTS = ("subject", "subject_id", "subject_name", "animal", "animal_id", "mouse", "mouse_id", "mouse_name")
_FIELDS = {
    "sex": ("sex", "gender"),
    "species": ("species", "subject_species"),
    "strain": ("strain", "line"),
    "genotype": ("genotype",),
    "description": ("subject_description", "animal_description", "mouse_description"),
    "date_of_birth": ("subject_birth_date", "date_of_birth", "birth_date", "dob", "birthdate"),
}
_SEXES = ("M", "F", "U", "O")
Row = dict[str, Any]


@dataclass(frozen=True)
class SubjectFacts:
    """What is known of an animal.

    Attributes
    ----------
    subject_id : str
    fields : Mapping
        Those of NWB's Subject that were found: sex, species, strain, genotype, description, date_of_birth (date).
    """

    subject_id: str
    fields: Mapping[str, Any]


@dataclass(frozen=True)
class SessionFacts:
    """What is known of a session.

    Attributes
    ----------
    session_id : str
        The values of the session's key.
    start : datetime or None
        Without a time zone, as databases have it.
    subject : SubjectFacts or None
    device : str
        The camera's name, empty where VideoRecording has none.
    notes : tuple of str
    """

    session_id: str
    start: dt.datetime | None
    subject: SubjectFacts | None
    device: str
    notes: tuple[str, ...]


def read_session(database: Database, recordings: Any, key: Mapping[str, Any]) -> SessionFacts:
    """Return what the lab's tables tell of a recording's session.

    Parameters
    ----------
    database : Database
    recordings : datajoint table
        VideoRecording.
    key : Mapping
        Of the recording.

    Returns
    -------
    SessionFacts
        Tables that can't be read are told in its notes.
    """
    try:
        rows, notes = _rows_above(database, recordings, key), []
    except (dj.errors.DataJointError, database.dialect.driver_error, FmdjError) as error:
        database.ensure_connected()
        rows, notes = [], [f"The tables of session and subject can't be read ({error}): only the key tells of them."]
    return session_facts(key, rows, notes)


def session_facts(key: Mapping[str, Any], rows: Iterable[Row], notes: Iterable[str] = ()) -> SessionFacts:
    """Return what rows tell of a session: pure.

    Parameters
    ----------
    key : Mapping
        Of the recording.
    rows : iterable of dict
        Of VideoRecording first, then of the tables above it, nearer ones first.
    notes : iterable of str
    """
    rows, said = list(rows), list(notes)
    session = {name: value for name, value in key.items() if name != "recording_id"}
    start, how = _start([dict(key), *rows])
    return SessionFacts(
        session_id="_".join(str(value).replace(" ", "T") for value in session.values()),
        start=start,
        subject=_subject(key, rows),
        device=next((str(row[name]) for row in rows[:1] for name in row if "device" in name or "camera" in name), ""),
        notes=(*said, *how),
    )


def _start(rows: Iterable[Row]) -> tuple[dt.datetime | None, list[str]]:
    rows = list(rows)
    for name in _STARTS:
        for row in rows:
            if isinstance(row.get(name), dt.datetime):
                return row[name], []
    for name in _DATES:
        for row in rows:
            if isinstance(row.get(name), dt.date):
                start = dt.datetime.combine(row[name], dt.time())
                return start, [f"The lab's tables have only the session's date, {row[name]}: midnight stands for it."]
    return None, []


def _subject(key: Mapping[str, Any], rows: Iterable[Row]) -> SubjectFacts | None:
    name = next((name for name in _SUBJECTS if name in key), None)
    if name is None:
        return None
    fields: dict[str, Any] = {}
    for field, names in _FIELDS.items():
        value = next((row[one] for row in rows for one in names if row.get(one) not in (None, "")), None)
        if value is not None:
            fields[field] = value if field == "date_of_birth" else str(value)
    if fields.get("sex", "U").upper()[:1] in _SEXES:
        fields["sex"] = fields.get("sex", "U").upper()[:1]
    else:
        fields["sex"] = "U"
    if not isinstance(fields.get("date_of_birth", dt.date.min), dt.date):
        del fields["date_of_birth"]
    return SubjectFacts(str(key[name]), fields)


def _rows_above(database: Database, recordings: Any, key: Mapping[str, Any]) -> list[Row]:
    connection = database.connection
    rows: list[Row] = []
    level = [(recordings.full_table_name, dict(key))]
    seen = {recordings.full_table_name}
    for _ in range(_GENERATIONS):
        schemas = {connection.adapter.split_full_table_name(name)[0] for name, _ in level}
        # A graph of our own: the connection's is made anew by whoever needs it, for other schemas
        graph = Dependencies(connection)
        graph.load(schema_names=schemas)
        above: list[tuple[str, Row]] = []
        for name, restriction in level:
            row = _row(database, dj.FreeTable(connection, name), restriction)
            if row is None:
                continue
            rows.append(row)
            for parent, edge in graph.parents(name):
                if parent not in seen:
                    seen.add(parent)
                    above.append(
                        (parent, {theirs: row[ours] for ours, theirs in edge["attr_map"].items() if ours in row})
                    )
        level = above
    return rows


def _row(database: Database, table: Any, restriction: Mapping[str, Any]) -> Row | None:
    heading = table.heading
    names = [name for name in heading.names if not is_blob(heading[name]) and heading[name].codec is None]
    columns = ", ".join(map(database.identifier, names))
    known = tuple(heading[name] for name in restriction if name in heading.names)
    if not known:
        return None
    where, args = KeyColumns(database, known).among([restriction])
    try:
        found = database.query(f"SELECT {columns} FROM {table.full_table_name} WHERE {where}", args)
    except DatabaseError:
        return None
    if not found:
        return None
    return {name: decode(heading[name], value) for name, value in zip(names, found[0], strict=True)}
