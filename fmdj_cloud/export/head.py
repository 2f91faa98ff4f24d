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


def object_name(name: str) -> str:
    """Return a name of the lab's as a part of a file may have it: ``/`` and ``:`` are NWB's own."""
    return name.replace("/", "_").replace(":", "_")


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
    facemaps = sorted({source.version("facemap") for source in sources.values()} - {""})
    made = [["fmdj-cloud", __version__], *(["Facemap", version] for version in facemaps)]
    fields = {
        "session_description": f"Facemap results of {display_key(choice.recording)}",
        "session_id": session.session_id or None,
        "experiment_description": "Video of an animal's face, with the signals that Facemap defines.",
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


def lacks(file: NWBFile) -> tuple[str, ...]:
    """Return what people should know before they give a file to an archive: empty if it tells all of its animal."""
    subject = file.subject
    if subject is None:
        missing = ["the animal"]
    else:
        born = "age or date of birth" if subject.age is None and subject.date_of_birth is None else ""
        missing = [name for name in (born, "" if subject.species else "species", "" if subject.sex else "sex") if name]
        missing = [f"the animal's {' and '.join(missing)}"] if missing else []
    return tuple(f"Nothing tells {what}, which archives such as DANDI ask for: --metadata adds it." for what in missing)


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
    runs += [f"{source.table}: computed by {source.computed_by}." for source in sources if source.computed_by]
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
