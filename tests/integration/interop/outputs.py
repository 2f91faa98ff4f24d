"""Sessions known by keys of every kind, and outputs loaded for a lab's tasks."""

from __future__ import annotations

import datetime as dt
import decimal
import uuid
from pathlib import Path
from typing import Any

from fmdj_cloud.contracts import ViewFrames
from fmdj_cloud.load.results import LoadEnd, LoadResult
from tests.support.datajoint014.lab import NEW, OLD, OldLab
from tests.unit.load import conftest as svd

SESSIONS: dict[str, tuple[str, dict[str, Any], str]] = {
    "ints": ("subject_id : int\nsession : smallint unsigned", {"subject_id": 7, "session": 40000}, OLD),
    "strings": ("subject : varchar(16)\nsession : varchar(64)", {"subject": "O'Brien ü", "session": "a%b_1"}, NEW),
    "dates": ("subject : char(4)\nsession_date : date", {"subject": "m001", "session_date": dt.date(2024, 2, 29)}, OLD),
    "datetimes": (
        "subject : varchar(8)\nsession_datetime : datetime",
        {"subject": "m1", "session_datetime": dt.datetime(2024, 5, 6, 7, 8, 9)},
        NEW,
    ),
    "microseconds": (
        "session_datetime : datetime(6)",
        {"session_datetime": dt.datetime(2024, 5, 6, 7, 8, 9, 120)},
        OLD,
    ),
    "uuids": ("session_uuid : uuid", {"session_uuid": uuid.UUID("00112233-4455-6677-8899-aabbccddeeff")}, NEW),
    "others": (
        "rig : enum('left', 'right')\ndepth : decimal(4,1)\nhour : tinyint",
        {"rig": "right", "depth": decimal.Decimal("2.5"), "hour": 3},
        OLD,
    ),
}
"""Definition of Session's key, a key, and the shape of the Element beside it."""


def written(lab: OldLab, key: dict[str, Any], **file: Any) -> Path:
    """Write a signals.h5 of the run that the task will have."""
    path = lab.folder / f"signals{lab.prefix}.h5"
    return svd.write(path, run_id=lab.run_id_of(key, path.name), **file)


def loaded(lab: OldLab, key: dict[str, Any], end: LoadEnd = LoadEnd.LOADED, **file: Any) -> list[LoadResult]:
    """Publish outputs for a task and let the loader make a pass, which must end so."""
    nframes = file.get("nframes", svd.NFRAMES)
    view = ViewFrames(height=svd.HEIGHT, width=svd.WIDTH, fps=29.97, frames=(nframes,), header_frames=(nframes,))
    manifest = svd.manifest(nframes=nframes, views=(view,))
    lab.publish(key, written(lab, key, **file), manifest, svd=svd.params())
    results = lab.load()
    assert [result.end for result in results] == [end], results
    return results
