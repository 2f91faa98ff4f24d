"""Result rows of one task, value by value: a large array is fetched when it is needed, and not kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fmdj_cloud.errors import InputError
from fmdj_cloud.names import display_key
from fmdj_cloud.pipeline.codec import decode, unpack
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.kept import KeptBlobs, store_of
from fmdj_cloud.pipeline.keys import KeyColumns

Array = npt.NDArray[Any]


class Rows:
    """The rows of one table that belong to a key.

    Parameters
    ----------
    database : Database
    table : datajoint table
        Class.
    key : Mapping
        Whole key of a table above it (or its own), native values.
    kept : KeptBlobs, optional
        For what the table keeps in an object store.

    Attributes
    ----------
    key : Mapping
    """

    def __init__(self, database: Database, table: Any, key: Mapping[str, Any], kept: KeptBlobs | None = None) -> None:
        self._database = database
        self._table = table
        self.key = key
        self._kept = kept
        heading = table.heading
        names = [name for name in heading.primary_key if name in key]
        self._where, self._args = KeyColumns(database, tuple(heading[name] for name in names)).among([key])

    def __repr__(self) -> str:
        return f"{self._table.__name__} of {display_key(self.key)}"

    def has(self, name: str) -> bool:
        """Tell whether the table has a column."""
        return name in self._table.heading.names

    def all(self, *names: str, order: Sequence[str] = ()) -> list[dict[str, Any]]:
        """Return columns of all rows, decoded, in order."""
        columns = ", ".join(map(self._database.identifier, names))
        tail = f" ORDER BY {', '.join(map(self._database.identifier, order))}" if order else ""
        sql = f"SELECT {columns} FROM {self._table.full_table_name} WHERE {self._where}{tail}"
        return [self._row(names, row) for row in self._database.query(sql, self._args)]

    def one(self, *names: str, **where: Any) -> dict[str, Any] | None:
        """Return columns of the one row that `where` leaves; None if there is none."""
        found = self.some(names, where)
        return found[0] if found else None

    def some(
        self, names: Sequence[str], where: Mapping[str, Any], *, among: tuple[str, Sequence[Any]] | None = None
    ) -> list[dict[str, Any]]:
        """Return columns of the rows that `where` leaves.

        Parameters
        ----------
        names : sequence of str
        where : Mapping
            Column -> value.
        among : (str, sequence), optional
            A column of integers whose value is one of these; rows come in their order.
        """
        conditions = [self._where, *(f"{self._database.identifier(name)} = %s" for name in where)]
        args = [*self._args, *where.values()]
        order = ""
        if among is not None:
            column = self._database.identifier(among[0])
            conditions.append(f"{column} IN ({', '.join(['%s'] * len(among[1]))})")
            args += among[1]
            order = f" ORDER BY {column}"
        columns = ", ".join(map(self._database.identifier, names))
        sql = f"SELECT {columns} FROM {self._table.full_table_name} WHERE {' AND '.join(conditions)}{order}"
        return [self._row(names, row) for row in self._database.query(sql, tuple(args))]

    def delete(self) -> int:
        """Delete all rows, and nothing that depends on them; return how many there were.

        Raises
        ------
        DatabaseError
            If something depends on them.
        """
        return self._database.execute(f"DELETE FROM {self._table.full_table_name} WHERE {self._where}", self._args)

    def array(self, name: str, nframes: int, trailing: tuple[int, ...] = (), **where: Any) -> Array:
        """Return a trace: a column of one row as an array with one entry per frame.

        Raises
        ------
        InputError
            If it isn't one.
        """
        row = self.one(name, **where)
        return self.trace(None if row is None else row[name], name, nframes, trailing, where)

    def trace(self, value: Any, name: str, nframes: int, trailing: tuple[int, ...], where: Mapping[str, Any]) -> Array:
        """Return a value as a trace.

        Raises
        ------
        InputError
            If it has another shape.
        """
        array = np.asarray(value) if value is not None else np.zeros(0)
        if array.shape != (nframes, *trailing) or array.dtype.kind not in "fiub":
            of = ", ".join(f"{column}={item}" for column, item in where.items())
            raise InputError(
                f"{name} of {self!r} ({of}) is of shape {array.shape}, not {(nframes, *trailing)}: "
                "`fmdj audit` tells what is wrong with these rows.",
                check="rows",
            )
        return array

    def _row(self, names: Sequence[str], row: Sequence[Any]) -> dict[str, Any]:
        return {name: self._value(name, value) for name, value in zip(names, row, strict=True)}

    def _value(self, name: str, value: Any) -> Any:
        attribute = self._table.heading[name]
        if self._kept is not None and value is not None and store_of(attribute) is not None:
            return unpack(self._kept.get(value))
        return decode(attribute, value)
