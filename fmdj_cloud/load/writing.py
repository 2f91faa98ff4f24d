"""Rows into a lab's tables, counted; what a lab's table can't hold is refused by name."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from fmdj_cloud.errors import LoadError
from fmdj_cloud.load.prepare import Prepared
from fmdj_cloud.load.rows import recording_info_row
from fmdj_cloud.pipeline.inserting import insert_rows, largest_statement
from fmdj_cloud.pipeline.lab import Lab

logger = logging.getLogger(__name__)
_LARGEST = {"tinyint": 127, "smallint": 32_767, "mediumint": 8_388_607}
"""Of signed columns; unsigned ones take twice that, and one more."""


class RowWriter:
    """Inserts rows in the transaction that is open.

    Parameters
    ----------
    lab : Lab
    slice_bytes : int
        Bytes of arrays in one statement, at most.

    Attributes
    ----------
    rows : dict
        Table -> rows inserted.
    slice_bytes : int
        No more than the server takes in one statement.
    """

    def __init__(self, lab: Lab, slice_bytes: int) -> None:
        self._database = lab.element.database
        self._kept = lab.kept
        self._largest = largest_statement(self._database)
        self.slice_bytes = min(slice_bytes, self._largest)
        self.rows: dict[str, int] = {}

    def insert(self, name: str, table: Any, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows into a table.

        Parameters
        ----------
        name : str
            By which the rows are counted.
        table : datajoint table
        rows : sequence of Mapping
            All with the same attributes.

        Raises
        ------
        LoadError
            If the table lacks an attribute, or a value is larger than the server takes.
        """
        unknown = {attribute for row in rows for attribute in row} - set(table.heading.names)
        if unknown:
            raise LoadError(
                f"{table.__name__} has no attribute {', '.join(sorted(unknown))}: its schema is none of "
                "element-facemap 0.1 to 0.3; correct the pipeline's schemas in the settings."
            )
        insert_rows(self._database, table, rows, largest=self._largest, statement=self.slice_bytes, kept=self._kept)
        self.rows[name] = self.rows.get(name, 0) + len(rows)


def fill_recording_info(lab: Lab, prepared: Prepared, writer: RowWriter) -> None:
    """Insert what the worker found in the videos, where the lab has no row that says it, and its table can hold it.

    Before element-facemap 0.1.3 frames were counted in a smallint, up to 32,767: such a result goes without the row.
    """
    table = lab.element.RecordingInfo
    recording = {name: prepared.key[name] for name in table.primary_key}
    info = recording_info_row(recording, prepared.manifest)
    if info is None or table & recording:
        return
    for name in info.keys() - recording.keys():
        kind, *words = str(table.heading[name].type).split()
        largest = _LARGEST.get(kind.partition("(")[0])
        if largest is not None and "unsigned" in words:
            largest = 2 * largest + 1
        if largest is not None and info[name] > largest:
            logger.warning(
                "%s of %s holds at most %d, and this recording has %d: its row is left out. Make that column an int.",
                *(name, table.full_table_name, largest, info[name]),
            )
            return
    writer.insert("RecordingInfo", table, [info])


def tell_output_dir(lab: Lab, prepared: Prepared) -> None:
    """Set the task's output directory to where the outputs lie, if that is known."""
    tasks = lab.tasks_of(prepared.run)
    if prepared.output_dir is not None:
        tasks.table.update1({**prepared.key, tasks.output_dir: prepared.output_dir})
