"""Into how many shards a run is cut."""

from __future__ import annotations

import pytest

from fmdj_cloud.contracts import Engine, Estimate, Kind, Overrides, PoseParams, RunPlan, SvdParams, VideoRef
from fmdj_cloud.control.facemapruns.overrides import overridden
from fmdj_cloud.control.sharding import sharded
from fmdj_cloud.names import content_digest
from fmdj_cloud.settings import ControllerSettings

VIDEO = VideoRef(uri="s3://lab/cam.avi", name="cam.avi", size=1)


@pytest.fixture
def make_plan(make_limits):
    def build(*, minutes=0.0, frames=100_000, **changes):
        given = {"height": 1, "width": 1, "memory_mib": 1, "scratch_mib": 1, "source": "header"}
        estimate = Estimate(frames=frames, seconds=60 * minutes, **given)
        fields = {"videos": ((VIDEO,),), "engine": Engine.TURBO, "svd": SvdParams()}
        return RunPlan(**fields | {"limits": make_limits(), "estimate": estimate} | changes)

    return build


@pytest.mark.parametrize(
    ("asked", "minutes", "expected"),
    [
        ("", 600, None),
        ("1", 600, None),
        ("8", 1, 8),
        ("1000", 1, 256),
        ("auto", 14, None),
        ("auto", 16, 2),
        ("auto", 90, 6),
        ("auto", 6000, 16),
    ],
)
def test_what_is_asked_for_is_done_within_bounds(make_plan, asked, minutes, expected):
    assert sharded(make_plan(minutes=minutes), asked, ControllerSettings()).shards == expected


def test_what_a_facemaprun_asks_for_goes_before_the_setting(make_plan):
    settings = ControllerSettings(shards=4)
    plan = sharded(make_plan(), "", settings)
    assert plan.shards == 4
    assert overridden(plan, Overrides(shards="2"), settings).shards == 2
    assert overridden(plan, Overrides(shards="1"), settings).shards is None
    assert overridden(plan, Overrides(), settings).shards == 4


def test_auto_makes_no_shard_of_a_few_frames(make_plan):
    settings = ControllerSettings(shards="auto")
    assert sharded(make_plan(minutes=600, frames=3500), "", settings).shards == 3
    assert sharded(make_plan(minutes=600, frames=900), "", settings).shards is None


def test_the_engine_facemap_computes_in_one_piece_and_says_so_once(make_plan):
    settings = ControllerSettings(shards=4)
    plan = sharded(make_plan(engine=Engine.FACEMAP, notes=("Before.",)), "", settings)
    again = overridden(plan, Overrides(shards="8"), settings)
    assert (plan.shards, again.shards) == (None, None)
    assert again.notes == plan.notes
    assert plan.notes[0] == "Before."
    assert "turbo can" in plan.notes[1]
    assert sharded(again, "1", ControllerSettings()).notes == ("Before.",)


def test_poses_are_cut_and_imports_are_not(make_plan):
    pose = PoseParams(body_parts=("nose",))
    asked = ControllerSettings(shards=4)
    assert sharded(make_plan(engine=Engine.FACEMAP, svd=None, pose=pose), "", asked).shards == 4
    imported = sharded(make_plan(imports=(VIDEO,)), "", asked)
    assert (imported.shards, imported.notes) == (None, ())


def test_what_is_computed_does_not_depend_on_the_shards(make_plan):
    """The digest is taken of what no shard changes; a new argument for them would be seen here."""
    plan = make_plan()
    digest = content_digest(Kind.SVD, plan.engine, plan.videos, plan.svd, basis=plan.basis)
    cut = sharded(plan, "8", ControllerSettings())
    assert content_digest(Kind.SVD, cut.engine, cut.videos, cut.svd, basis=cut.basis) == digest
