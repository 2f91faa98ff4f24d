"""The page of tables: the Element's as declared here, and our own, from their definitions."""

from __future__ import annotations

import re
from collections.abc import Iterator

from reference_words import cell

from fmdj_cloud.pipeline import element_tables, inference_tables, ledger_definitions, signals

ELEMENT = {
    "VideoRecording": element_tables.VIDEO_RECORDING,
    "VideoRecording.File": element_tables.VIDEO_FILE,
    "RecordingInfo": element_tables.RECORDING_INFO,
    "FacemapTask": element_tables.FACEMAP_TASK,
    "FacemapProcessing": element_tables.FACEMAP_PROCESSING,
    "FacialSignal": element_tables.FACIAL_SIGNAL,
    "FacialSignal.Region": element_tables.REGION,
    "FacialSignal.MotionSVD": element_tables.MOTION_SVD,
    "FacialSignal.MovieSVD": element_tables.MOVIE_SVD,
    "FacialSignal.Summary": element_tables.SUMMARY,
}
INFERENCE = {
    "BodyPart": inference_tables.BODY_PART,
    "FacemapModel": inference_tables.FACEMAP_MODEL,
    "FacemapModel.BodyPart": inference_tables.MODEL_BODY_PART,
    "FacemapModel.File": inference_tables.MODEL_FILE,
    "FacemapInferenceTask": inference_tables.FACEMAP_INFERENCE_TASK,
    "FacemapInference": inference_tables.FACEMAP_INFERENCE,
    "FacemapInference.BodyPartPosition": inference_tables.BODY_PART_POSITION,
}
SIGNALS = {
    f"Lab{name}": f"# {name} by region; Lab is the pipeline's name\n(key of FacialSignal)\n{signals._ROI}{columns}"
    for name, columns in signals._TABLES.items()
}
BINDING = {
    "LabBindingSvd": "# What is known of each FacemapTask; LabBindingPose likewise of each FacemapInferenceTask\n"
    f"(key of the task table){ledger_definitions.BINDING}"
}
_LEDGER_NAMES = {"ATTEMPT": "Run.Attempt", "JOB": "Run.Job", "VERSION": "SchemaVersion"}
_FIRST = ("RUN", "ATTEMPT", "JOB", "PIPELINE")
LEDGER = {
    _LEDGER_NAMES.get(name, name.capitalize()): getattr(ledger_definitions, name)
    for name in sorted(
        vars(ledger_definitions), key=lambda name: (name not in _FIRST, *(name != one for one in _FIRST))
    )
    if name.isupper() and name != "BINDING"
}
_ATTRIBUTE = re.compile(r"(?P<name>\w+)\s*(?:=\s*(?P<default>[^:]*?)\s*)?:\s*(?P<type>[^#]*?)\s*(?:#\s*(?P<what>.*))?$")

_INTRODUCTION = """# Tables

Written by `python docs/reference.py` from the definitions in `fmdj_cloud/pipeline/`.

The tables of the Element are the lab's: [opened as they are](interop.md), whichever DataJoint declared them. What is
below are their definitions as `fmdj_cloud.populate.activate` declares them, in DataJoint 2's types. Our own tables are
in `<prefix>fmdj`; people read them, and only the programs and `fmdj` write them. Attributes above the line in a
definition are the primary key, **bold** here."""


def tables_page() -> str:
    """Return docs/tables.md."""
    lines = [_INTRODUCTION, ""]
    for title, tables in (
        ("The Element: facial_behavior_estimation", ELEMENT),
        ("The Element: facemap_inference", INFERENCE),
        ("Ours: pupil, blink, running", SIGNALS),
        ("Ours: tasks", BINDING),
        ("Ours: runs, and what keeps them in order", LEDGER),
    ):
        lines += [f"## {title}", ""]
        for name, definition in tables.items():
            lines += _table(name, definition)
    return "\n".join(lines).rstrip() + "\n"


def _table(name: str, definition: str) -> Iterator[str]:
    said, rows, key = "", [], True
    for line in definition.strip().splitlines():
        text = line.strip()
        if text.startswith("#"):
            said = text.lstrip("# ")
        elif text.startswith("---"):
            key = False
        elif text.startswith("->"):
            reference = text.replace("-> master", f"-> {name.rpartition('.')[0]}")
            rows.append(f"| {_strong(reference, key)} | | | key of that table |")
        elif text.startswith("("):
            rows.append(f"| {_strong(text.strip('()'), key)} | | | with names and types of the lab's |")
        elif found := _ATTRIBUTE.match(text):
            default = "" if found["default"] is None else f"`{found['default']}`"
            attribute, what = _strong(f"`{found['name']}`", key), cell(found["what"] or "")
            rows.append(f"| {attribute} | `{found['type']}` | {default} | {what} |")
    yield from (f"### {name}", "", f"{said}.", "", "| attribute | type | default | what |", "| --- | --- | --- | --- |")
    yield from (*rows, "")


def _strong(text: str, key: bool) -> str:
    return f"**{text}**" if key else text
