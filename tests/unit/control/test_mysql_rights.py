"""Rights as GRANT statements tell them; servers' own sentences."""

from __future__ import annotations

import types
from typing import Any

import pytest

from fmdj_cloud.control.mysql_rights import has_right, held_in, held_rights

MARIADB = (
    "GRANT `reader` TO `bob`@`%`",
    "GRANT USAGE ON *.* TO `bob`@`%` IDENTIFIED BY PASSWORD '*B69027D44F6E5EDC07F1AEAD1477967B16F28227'",
    "GRANT SELECT ON `la\\_b`.* TO `reader`",
    "GRANT INSERT, UPDATE (`a`, `b`) ON `la_b`.`t` TO `bob`@`%`",
    "GRANT EXECUTE ON PROCEDURE `la_b`.`p` TO `bob`@`%`",
    "SET DEFAULT ROLE `reader` FOR `bob`@`%`",
)


@pytest.mark.parametrize(
    ("schema", "table", "right", "has"),
    [
        ("la_b", "any", "SELECT", True),
        ("laxb", "any", "SELECT", False),
        ("la_b", "t", "INSERT", True),
        ("laxb", "t", "INSERT", False),
        ("la_b", "other", "INSERT", False),
        ("la_b", "t", "UPDATE (b)", True),
        ("la_b", "t", "UPDATE (c)", False),
        ("la_b", "t", "UPDATE", False),
        ("la_b", "p", "EXECUTE", False),
    ],
)
def test_rights_are_as_far_as_they_are_granted(schema: str, table: str, right: str, has: bool) -> None:
    assert has_right(list(held_in(MARIADB)), schema, table, right) is has


@pytest.mark.parametrize("scope", ["*.*", "`la%`.*"])
@pytest.mark.parametrize("right", ["SELECT", "UPDATE (b)"])
def test_all_is_everything(scope: str, right: str) -> None:
    held = list(held_in([f"GRANT ALL PRIVILEGES ON {scope} TO `bob`@`%` WITH GRANT OPTION"]))
    assert has_right(held, "lab", "t", right)
    assert has_right(held, "else", "t", right) is (scope == "*.*")


@pytest.mark.parametrize(
    ("roles", "asked"),
    [
        ("NONE", "SHOW GRANTS"),
        ("`a`@`%`,`b`@`%`", "SHOW GRANTS FOR CURRENT_USER() USING `a`@`%`,`b`@`%`"),
    ],
)
def test_mysql_is_asked_for_the_roles_that_are_active(roles: str, asked: str) -> None:
    heard = []

    def query(sql: str, _args: Any = ()) -> list[tuple[str]]:
        heard.append(sql)
        return [(roles,)] if "CURRENT_ROLE" in sql else [("GRANT SELECT ON `lab`.* TO `bob`@`%`",)]

    held = held_rights(types.SimpleNamespace(query=query), mariadb=False)  # type: ignore[arg-type]
    assert heard[-1] == asked
    assert has_right(held, "lab", "t", "SELECT")
