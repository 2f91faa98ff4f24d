"""What a database is asked: statements, one by one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from fmdj_cloud.pipeline.database import Database


@contextlib.contextmanager
def statements(database: Database) -> Iterator[list[str]]:
    """Yield a list of all statements that go over a connection while the block runs."""
    found: list[str] = []
    query = database.connection.query

    def counting(sql: str, *args: Any, **options: Any) -> Any:
        found.append(sql)
        return query(sql, *args, **options)

    database.connection.query = counting
    try:
        yield found
    finally:
        del database.connection.query
