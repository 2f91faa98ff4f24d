"""In what condition a lab's schemas are, only looked at: formats, shape, lineage, columns that nobody fills."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from fmdj_cloud.contracts import Frozen
from fmdj_cloud.pipeline import element_tables as definitions
from fmdj_cloud.pipeline import inference_tables as inference_definitions
from fmdj_cloud.pipeline.codec import is_blob
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.formats import Format, format_of
from fmdj_cloud.pipeline.lab import Lab

LINEAGE = "~lineage"
"""Where DataJoint 2 keeps which attribute comes from where; a schema has all of its tables in it, or no such table."""
_SHAPES = {"component_id": "0.3", "pc_no": "0.1 or 0.2"}
_WRITTEN = {
    "FacemapProcessing": definitions.FACEMAP_PROCESSING,
    "Region": definitions.REGION,
    "MotionSVD": definitions.MOTION_SVD,
    "MovieSVD": definitions.MOVIE_SVD,
    "Summary": definitions.SUMMARY,
}
_INFERRED = {
    "FacemapInference": inference_definitions.FACEMAP_INFERENCE,
    "BodyPartPosition": inference_definitions.BODY_PART_POSITION,
}
_ATTRIBUTE = re.compile(r"^\s*([a-z]\w*)[^#\n]*:", re.MULTILINE)


class SchemaCondition(Frozen):
    """One Element schema."""

    schema_name: str
    element: str
    """Whose tables these are, such as ``element-facemap 0.3``."""
    formats: dict[str, Format]
    """Table with arrays -> format."""
    unfilled: tuple[str, ...]
    """``Table.column`` of what a row of ours would lack: not of the Element, not NULL, without a default."""


def condition_of(lab: Lab) -> tuple[SchemaCondition, ...]:
    """Look at the tables of a lab: of facial_behavior_estimation and, where it has them, of facemap_inference."""
    element, inference = lab.element, lab.inference
    names = ("RecordingInfo", "FacemapTask", "FacialSignal", *_WRITTEN)
    shape = _SHAPES[element.component]
    found = [_condition(element.schema, f"element-facemap {shape}", {name: getattr(element, name) for name in names})]
    if inference is not None:
        names = ("FacemapInferenceTask", *_INFERRED)
        tables = {name: getattr(inference, name) for name in names}
        found.append(_condition(inference.schema, "element-facemap's inference", tables))
    return tuple(found)


def _condition(schema: str, whose: str, tables: Mapping[str, Any]) -> SchemaCondition:
    return SchemaCondition(
        schema_name=schema,
        element=whose,
        # DataJoint's migration marks no other columns than blobs for sure, and no others matter to its clients
        formats={name: format_of(table) for name, table in tables.items() if any(map(is_blob, _columns(table)))},
        unfilled=tuple(_unfilled(tables)),
    )


def without_lineage(database: Database, schema: str) -> tuple[str, ...] | None:
    """Return the tables of a schema that its ``~lineage`` lacks, though it has one; None where it has none."""
    found = database.tables(schema)
    if LINEAGE not in found:
        return None
    rows = database.query(f"SELECT DISTINCT table_name FROM {database.quote(schema, LINEAGE)}")
    known = {str(name) for (name,) in rows}
    return tuple(sorted(name for name in found if not name.startswith("~") and name not in known))


def _columns(table: Any) -> list[Any]:
    return list(table.heading.attributes.values())


def _unfilled(tables: Mapping[str, Any]) -> Iterator[str]:
    for name, table in tables.items():
        definition = (_WRITTEN | _INFERRED).get(name)
        if definition is None:
            continue
        filled = {*table.primary_key, *_ATTRIBUTE.findall(definition)}
        for attribute in _columns(table):
            needed = not attribute.nullable and attribute.default is None and not attribute.autoincrement
            if needed and attribute.name not in filled:
                yield f"{name}.{attribute.name}"
