"""Rows with large arrays: packed as they are, in statements that the server takes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fmdj_cloud.errors import LoadError
from fmdj_cloud.pipeline.inserting import insert_rows, largest_statement

pytestmark = pytest.mark.integration

World = Any
NOISE = np.random.default_rng(0).standard_normal
_MIB = 1 << 20


def region(key: dict[str, Any], number: int, **arrays: Any) -> dict[str, Any]:
    values = dict.fromkeys(("xrange", "yrange", "xrange_bin", "yrange_bin", "motion"))
    return {**key, "roi_no": number, "roi_name": f"roi {number}", **values, **arrays}


@pytest.fixture
def key(world: World) -> dict[str, Any]:
    key: dict[str, Any] = world.add_task()
    world.add_result(key)
    return key


def stored(world: World, key: dict[str, Any]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = (world.element.Region & key).to_dicts()
    return sorted(rows, key=lambda row: row["roi_no"])


def test_noise_is_not_compressed_and_datajoint_reads_it(world: World, key: dict[str, Any]) -> None:
    noise = NOISE(5000).astype(np.float32)
    zeros = np.zeros(5000, np.int64)

    insert_rows(world.database, world.element.Region, [region(key, 0, motion=noise, xrange=zeros)], largest=None)

    (row,) = stored(world, key)
    np.testing.assert_array_equal(row["motion"], noise)
    assert row["motion"].dtype == np.float32
    np.testing.assert_array_equal(row["xrange"], zeros)
    assert row["yrange"] is None
    ((motion, xrange),) = world.database.query(
        f"SELECT motion, {world.database.identifier('xrange')} FROM {world.element.Region.full_table_name}"
    )
    assert bytes(motion).startswith(b"mYm\0")
    assert bytes(xrange).startswith(b"ZL123\0")


def statements(world: World, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """What goes to the server from now on: the verb, and how many bytes of blobs."""
    seen: list[tuple[str, int]] = []
    query = world.database.connection.query

    def noted(sql: str, args: Any = (), **options: Any) -> Any:
        seen.append((sql.split()[0], sum(len(value) for value in args or () if isinstance(value, bytes))))
        return query(sql, args, **options)

    monkeypatch.setattr(world.database.connection, "query", noted)
    return seen


def test_rows_are_cut_into_statements_below_the_limit(
    world: World, key: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [region(key, number, motion=NOISE(1000)) for number in range(5)]
    seen = statements(world, monkeypatch)

    insert_rows(world.database, world.element.Region, rows, largest=17_000)

    monkeypatch.undo()
    assert [verb for verb, _ in seen] == ["INSERT"] * 3
    assert max(size for _, size in seen) <= 17_000
    for row, sent in zip(stored(world, key), rows, strict=True):
        np.testing.assert_array_equal(row["motion"], sent["motion"])


def test_a_row_whose_values_together_pass_the_limit_follows_value_by_value(
    world: World, key: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    small = region(key, 0, motion=NOISE(10))
    large = region(key, 1, motion=NOISE(1000), xrange=NOISE(1000), yrange=NOISE(1000))
    seen = statements(world, monkeypatch)

    insert_rows(world.database, world.element.Region, [small, large], largest=9_000)

    monkeypatch.undo()
    assert [verb for verb, _ in seen] == ["INSERT", "INSERT", "UPDATE", "UPDATE"]
    assert max(size for _, size in seen) <= 9_000
    _, row = stored(world, key)
    for name in ("motion", "xrange", "yrange"):
        np.testing.assert_array_equal(row[name], large[name])
    assert row["xrange_bin"] is None


def test_what_the_limit_allows_the_server_takes(world: World, key: dict[str, Any]) -> None:
    largest = min(largest_statement(world.database), 8 * _MIB)
    values = (largest - 2000) // 4
    rows = [region(key, number, motion=NOISE(values // 2).astype(np.float32)) for number in range(3)]
    rows.append(region(key, 3, motion=NOISE(values).astype(np.float32), xrange=NOISE(values).astype(np.float32)))

    with world.database.transaction():
        insert_rows(world.database, world.element.Region, rows, largest=largest)

    lengths = world.database.query(
        f"SELECT roi_no, LENGTH(motion) FROM {world.element.Region.full_table_name} ORDER BY roi_no"
    )
    assert [number for number, _ in lengths] == [0, 1, 2, 3]
    assert lengths[3][1] > largest - 2100


def test_a_single_value_above_the_limit_is_final_and_names_the_setting_to_raise(
    world: World, key: dict[str, Any]
) -> None:
    largest = min(largest_statement(world.database), 8 * _MIB)
    row = region(key, 0, motion=NOISE(largest // 8 + 1000))
    remedy = r"no setting" if world.database.backend == "postgresql" else r"raise max_allowed_packet .* to at least \d+"

    with (
        pytest.raises(LoadError, match=rf"motion of a row of Region has .* {remedy}"),
        world.database.transaction(),
    ):
        insert_rows(world.database, world.element.Region, [row], largest=largest)
    assert stored(world, key) == []


def test_the_limit_is_the_servers(world: World) -> None:
    limit = largest_statement(world.database)
    if world.database.backend == "postgresql":
        assert limit == int(0.45 * 2**30)
    else:
        ((packet,),) = world.database.query("SELECT @@max_allowed_packet")
        assert limit == int(0.45 * packet)
