"""All rows that a task's results consist of, so that they can be compared with those of a calm day."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.support.kills.world import World

Rows = dict[str, list[dict[str, Any]]]
_WHEN = frozenset({"processing_time", "recording_datetime", "recording_notes"})
"""What differs from day to day."""


def rows_of(world: World, key: dict[str, Any]) -> Rows:
    """Return a task's results by table, in the order of their keys, without what tells the task from others."""
    element, signals = world.lab.element, world.lab.signals
    recording = {name: key[name] for name in element.RecordingInfo.primary_key}
    tables = {
        "FacialSignal": element.FacialSignal & key,
        "Region": element.Region & key,
        "MotionSVD": element.MotionSVD & key,
        "MovieSVD": element.MovieSVD & key,
        "Summary": element.Summary & key,
        "Pupil": signals.Pupil & key,
        "Blink": signals.Blink & key,
        "Running": signals.Running & key,
        "RecordingInfo": element.RecordingInfo & recording,
    }
    return {name: [_plain(row, key) for row in table.to_dicts(order_by="KEY")] for name, table in tables.items()}


def _plain(row: dict[str, Any], key: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in key and name not in _WHEN}


def check_equal(found: Rows, expected: Rows) -> None:
    """See that results are the same: as many rows, and every number of them."""
    assert {name: len(rows) for name, rows in found.items()} == {name: len(rows) for name, rows in expected.items()}
    for name, rows in expected.items():
        for row, wanted in zip(found[name], rows, strict=True):
            np.testing.assert_equal(row, wanted, err_msg=name)
