"""Outputs of a task with equal content are taken, not computed again; the loader verifies them as ever."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fmdj_cloud.contracts import REUSE, Manifest, RunState
from fmdj_cloud.control.status import gather_status
from fmdj_cloud.load.results import LoadEnd

from .conftest import MakeSite, Site
from .reusing import VIDEO, computed, outputs_of

pytestmark = pytest.mark.integration


def test_equal_content_is_computed_once(site: Site) -> None:
    first = site.add_task(video=VIDEO)
    site.settle()
    second = site.add_task(video=VIDEO)
    assert site.bench.step().published == 1
    assert [result.end for result in site.bench.load()] == [LoadEnd.LOADED]
    assert computed(site) == 1
    donor, run = site.bench.run_of(first), site.bench.run_of(second)
    (attempt,) = site.bench.ledger.attempts(run.run_id)
    assert (attempt.launcher, attempt.outcome) == (REUSE, "published")
    manifest = Manifest.model_validate_json((outputs_of(site, second) / "manifest.json").read_bytes())
    assert manifest.reused_from == f"file://{outputs_of(site, first)}"
    assert [file.path for file in manifest.files] == [f"{manifest.reused_from}/n1/signals.h5"]
    told = f"Its outputs are those of {donor.run_id}, attempt 1, with equal content."
    assert told in site.bench.explain(second).why
    assert told not in site.bench.explain(first).why
    lines = gather_status(site.bench.ledger, [site.bench.lab()], site.bench.store).runs
    assert {line.run_id: line.sentence for line in lines} == {donor.run_id: "", run.run_id: told}
    element = site.elements[0]
    motions = [(element.Region & key).fetch1("motion") for key in (first, second)]
    np.testing.assert_array_equal(*motions)
    assert (element.FacemapTask & second).fetch1("facemap_output_dir").endswith(f"{donor.run_id}/a1/n1")


def test_content_is_equal_across_pipelines(make_site: MakeSite) -> None:
    site = make_site(labs=2)
    first = site.add_task(0, VIDEO)
    site.settle()
    second = site.add_task(1, VIDEO)
    site.settle()
    assert computed(site) == 1
    assert site.bench.run_of(second, "lab1").state is RunState.LOADED
    assert len(site.elements[1].MotionSVD & second) == len(site.elements[0].MotionSVD & first) == 3
    site.delete_result(second, lab=1)
    site.settle()
    assert computed(site) == 1
    assert site.bench.run_of(second, "lab1").state is RunState.LOADED


@pytest.mark.parametrize("change", [{"facemap_params": {"sbin": 8}}, {"do_mov_svd": True}])
def test_other_parameters_are_computed(site: Site, change: dict[str, Any]) -> None:
    site.add_task(video=VIDEO)
    site.settle()
    site.add_task(video=VIDEO, **change)
    site.bench.step()
    assert computed(site) == 2


def test_outputs_that_are_gone_are_computed(site: Site) -> None:
    first = site.add_task(video=VIDEO)
    site.settle()
    (outputs_of(site, first) / "n1" / "signals.h5").unlink()
    site.add_task(video=VIDEO)
    site.settle()
    assert computed(site) == 2


def test_of_two_that_are_planned_at_once_one_is_computed(site: Site) -> None:
    keys = [site.add_task(video=VIDEO) for _ in range(2)]
    site.bench.jobs.waits = True
    for _ in range(3):
        site.bench.step()
    assert computed(site) == 1
    site.bench.jobs.finish_all()
    site.settle(passes=3)
    assert computed(site) == 1
    assert {site.bench.run_of(key).state for key in keys} == {RunState.LOADED}
