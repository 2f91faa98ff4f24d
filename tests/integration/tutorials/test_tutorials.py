"""Every tutorial can be followed: run from its first cell to its last, with small sizes, and the results are right."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.tutorials.notebooks import run

pytestmark = pytest.mark.integration


def test_from_nothing_to_the_first_result(tmp_path: Path) -> None:
    done = run(
        "1_first_result",
        tmp_path,
        {"DEMO": "--frames 400 --only one-camera --only truncated"},
        {"r": "float(agreement)", "regions": "sorted(regions)"},
    )

    assert done["r"] > 0.9
    assert done["regions"] == [
        "blink 1",
        "full frame",
        "motion SVD 1",
        "motion SVD 2",
        "pupil 1",
        "running 1",
    ]
    assert "All as it should be." in done["said"]
    assert "truncated.avi" in done["said"]
    assert done["pictures"] == 2


def test_a_lab_that_has_the_element_already(tmp_path: Path) -> None:
    done = run(
        "2_existing_lab",
        tmp_path,
        {"FRAMES": 700},
        {"found": "found", "before": "float(agreement(before))", "after": "float(agreement(after))"},
    )

    assert "alignment" in json.dumps(done["found"])
    assert done["before"] < 0.8 < 0.98 < done["after"]
    assert done["pictures"] == 1


def test_regions_drawn_in_the_gui_for_many_recordings(tmp_path: Path) -> None:
    done = run(
        "3_gui_rois",
        tmp_path,
        {"RECORDINGS": 3, "FRAMES": 240},
        {"r": "{number: float(r) for number, r in agreement.items()}"},
        {"FMDJ_CONTROLLER__FIRST_START_LIMIT": "2"},  # as more than 20 are by default
    )

    assert sorted(done["r"]) == ["1", "2", "3"]
    assert min(done["r"].values()) > 0.9
    assert "held at first start" in done["said"]
    assert done["pictures"] == 2


@pytest.mark.long
def test_a_model_of_one_s_own_finds_poses(tmp_path: Path) -> None:
    done = run("4_pose_model", tmp_path, {"FRAMES": 100}, {"error": "{part: float(px) for part, px in error.items()}"})

    assert set(done["error"]) == {"nose(tip)", "eye(front)", "eye(back)", "whisker(II)"}
    assert max(done["error"].values()) < 8
    assert done["pictures"] == 2


def test_fetch_plot_export(tmp_path: Path) -> None:
    done = run(
        "7_fetch_plot_export",
        tmp_path,
        {"FRAMES": 300},
        {"frames": "len(time)", "rows": "len(table)", "run": "run['run_id']", "exported": "sorted(exported)"},
    )

    assert (done["frames"], done["rows"]) == (300, 300)
    assert done["run"].startswith("svd-")
    assert done["exported"]
    assert done["pictures"] == 4
