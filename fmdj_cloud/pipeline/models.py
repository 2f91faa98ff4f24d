"""The Element's models of pose inference: what their tables say of them, and a new one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from fmdj_cloud.contracts import ModelFile, ModelRecord
from fmdj_cloud.errors import ConfigError, InputError
from fmdj_cloud.names import canonical_key, display_key
from fmdj_cloud.pipeline import attachments, codec
from fmdj_cloud.pipeline.attachments import Attachment
from fmdj_cloud.pipeline.inference import MODEL_ID, Inference
from fmdj_cloud.pipeline.keys import KeyColumns
from fmdj_cloud.storage import uri as uris

Key = Mapping[str, Any]
COLUMN = "model_file"
MODEL_MAX_BYTES = 128 << 20
"""Facemap's own model has 5 MB: more than this is a mistake, and the controller holds several copies for a moment."""
_DEFAULT_STORE = "default"


def read_models(inference: Inference, keys: Sequence[Key], stores: Mapping[str, str]) -> dict[str, ModelRecord]:
    """Return those of the models that exist, by canonical key.

    Parameters
    ----------
    inference : Inference
    keys : sequence of Mapping
        Primary keys of FacemapModel, each once.
    stores : mapping of str to str
        Where DataJoint's object stores lie: name -> URI.
    """
    if not keys:
        return {}
    key = KeyColumns.of(inference.database, inference.FacemapModel)
    among, args = key.among(keys)
    names = _rows(inference, inference.FacemapModel, key, "model_name", (among, args))
    parts = _rows(inference, inference.ModelBodyPart, key, "body_part", (among, args))
    files = _files(inference, key, (among, args), stores)
    return {
        name: ModelRecord(
            key=model,
            name=str(label),
            body_parts=tuple(sorted(str(part) for _, part in parts.get(name, ()))),
            files=tuple(files.get(name, ())),
        )
        for name, ((model, label),) in names.items()
    }


def newest_models(inference: Inference, stores: Mapping[str, str], limit: int) -> list[ModelRecord]:
    """Return the models of the highest numbers, `stores` as of :func:`read_models`."""
    key = KeyColumns.of(inference.database, inference.FacemapModel)
    last = ", ".join(f"{inference.database.identifier(name)} DESC" for name in key.names)
    rows = inference.database.query(
        f"SELECT {key.select()} FROM {inference.FacemapModel.full_table_name} ORDER BY {last} LIMIT {int(limit)}"
    )
    return list(read_models(inference, [key.native(row) for row in rows], stores).values())


def read_file(
    inference: Inference, model: ModelRecord, file: ModelFile, *, max_bytes: int = MODEL_MAX_BYTES
) -> Attachment:
    """Return a model's file that is attached in the table.

    Parameters
    ----------
    inference : Inference
    model : ModelRecord
    file : ModelFile
        One of the model's, with neither `uri` nor `problem`.
    max_bytes : int

    Raises
    ------
    InputError
        If it isn't there, or is larger.
    ChangedError
        If it was replaced meanwhile.
    """
    keys = _file_keys(inference, KeyColumns.of(inference.database, inference.FacemapModel), model.key)
    if file.file_id >= len(keys):
        raise InputError(f"The file {file.name} of model {display_key(model.key)} was deleted.", check="model")
    key = keys[file.file_id]
    return attachments.read_attachment(inference.database, inference.ModelFile, COLUMN, key, max_bytes=max_bytes)


def add_model(
    inference: Inference,
    model_id: int,
    name: str,
    file: Attachment,
    *,
    body_parts: Sequence[str],
    description: str = "",
) -> ModelRecord:
    """Insert a model with the body parts that it finds and its file, in one transaction.

    Parameters
    ----------
    inference : Inference
    model_id : int
    name : str
    file : Attachment
    body_parts : sequence of str
        Those that BodyPart doesn't have yet are inserted there.
    description : str

    Raises
    ------
    ConfigError
        If the lab keeps its files elsewhere than in the table.
    DatabaseError
        If the server refuses, as it does where there is such a model.
    """
    database = inference.database
    if not codec.is_blob(inference.ModelFile.heading[COLUMN]):
        raise ConfigError(
            f"FacemapModel.File of {inference.schema!r} keeps no files in the table: insert the model with DataJoint."
        )
    key = {MODEL_ID: model_id}
    with database.transaction():
        for part in body_parts:
            row = {"body_part": part, "body_part_description": ""}
            database.insert_new(inference.BodyPart.full_table_name, row, ["body_part"])
        inference.FacemapModel.insert1({**key, "model_name": name, "model_description": description})
        inference.ModelBodyPart.insert([{**key, "body_part": part} for part in body_parts])
        attachments.insert_attachment(database, inference.ModelFile, key, COLUMN, file)
    return read_models(inference, [key], {})[canonical_key(key)]


def _rows(
    inference: Inference, table: Any, key: KeyColumns, column: str, where: tuple[str, tuple[Any, ...]]
) -> dict[str, list[tuple[dict[str, Any], Any]]]:
    """Return canonical key of the model -> (its key, value of a column)."""
    width = len(key.names)
    columns = f"{key.select()}, {inference.database.identifier(column)}"
    sql = f"SELECT {columns} FROM {table.full_table_name} WHERE {where[0]}"
    found: dict[str, list[tuple[dict[str, Any], Any]]] = {}
    for row in inference.database.query(sql, where[1]):
        model = key.native(row[:width])
        found.setdefault(canonical_key(model), []).append((model, row[width]))
    return found


def _file_keys(inference: Inference, key: KeyColumns, model: Key) -> list[dict[str, Any]]:
    """Return the primary keys of a model's files, in their order."""
    own = KeyColumns.of(inference.database, inference.ModelFile)
    among, args = key.among([model])
    table = inference.ModelFile.full_table_name
    rows = inference.database.query(f"SELECT {own.select()} FROM {table} WHERE {among} ORDER BY {own.select()}", args)
    return [own.native(row) for row in rows]


def _files(
    inference: Inference, key: KeyColumns, where: tuple[str, tuple[Any, ...]], stores: Mapping[str, str]
) -> dict[str, list[ModelFile]]:
    database, table = inference.database, inference.ModelFile
    attribute = table.heading[COLUMN]
    own = KeyColumns.of(database, table)
    column = "NULL" if codec.is_blob(attribute) else database.identifier(COLUMN)
    sql = f"SELECT {own.select()}, {column} FROM {table.full_table_name} WHERE {where[0]} ORDER BY {own.select()}"
    found: dict[str, list[ModelFile]] = {}
    for row in database.query(sql, where[1]):
        file_key = own.native(row[: len(own.names)])
        model = {name: file_key[name] for name in key.names}
        files = found.setdefault(canonical_key(model), [])
        if codec.is_blob(attribute):
            files.append(_attached(inference, file_key, len(files)))
        else:
            files.append(_referred(row[-1], model, len(files), stores))
    return found


def _attached(inference: Inference, file_key: Key, number: int) -> ModelFile:
    facts = attachments.attachment_facts(inference.database, inference.ModelFile, COLUMN, file_key)
    if facts is None:
        problem = f"{COLUMN} of {display_key(file_key)} holds no attachment: insert the model's file again."
        return ModelFile(file_id=number, name="", problem=problem)
    return ModelFile(file_id=number, name=facts.name, size=facts.size, sha256=facts.sha256)


def _referred(value: Any, model: Key, number: int, stores: Mapping[str, str]) -> ModelFile:
    """Read what DataJoint 2 keeps in a column whose files lie in an object store."""

    def unreadable(why: str) -> ModelFile:
        return ModelFile(file_id=number, name="", problem=f"{COLUMN} of {display_key(model)} {why}")

    try:
        reference = json.loads(value) if isinstance(value, str | bytes) else value
        path, store = str(reference["path"]), str(reference.get("store") or _DEFAULT_STORE)
    except (AttributeError, KeyError, TypeError, ValueError):
        return unreadable("is kept in a way that can't be read, as in DataJoint 0.14's external stores: attach it.")
    if store not in stores:
        return unreadable(f"lies in the object store {store!r}: add it to the pipeline's stores in the settings.")
    if reference.get("is_dir"):
        return unreadable(f"is the folder {path}, not a file.")
    try:
        uri = uris.join(stores[store], path.lstrip("/"))
    except InputError as error:
        return unreadable(f"refers to {path!r}, which is no path in a store: {error.sentence}")
    wrapped = "hash" in reference
    size = reference.get("size")
    return ModelFile(
        file_id=number,
        name=path.rpartition("/")[2],
        size=int(size) if isinstance(size, int) and not wrapped else None,
        uri=uri,
        wrapped=wrapped,
    )
