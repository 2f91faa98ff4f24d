"""The head of an NWB file: session, animal, and where everything comes from."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Mapping
from typing import Any

from pynwb import NWBFile
from pynwb.core import ScratchData
from pynwb.file import Subject

from fmdj_cloud import __version__
from fmdj_cloud.contracts import Kind
from fmdj_cloud.export.provenance import Source, document
from fmdj_cloud.export.select import Exported
from fmdj_cloud.export.timing import Timing
from fmdj_cloud.names import canonical_key, display_key
from fmdj_cloud.pipeline.session import SessionFacts

PROVENANCE = "fmdj_provenance"
"""Name in the file's scratch space of the JSON document that tells where all comes from."""


def new_file(
    choice: Exported,
    session: SessionFacts,
    clock: Timing,
    sources: dict[Kind, Source],
    metadata: Mapping[str, Mapping[str, Any]],
) -> NWBFile:
    """Return a file that holds nothing yet.

    Parameters
    ----------
    choice : Exported
    session : SessionFacts
    clock : Timing
    sources : dict
    metadata : Mapping
        What people say, which wins over `session`.
    """
    identity = f"fmdj:{choice.lab.name}:" + ":".join(f"{kind.value}:{canonical_key(key)}" for kind, key in choice.tasks)
    versions = {name: source.version(name) for source in sources.values() for name in ("facemap", "fmdj")}
    made = [["fmdj-cloud", __version__], *([["Facemap", versions["facemap"]]] if versions.get("facemap") else [])]
    fields = {
        "session_description": f"Facemap results of {display_key(choice.recording)}",
        "session_id": session.session_id or None,
        "experiment_description": "Video of an animal's face, processed by Facemap.",
        "keywords": ["facemap", "face", "behavior", "video"],
    }
    return NWBFile(
        identifier=str(uuid.uuid5(uuid.NAMESPACE_URL, identity)),
        session_start_time=clock.session_start,
        was_generated_by=made,
        subject=_subject(session, clock, metadata.get("subject", {})),
        **(fields | dict(metadata.get("nwbfile", {}))),
    )


def _subject(session: SessionFacts, clock: Timing, said: Mapping[str, Any]) -> Subject | None:
    known = session.subject
    fields = dict(said) if known is None else {"subject_id": known.subject_id, **known.fields, **said}
    if not fields:
        return None
    born = fields.pop("date_of_birth", None)
    if born is not None:
        fields["date_of_birth"] = dt.datetime.combine(born, dt.time(), tzinfo=clock.session_start.tzinfo)
    return Subject(**{"description": "As the lab's tables describe it.", **fields})


def add_notes(file: NWBFile, pipeline: str, sources: tuple[Source, ...], notes: tuple[str, ...]) -> None:
    """Say in a file where its contents come from: for people in its notes, for programs as JSON in its scratch space.

    Parameters
    ----------
    file : NWBFile
    pipeline : str
    sources : tuple of Source
    notes : tuple of str
        What was assumed, or left out.
    """
    runs = [
        f"{source.table}: run {source.run_id}, manifest {source.manifest_sha256}."
        for source in sources
        if source.run_id
    ]
    repairs = sorted({fault for source in sources for signal in source.signals for fault in signal.repairs})
    repaired = [f"Repaired faults of Facemap: {', '.join(repairs)}."] if repairs else []
    file.notes = " ".join([f"Exported by fmdj-cloud {__version__}.", *runs, *repaired, *notes])
    file.add_scratch(
        ScratchData(
            name=PROVENANCE,
            data=json.dumps(document(pipeline, sources, notes), indent=1, ensure_ascii=False, default=str),
            description="Where these results come from: runs, versions, parameters, repairs (JSON).",
        )
    )
