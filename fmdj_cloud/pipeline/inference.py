"""The Element's tables of pose inference: declared on an Element's own recordings, or opened as they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import datajoint as dj

from fmdj_cloud.errors import ConfigError
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.element import Element
from fmdj_cloud.pipeline.formats import Format
from fmdj_cloud.pipeline.inference_tables import inference_classes
from fmdj_cloud.pipeline.populate import InferenceRunner

_PARTS = {"FacemapModel": ("BodyPart", "File"), "FacemapInference": ("BodyPartPosition",)}
_MASTERS = ("BodyPart", "FacemapModel", "FacemapInferenceTask", "FacemapInference")
_NEEDED = {
    "FacemapModel": ("model_name",),
    "ModelBodyPart": ("body_part",),
    "ModelFile": ("model_file",),
    "FacemapInferenceTask": ("task_mode", "bbox"),
    "BodyPartPosition": ("x_pos", "y_pos", "likelihood"),
}
_OUTPUT_DIRS = ("facemap_inference_output_dir", "facemap_output_dir", "pose_estimation_output_dir")
"""Names that the Element has had for it, the newest first."""
MODEL_ID = "model_id"


@dataclass(frozen=True)
class Inference:
    """The tables of one facemap_inference schema.

    Attributes
    ----------
    database : Database
        Connection that the tables use.
    schema : str
        Name of the database schema.
    BodyPart, FacemapModel, FacemapInferenceTask, FacemapInference : type
        Table classes.
    ModelBodyPart, ModelFile : type
        Parts of FacemapModel, called ``BodyPart`` and ``File`` there.
    BodyPartPosition : type
        Part of FacemapInference.
    output_dir : str
        Attribute of FacemapInferenceTask that says where outputs lie.
    """

    database: Database
    schema: str
    BodyPart: Any
    FacemapModel: Any
    ModelBodyPart: Any
    ModelFile: Any
    FacemapInferenceTask: Any
    FacemapInference: Any
    BodyPartPosition: Any
    output_dir: str


def declare_inference(
    database: Database, schema_name: str, *, element: Element, runner: InferenceRunner | None = None
) -> Inference:
    """Declare the Element's tables of pose inference where they aren't yet, and open them.

    Parameters
    ----------
    database : Database
    schema_name : str
    element : Element
        On the same connection, declared or opened; its recordings are what tasks are about.
    runner : InferenceRunner, optional
        Does the work of ``FacemapInference.populate()``; made for `database`.

    Raises
    ------
    ConfigError
        If DataJoint 0.14 declared `element`.
    """
    if element.format is Format.NATIVE:
        raise ConfigError(
            f"The tables of {element.schema!r} were declared by DataJoint 0.14: tables of 2.x that refer to them, in "
            f"{schema_name!r}, would keep the lab's clients from deleting; have element-facemap declare them in 0.14."
        )
    classes = inference_classes(element, runner)
    with database.exclusive(f"fmdj-declare-{schema_name}"):
        schema = database.instance.Schema(schema_name)
        context = {"VideoRecording": element.VideoRecording, **classes}
        for table in classes.values():
            schema(table, context=context)
    return _inference(database, schema_name, classes, element)


def open_inference(database: Database, schema_name: str, *, element: Element) -> Inference:
    """Open a schema that exists; nothing is created.

    Raises
    ------
    ConfigError
        If there is no such schema, it lacks one of the Element's tables, or its tasks are about other recordings
        than `element`'s.
    """
    try:
        module = dj.VirtualModule(
            schema_name, schema_name, create_schema=False, create_tables=False, connection=database.connection
        )
    except dj.errors.DataJointError as error:
        raise ConfigError(
            f"The schema {schema_name!r} can't be opened ({error}): check inference_schema and the user's rights."
        ) from error
    classes = {name: getattr(module, name, None) for name in _MASTERS}
    missing = [name for name, table in classes.items() if table is None]
    for master, parts in _PARTS.items():
        if classes[master] is not None:
            missing += [f"{master}.{part}" for part in parts if not hasattr(classes[master], part)]
    if missing:
        raise _not_one(schema_name, missing)
    return _inference(database, schema_name, classes, element)


def _inference(database: Database, schema_name: str, classes: dict[str, Any], element: Element) -> Inference:
    tables = {name: classes[name] for name in _MASTERS}
    tables["ModelBodyPart"] = classes["FacemapModel"].BodyPart
    tables["ModelFile"] = classes["FacemapModel"].File
    tables["BodyPartPosition"] = classes["FacemapInference"].BodyPartPosition
    # Every heading is read before anything is joined, or DataJoint misses lineages
    headings = {name: tuple(table.heading.names) for name, table in tables.items()}
    missing = [f"{name}.{one}" for name, columns in _NEEDED.items() for one in columns if one not in headings[name]]
    output_dir = next((name for name in _OUTPUT_DIRS if name in headings["FacemapInferenceTask"]), None)
    if missing or output_dir is None:
        raise _not_one(schema_name, missing or [f"FacemapInferenceTask.{_OUTPUT_DIRS[0]}"])
    key = tuple(classes["FacemapInferenceTask"].primary_key)
    if set(key) != {*element.VideoRecording.primary_key, *classes["FacemapModel"].primary_key} or MODEL_ID not in key:
        raise ConfigError(
            f"FacemapInferenceTask of {schema_name!r} has the key {', '.join(key)}, and that of a recording of "
            f"{element.schema!r} and {MODEL_ID} were expected: do both schemas belong together?"
        )
    return Inference(database=database, schema=schema_name, output_dir=output_dir, **tables)


def _not_one(schema_name: str, missing: list[str]) -> ConfigError:
    return ConfigError(
        f"The schema {schema_name!r} is no facemap_inference of element-facemap: it has no {', no '.join(missing)}; "
        "correct inference_schema, or leave it out."
    )
