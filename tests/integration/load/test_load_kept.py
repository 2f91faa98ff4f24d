"""Projections in an object store, by DataJoint 2's codec: its own client reads what the loader keeps there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from fmdj_cloud.errors import ConfigError, InputError
from fmdj_cloud.load.results import LoadEnd
from fmdj_cloud.pipeline.lab import open_lab
from fmdj_cloud.pipeline.result_rows import Rows
from fmdj_cloud.signals_h5 import SignalsReader
from tests.integration.load.conftest import World

pytestmark = pytest.mark.integration


class Kept(World):
    """A lab whose projections are in a store."""

    projections: ClassVar[str | None] = "cold"

    @property
    def cold(self) -> Path:
        return self.folder / "cold"

    def column(self) -> list:
        table = self.lab.element.MotionSVD.full_table_name
        found = self.database.query(f"SELECT projection FROM {table}")
        return [json.loads(held) if isinstance(held, str) else held for (held,) in found]


@pytest.fixture
def kept(make_world) -> Iterator[Kept]:
    with make_world(Kept) as made:
        yield made


def test_datajoint_s_own_client_reads_what_is_kept(kept: Kept) -> None:
    key = kept.insert_task()
    kept.publish(key)
    assert [result.end for result in kept.loader().run_pass()] == [LoadEnd.LOADED]

    kept.database.instance.config.stores["cold"] = {"protocol": "file", "location": str(kept.cold)}
    found = (kept.lab.element.MotionSVD & key & {"roi_no": 0}).to_arrays("projection", order_by="component_id")

    with SignalsReader(kept.folder / "n1.h5") as signals:
        _, sent = signals.components(0, "mot", 0, len(found))
    np.testing.assert_array_equal(np.stack(found), sent)
    assert all(trace.dtype == np.float32 for trace in found)
    schema = kept.lab.element.schema
    assert {(held["store"], held["schema"]) for held in kept.column()} == {("cold", schema)}
    assert (
        len(list((kept.cold / "_hash" / schema).iterdir())) == kept.rows(key)["MotionSVD"] + kept.rows(key)["MovieSVD"]
    )


def test_we_read_it_ourselves_and_see_what_was_tampered_with(kept: Kept) -> None:
    key = kept.insert_task()
    kept.publish(key)
    kept.loader().run_pass()
    rows = Rows(kept.database, kept.lab.element.MotionSVD, key, kept.lab.kept)
    where = {"roi_no": 0, kept.lab.element.component: 0}
    with SignalsReader(kept.folder / "n1.h5") as signals:
        _, sent = signals.components(0, "mot", 0, 1)
    np.testing.assert_array_equal(rows.array("projection", 60, **where), sent[0])

    for path in (kept.cold / "_hash" / kept.lab.element.schema).iterdir():
        path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(InputError, match="isn't what was stored there"):
        rows.array("projection", 60, **where)


def test_loading_again_keeps_nothing_twice(kept: Kept) -> None:
    key = kept.insert_task()
    kept.publish(key)
    kept.loader().run_pass()
    before = {path: path.read_bytes() for path in (kept.cold / "_hash" / kept.lab.element.schema).iterdir()}
    held = kept.column()
    second = kept.insert_task()
    kept.publish(second)
    assert [result.end for result in kept.loader().run_pass()] == [LoadEnd.LOADED]
    assert {path: path.read_bytes() for path in before} == before
    assert sorted(one["path"] for one in kept.column()) == sorted(2 * [one["path"] for one in held])


def test_a_store_that_the_settings_don_t_name_is_refused_before_anything_is_computed(kept: Kept) -> None:
    (pipeline,) = kept.settings.pipelines
    with pytest.raises(
        ConfigError, match=r"column projection of .*kept in the DataJoint store 'cold': add its location"
    ):
        open_lab(kept.database, kept.ledger, pipeline.model_copy(update={"stores": {}}))


def test_nothing_is_sent_while_the_transaction_is_open(kept: Kept, monkeypatch) -> None:
    key = kept.insert_task()
    kept.publish(key)
    loader = kept.loader()
    loader._open_labs()
    (lab,) = loader._labs.values()
    sent = []
    put = lab.kept._objects.put_bytes

    def watched(uri: str, data: bytes) -> object:
        sent.append((uri, lab.element.database.in_transaction))
        return put(uri, data)

    monkeypatch.setattr(lab.kept._objects, "put_bytes", watched)
    assert [result.end for result in loader.run_pass()] == [LoadEnd.LOADED]
    inside = [inside for uri, inside in sent if "/_hash/" in uri]
    assert len(inside) == kept.rows(key)["MotionSVD"] + kept.rows(key)["MovieSVD"]
    assert not any(inside)
