"""The format of a table, from what DataJoint 2 says of its columns."""

from __future__ import annotations

import types
from typing import Any

import pytest

from fmdj_cloud.errors import ConfigError
from fmdj_cloud.pipeline.formats import Format, format_of, require_values


def table(*columns: tuple[str, str | None, Any]) -> Any:
    attributes = {
        str(number): types.SimpleNamespace(name=f"c{number}", type=kind, original_type=told, codec=codec)
        for number, (kind, told, codec) in enumerate(columns)
    }
    return types.SimpleNamespace(full_table_name="`s`.`t`", heading=types.SimpleNamespace(attributes=attributes))


@pytest.mark.parametrize(
    ("columns", "found"),
    [
        ([("int", None, None), ("longblob", None, None)], Format.NATIVE),
        ([("binary(16)", "uuid", None), ("int", None, None)], Format.NATIVE),
        ([("longblob", "attach", None)], Format.NATIVE),
        ([("binary(16)", "blob@raw", None)], Format.NATIVE),
        ([("int", "int32", None), ("varchar(8)", None, None)], Format.CORE),
        ([("varchar(8)", None, None), ("<blob>", None, object())], Format.CORE),
    ],
)
def test_one_column_of_a_core_type_makes_a_table_datajoint_2s(columns: Any, found: Format) -> None:
    assert format_of(table(*columns)) is found


@pytest.mark.parametrize(
    "column",
    [
        ("binary(16)", "blob@raw", None),
        ("binary(16)", "attach@models", None),
        ("binary(16)", "filepath@videos", None),
        ("<sparse_of_the_lab>", None, object()),
    ],
)
def test_values_that_are_elsewhere_or_of_another_codec_are_refused(column: Any) -> None:
    with pytest.raises(ConfigError, match=r"c1 of `s`.`t` is of the type"):
        require_values(table(("int", None, None), column))


def test_the_elements_own_types_are_taken() -> None:
    require_values(table(("longblob", None, None), ("<blob>", None, object()), ("longblob", "attach", None)))
