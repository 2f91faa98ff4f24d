"""Which files follow each other and which were recorded at the same time: pure.

The Element has no column for it: `views` in ``facemap_params`` (or, of a pose task, in a mapping in ``bbox``) says it
by file_id, a GUI export's nested `filenames` by base name; else all files are sequential and of one view.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from fmdj_cloud.contracts import TaskRecord
from fmdj_cloud.control.params import as_integer, merged_params
from fmdj_cloud.errors import InputError, InputMissingError

Grouping = tuple[tuple[int, ...], ...]
"""file_ids: outer sequential, inner simultaneous (views)."""
_FILENAMES = "facemap_params['filenames']"
_MAX_FILES = 4096
"""Of a recording. Each is asked for when it is planned, and others wait meanwhile; a day has 1440 minutes."""


def group_views(task: TaskRecord) -> tuple[Grouping, tuple[str, ...]]:
    """Return the files of a task as ``facemap.process.run`` takes them.

    Parameters
    ----------
    task : TaskRecord

    Returns
    -------
    grouping : tuple of tuple of int
        file_ids, outer sequential, inner simultaneous; every row has the same length.
    notes : tuple of str

    Raises
    ------
    InputMissingError
        If the recording has no files (yet).
    InputError
        If the grouping names other files than the recording's, or is ragged (check ``views``).
    """
    params = merged_params(task.params)
    if params.get("views") is None and not _is_empty(params.get("filenames")):
        _check_files(task)
        return _by_name(task, params["filenames"])
    return group_by_id(task, params.get("views"), "facemap_params['views']")


def group_by_id(task: TaskRecord, views: Any, where: str) -> tuple[Grouping, tuple[str, ...]]:
    """Return the files of a task as a list of lists of file_ids says.

    Parameters
    ----------
    task : TaskRecord
    views : object
        ``[[file_id, ...], ...]``, outer sequential, inner simultaneous; None for files that follow each other.
    where : str
        Where it stands, for sentences.

    Returns
    -------
    grouping, notes
        As :func:`group_views`.

    Raises
    ------
    InputMissingError, InputError
        As :func:`group_views`.
    """
    _check_files(task)
    if views is None:
        return tuple((file_id,) for file_id, _ in task.files), ()
    known = dict(task.files)
    grouping = []
    for row in _rows(where, views):
        ids = [as_integer(item) for item in row]
        wrong = [item for item, found in zip(row, ids, strict=True) if found is None or found not in known]
        if wrong:
            raise _error(
                f"{where} names file {wrong[0]!r}, but the recording has the file_ids {', '.join(map(str, known))}."
            )
        grouping.append(tuple(found for found in ids if found is not None))
    _check_rows(where, grouping)
    used = {file_id for row in grouping for file_id in row}
    notes = tuple(
        f"File {file_id} ({path}) is not in {where} and is left out."
        for file_id, path in task.files
        if file_id not in used
    )
    return tuple(grouping), notes


def base_name(path: str) -> str:
    """Return the last part of a POSIX or Windows path."""
    return re.split(r"[/\\]", path.rstrip("/\\"))[-1]


def _check_files(task: TaskRecord) -> None:
    if not task.files:
        raise InputMissingError(
            "The recording has no files in VideoRecording.File: insert a row for each video.", check="views"
        )
    if len(task.files) > _MAX_FILES:
        raise _error(
            f"The recording has {len(task.files)} files, more than {_MAX_FILES}: join them, or make several recordings."
        )


def _by_name(task: TaskRecord, value: Any) -> tuple[Grouping, tuple[str, ...]]:
    names = [[base_name(item) if isinstance(item, str) else "" for item in row] for row in _rows(_FILENAMES, value)]
    ids: dict[str, int] = {}
    duplicates = [name for name, count in Counter(base_name(path) for _, path in task.files).items() if count > 1]
    for file_id, path in task.files:
        ids.setdefault(base_name(path), file_id)
    wanted = {name for row in names for name in row}
    if not wanted & set(ids):
        views = max(len(row) for row in names)
        if views > 1:
            raise _error(
                f"facemap_params was saved for {views} simultaneous views of other videos "
                f"({', '.join(sorted(wanted))}); say which files of this recording are which view with "
                "facemap_params['views'] = [[file_id, file_id], ...]."
            )
        others = ", ".join(sorted(wanted)) or "none named"
        note = f"facemap_params was saved for another video ({others}): its ROIs and settings are used here."
        return tuple((file_id,) for file_id, _ in task.files), (note,)
    missing = sorted(wanted - set(ids))
    if missing:
        raise _error(
            f"facemap_params['filenames'] names {missing[0]!r}, which the recording doesn't have "
            f"(it has {', '.join(ids)}): correct it, or give facemap_params['views'] by file_id."
        )
    if duplicates:
        raise _error(
            f"The recording has several files called {duplicates[0]!r}, so facemap_params['filenames'] can't tell "
            "them apart: give facemap_params['views'] by file_id."
        )
    grouping = [tuple(ids[name] for name in row) for row in names]
    _check_rows(_FILENAMES, grouping)
    unused = [name for name in ids if name not in wanted]
    if unused:
        raise _error(
            f"The recording has the file {unused[0]!r}, which facemap_params['filenames'] doesn't name: correct it, "
            "or give facemap_params['views'] by file_id."
        )
    return tuple(grouping), ()


def _is_empty(value: Any) -> bool:
    """Whether the GUI saved no file names (it saves an empty list or string before a video is opened)."""
    return value is None or (isinstance(value, str | list | tuple | np.ndarray) and len(value) == 0)


def _rows(where: str, value: Any) -> list[list[Any]]:
    listed = value.tolist() if isinstance(value, np.ndarray) else value
    if isinstance(listed, str) or not isinstance(listed, Sequence) or not listed:
        raise _error(f"{where} must be a list of lists: outer sequential, inner simultaneous.")
    rows = []
    for row in listed:
        inner = row.tolist() if isinstance(row, np.ndarray) else row
        flat = isinstance(inner, str) or not isinstance(inner, Sequence)
        rows.append([inner] if flat else list(inner))
    return rows


def _check_rows(where: str, rows: Sequence[Sequence[int]]) -> None:
    lengths = sorted({len(row) for row in rows})
    if len(lengths) > 1 or lengths[0] == 0:
        raise _error(
            f"{where} has rows of {' and '.join(map(str, lengths))} files; every row must name one file per view."
        )
    repeated = [file_id for file_id, count in Counter(f for row in rows for f in row).items() if count > 1]
    if repeated:
        raise _error(f"{where} names file {repeated[0]} more than once.")


def _error(sentence: str) -> InputError:
    return InputError(sentence, check="views")
