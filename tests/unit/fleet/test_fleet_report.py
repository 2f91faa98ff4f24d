"""How long and how much: what changes it, and in which direction."""

from __future__ import annotations

import json

import pytest
import yaml
from typer.testing import CliRunner

from fmdj_cloud.cli.app import app
from fmdj_cloud.contracts import Engine, Kind
from fmdj_cloud.control.fleet.file import Fleet, Pods, Sort, example
from fmdj_cloud.control.fleet.report import plan_fleet
from fmdj_cloud.control.fleet.work import work_of
from fmdj_cloud.errors import ConfigError

SORT = Sort(name="a", number=200, minutes=30, gib=2, rois={"pupil": 1})


def fleet(**changes):
    told = yaml.safe_load(example())
    told["recordings"][0] |= {"number": 500} | changes.pop("recording", {})
    told["nodes"][0] |= changes.pop("node", {})
    for name, value in changes.items():
        told[name] = told[name] | value if isinstance(value, dict) else value
    return Fleet.model_validate(told)


def way(report, *, spot=False, cut=False):
    return next(one for one in report.ways if one.spot is spot and (one.shards > 1) is cut)


def test_there_are_four_ways():
    report = plan_fleet(fleet())
    assert {(one.spot, one.shards) for one in report.ways} == {(False, 1), (True, 1), (False, 8), (True, 8)}


def test_without_a_spot_price_and_shards_there_is_one():
    report = plan_fleet(fleet(node={"spot_price_per_h": None}, shards=1))
    assert [(one.spot, one.shards) for one in report.ways] == [(False, 1)]


def test_more_nodes_are_quicker_and_compute_no_more():
    few, many = (way(plan_fleet(fleet(node={"number": number}))) for number in (4, 8))
    assert many.compute_hours < 0.6 * few.compute_hours
    assert many.cpu_hours == pytest.approx(few.cpu_hours)


def test_quicker_cores_are_quicker_and_cheaper():
    slow, fast = (way(plan_fleet(fleet(node={"speed": speed}))) for speed in (0.5, 2.0))
    assert fast.compute_hours < 0.5 * slow.compute_hours
    assert fast.cost < slow.cost


def test_spot_costs_less_and_loses_work():
    report = plan_fleet(fleet(spot={"interruptions_per_h": 0.5}))
    assert way(report, spot=True).cost < way(report).cost
    assert way(report, spot=True).lost_hours > 0
    assert way(report, spot=True).cpu_hours > way(report).cpu_hours
    assert way(report).lost_hours == 0


def test_cut_recordings_lose_less_to_interruptions():
    report = plan_fleet(fleet(recording={"minutes": 1200, "number": 100}, spot={"interruptions_per_h": 1.0}))
    assert way(report, spot=True, cut=True).lost_hours < 0.5 * way(report, spot=True).lost_hours


def test_one_long_recording_is_done_sooner_when_it_is_cut():
    report = plan_fleet(fleet(recording={"number": 1, "minutes": 600}))
    assert way(report, cut=True).compute_hours < 0.5 * way(report).compute_hours
    assert way(report, cut=True).cpu_hours > way(report).cpu_hours


def test_what_bounds_it_is_told():
    assert way(plan_fleet(fleet(node={"number": 1}))).bound == "computing"
    assert way(plan_fleet(fleet(loaders={"mib_per_s": 1}))).bound == "loading"
    short = fleet(recording={"minutes": 0.1, "number": 5000}, pods={"launches_per_s": 1.0}, loaders={"mib_per_s": 1e5})
    assert way(plan_fleet(short)).bound == "launching"


def test_poses_go_to_nodes_with_a_gpu_and_the_rest_does_not():
    told = yaml.safe_load(example())
    told["recordings"].append({"name": "poses", "number": 100, "kind": "pose", "minutes": 60})
    told["nodes"].append({"name": "gpu", "number": 2, "cpu": 8, "memory_gib": 64, "gpu": 1, "price_per_h": 3})
    told["pods"]["gpu"] = 1
    report = plan_fleet(Fleet.model_validate(told))
    svd, poses = report.recordings
    assert way(report).nodes == 22
    assert poses.output_mib < svd.output_mib


def test_a_pod_that_fits_no_node_is_named():
    with pytest.raises(ConfigError, match=r"No node of the file takes a pod of 'face cameras'.*GiB"):
        plan_fleet(fleet(node={"memory_gib": 0.5}))
    with pytest.raises(ConfigError, match="1 GPU"):
        plan_fleet(fleet(recording={"kind": "pose"}, pods={"gpu": 1}))


def test_facemap_itself_cannot_cut_and_the_note_says_so():
    report = plan_fleet(fleet(recording={"engine": "facemap"}))
    assert {one.shards for one in report.ways} == {1}
    mixed = fleet(recording={"engine": "facemap"})
    mixed = mixed.model_copy(update={"recordings": (*mixed.recordings, SORT)})
    assert "can't cut a recording: face cameras" in plan_fleet(mixed).notes[0]


@pytest.mark.parametrize("sort", [SORT, SORT.model_copy(update={"kind": Kind.POSE})])
def test_shards_share_out_the_frames_and_nothing_is_left_out(sort):
    whole, cut = work_of(sort, Pods()), work_of(sort, Pods(), 10)
    assert len(whole.stages) == 1
    assert cut.cpu_s >= whole.cpu_s
    starts = cut.pods - 1
    start = cut.stages[-1].cpu_s
    assert cut.cpu_s == pytest.approx(whole.cpu_s + starts * start)
    assert cut.stages[-2].pods == 10


def test_facemap_takes_longer_than_turbo():
    slow = work_of(SORT.model_copy(update={"engine": Engine.FACEMAP}), Pods())
    assert slow.cpu_s > 4 * work_of(SORT, Pods()).cpu_s


def test_the_command_needs_no_settings(tmp_path):
    path = tmp_path / "fleet.yaml"
    told = CliRunner().invoke(app, ["plan", "--fleet-example"])
    path.write_text(told.stdout)
    table = CliRunner().invoke(app, ["plan", "--fleet", str(path)])
    assert table.exit_code == 0
    assert "spot, cut into 8" in table.stdout
    found = json.loads(CliRunner().invoke(app, ["plan", "--fleet", str(path), "-o", "json"]).stdout)
    assert len(found["ways"]) == 4
    assert found["recordings"][0]["frames"] == 108_000


def test_a_key_beside_a_fleet_is_refused():
    told = CliRunner().invoke(app, ["plan", "subject=m1", "--fleet", "f"])
    assert told.exit_code != 0
