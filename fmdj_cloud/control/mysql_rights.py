"""What a user of MySQL or MariaDB may do, also by the roles that are enabled: read from ``SHOW GRANTS``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from fmdj_cloud.pipeline.database import Database

_NAME = r"(\*|`(?:[^`]|``)+`)"
_GRANT = re.compile(rf"GRANT (.+?) ON {_NAME}\.{_NAME} TO ")
_RIGHT = re.compile(r"([A-Z][A-Z ]*)(?: \(([^)]*)\))?(?:, |$)")
_ALL = "ALL PRIVILEGES"
_WILDCARD = re.compile(r"([%_\\])")


@dataclass(frozen=True)
class Held:
    """A right that a user has.

    Attributes
    ----------
    schema : str
        Pattern, in which ``%`` and ``_`` are wildcards unless escaped.
    table : str or None
        None for all.
    right : str
        Such as ``SELECT`` or ``UPDATE (COLUMN)``.
    """

    schema: str
    table: str | None
    right: str


def held_rights(database: Database, *, mariadb: bool) -> frozenset[Held]:
    """Return what this user may do in this session.

    Parameters
    ----------
    database : Database
    mariadb : bool
        MariaDB tells the rights of enabled roles by itself, MySQL only those of roles that it is asked for.
    """
    using = ""
    if not mariadb:
        ((roles,),) = database.query("SELECT CURRENT_ROLE()")
        using = "" if roles in (None, "", "NONE") else f" USING {roles}"
    shown = database.query(f"SHOW GRANTS FOR CURRENT_USER(){using}" if using else "SHOW GRANTS")
    return frozenset(held_in(str(statement) for (statement,) in shown))


def held_in(statements: Iterable[str]) -> Iterator[Held]:
    """Yield the rights that GRANT statements tell."""
    for statement in statements:
        found = _GRANT.match(statement)
        if found is None:  # of a role to a user, or on a procedure
            continue
        rights, schema, table = found.groups()
        of_table = table != "*"
        pattern = "%" if schema == "*" else _plain(schema)
        pattern = _WILDCARD.sub(r"\\\1", pattern) if of_table else pattern
        for right, columns in _RIGHT.findall(rights):
            for column in columns.split(", ") if columns else ("",):
                name = f"{right} ({_plain(column)})" if column else right
                yield Held(pattern, _plain(table) if of_table else None, name.upper())


def has_right(held: Iterable[Held], schema: str, table: str, right: str) -> bool:
    """Tell whether rights that a user has cover one on a table.

    Parameters
    ----------
    held : iterable of Held
    schema, table : str
    right : str
        Such as ``SELECT`` or ``UPDATE (column)``.
    """
    enough = {right.upper(), right.partition(" ")[0].upper(), _ALL}
    return any(
        one.right in enough and one.table in (None, table) and _pattern(one.schema).fullmatch(schema) for one in held
    )


def _plain(quoted: str) -> str:
    return quoted[1:-1].replace("``", "`") if quoted.startswith("`") else quoted


def _pattern(schema: str) -> re.Pattern[str]:
    """Return what a schema's name in a grant stands for."""
    pieces = re.findall(r"\\.|.", schema)
    words = {"%": ".*", "_": "."}
    return re.compile("".join(words.get(piece, re.escape(piece[-1])) for piece in pieces))
