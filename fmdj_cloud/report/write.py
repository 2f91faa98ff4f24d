"""Write a report: the HTML, and its pictures as files beside it."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fmdj_cloud.contracts import Verdict, ViewFrames
from fmdj_cloud.errors import InputError, LoadError, StorageError, UsageError
from fmdj_cloud.report.facts import origins, provenance
from fmdj_cloud.report.html import Part, Picture, report_html
from fmdj_cloud.report.pictures import DRAWINGS, drawable
from fmdj_cloud.report.results import Result, cited, open_signals
from fmdj_cloud.report.signals import Signals
from fmdj_cloud.report.style import DARK, LIGHT
from fmdj_cloud.storage.base import Store

_WORST_FIRST = {verdict: place for place, verdict in enumerate((Verdict.FAIL, Verdict.WARN, Verdict.PASS))}


@dataclass(frozen=True)
class Written:
    """What was written.

    Attributes
    ----------
    page : Path
    pictures : tuple of Path
    notes : tuple of str
        What couldn't be drawn, and why.
    """

    page: Path
    pictures: tuple[Path, ...]
    notes: tuple[str, ...]


def write_report(
    results: Sequence[Result],
    store: Store,
    folder: Path,
    *,
    title: str,
    now: dt.datetime,
    workdir: Path | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Written:
    """Write ``report.html`` and a PNG of every picture.

    Parameters
    ----------
    results : sequence of Result
    store : Store
        Asked for signals, one result after the other.
    folder : Path
        Made if missing; files of the same names are replaced.
    title : str
    now : datetime
        UTC.
    workdir : Path, optional
        Where copies of signals.h5 are kept meanwhile.
    progress : callable
        Told which result is next.

    Raises
    ------
    UsageError
        If nothing can be written there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        parts, files, notes = [], [], []
        for number, result in enumerate(results, 1):
            progress(result.text)
            part = _part(result, store, workdir, number)
            parts.append(part)
            notes += [f"{part.title}: {note}" for note in part.notes]
            for picture in part.pictures:
                path = folder / f"{part.stem}-{picture.name}.png"
                _replace(path, picture.light)
                files.append(path)
        works = [work.text() for work in cited(results).works]
        page = folder / "report.html"
        _replace(page, report_html(title, parts, works, now).encode())
    except OSError as error:
        raise UsageError(f"The report can't be written to {error.filename or folder}: {error.strerror}.") from error
    return Written(page, tuple(files), tuple(notes))


def _part(result: Result, store: Store, workdir: Path | None, number: int) -> Part:
    views = () if result.manifest is None else result.manifest.views
    notes = list(result.manifest.warnings) if result.manifest is not None else []
    pictures: tuple[Picture, ...] = ()
    try:
        with open_signals(result, store, workdir) as (signals, source):
            words = f"{result.choice.tasks.name}: {signals.nframes} frames, from {source}."
            pictures, undrawn = _pictures(signals, views, result.text)
            notes += undrawn
    except (InputError, LoadError, StorageError) as error:
        words = f"{result.choice.tasks.name}: no pictures could be drawn."
        notes.append(error.sentence)
    return Part(
        stem=result.run.run_id if result.run is not None else f"result-{number}",
        title=result.text,
        words=words,
        notes=tuple(notes),
        pictures=pictures,
        quality=tuple(sorted(result.quality, key=lambda check: _WORST_FIRST[check.verdict])),
        provenance=provenance(result),
        origins=origins(result.manifest),
    )


def _pictures(signals: Signals, views: Sequence[ViewFrames], text: str) -> tuple[tuple[Picture, ...], list[str]]:
    """Return the pictures that can be drawn, and why others can't: rows may be odd that others wrote."""
    found, notes = [], []
    for name in drawable(signals):
        drawing = DRAWINGS[name]
        try:
            light, dark = drawing.draw(signals, views, LIGHT), drawing.draw(signals, views, DARK)
        except InputError as error:
            notes.append(error.sentence)
            continue
        if light is not None and dark is not None:
            alt = f"{drawing.title} of {text}"
            found.append(Picture(name, drawing.title, drawing.caption, alt, light, dark))
    return tuple(found), notes


def _replace(path: Path, data: bytes) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(data)
    os.replace(partial, path)
