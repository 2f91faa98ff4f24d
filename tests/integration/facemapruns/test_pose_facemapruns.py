"""FacemapRuns that select tasks of pose inference, and imports of either kind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from fmdj_cloud.contracts import Kind, Outcome, RunState
from fmdj_cloud.names import run_id
from fmdj_cloud.pipeline.inference import Inference
from fmdj_cloud.pipeline.lab import open_lab
from fmdj_cloud.settings import DatabaseSettings
from tests.support.pose import tables

from .conftest import LIMITS, PLAN, Site

pytestmark = pytest.mark.integration


@pytest.fixture(scope="session")
def database_server(postgres_settings: DatabaseSettings) -> DatabaseSettings:
    """One is enough: what differs between databases is below all this."""
    return postgres_settings


@pytest.fixture
def inference(site: Site) -> Iterator[Inference]:
    """The site's lab with pose inference and a model, number 7."""
    laboratory, database = site.laboratory, site.laboratory.database
    without = laboratory.lab
    found = tables.declare(laboratory.element, f"{laboratory.element.schema}_poses")
    pipeline = site.settings.pipelines[0].model_copy(update={"inference_schema": found.schema})
    site.settings = site.settings.model_copy(update={"pipelines": (pipeline,)})
    laboratory.lab = open_lab(database, laboratory.ledger, pipeline, claimed_only=True)
    yield found
    laboratory.lab = without
    tables.empty(found)


def add_pose(site: Site, inference: Inference, number: int, **columns: Any) -> dict[str, Any]:
    return tables.insert_task(site.laboratory.element, inference, number, **columns)


def owned(site: Site) -> set[tuple[str, Kind]]:
    return {(claim.owner_name, claim.kind) for claim in site.laboratory.ledger.claims() if not claim.leaving}


def plan(site: Site, key: dict[str, Any]) -> str:
    """Plan a task of pose inference as the controller does, and return its run."""
    ledger, task = site.laboratory.ledger, site.laboratory.lab.tasks(Kind.POSE).get(key)
    assert task is not None
    name = run_id(Kind.POSE, task.task_digest, "c")
    ledger.plan(task, name, "c", PLAN, f"s3://p/{name}", manifest_verifies=lambda *_: False, epoch=1)
    return name


def test_the_kind_says_which_table(site: Site, inference: Inference) -> None:
    site.laboratory.add_task(1)
    key = add_pose(site, inference, 1)
    site.apply("svds")
    site.apply("poses", kind="pose", restriction="model_id = 7 AND subject = 'm1'", priority=-4)
    site.settle()
    assert owned(site) == {("svds", Kind.SVD), ("poses", Kind.POSE)}
    assert site.message("poses").startswith("It selects tasks of FacemapInferenceTask.")
    assert site.counts("svds") == site.counts("poses") == {"selected": 1, "waiting": 1}
    assert site.laboratory.lab.tasks(Kind.POSE).pending_by_priority(10) == [(-4, key)]


def test_imports_are_those_of_every_table_that_the_restriction_fits(site: Site, inference: Inference) -> None:
    site.laboratory.add_task(1, task_mode="load")
    add_pose(site, inference, 1, task_mode="load")
    add_pose(site, inference, 2)
    site.apply("all", kind="import", restriction="subject = 'm1'")
    site.settle()
    assert owned(site) == {("all", Kind.SVD), ("all", Kind.POSE)}
    assert "tasks of FacemapTask and FacemapInferenceTask." in site.message("all")
    site.delete("all")
    site.settle()
    site.apply("some", kind="import", restriction="model_id > 0")
    site.settle()
    assert owned(site) == {("some", Kind.POSE)}
    site.apply("none", kind="import", restriction="no_such = 1")
    site.settle()
    assert site.condition("none", "Accepted") == ("False", "InvalidRestriction")


def test_a_pose_run_is_held_resumed_and_cancelled_with_its_facemaprun(site: Site, inference: Inference) -> None:
    ledger, key = site.laboratory.ledger, add_pose(site, inference, 1)
    site.apply("poses", kind="pose")
    site.settle()
    run = plan(site, key)
    site.apply("poses", kind="pose", suspend=True)
    site.settle()
    site.laboratory.obey()
    assert ledger.run(run).state is RunState.HELD  # type: ignore[union-attr]
    site.apply("poses", kind="pose", suspend=False, priority=5)
    site.settle()
    site.laboratory.obey()
    found = ledger.run(run)
    assert found is not None
    assert (found.state, found.priority) == (RunState.READY, 5)
    site.delete("poses")
    site.settle()
    site.laboratory.obey()
    site.settle()
    assert owned(site) == set()
    assert ledger.binding("lab", Kind.POSE, key) is None
    assert not site.exists("poses")


def test_what_failed_is_asked_for_again(site: Site, inference: Inference) -> None:
    ledger, key = site.laboratory.ledger, add_pose(site, inference, 1)
    site.apply("poses", kind="pose")
    site.settle()
    run = ledger.run(plan(site, key))
    assert run is not None
    ledger.launch(
        *(run.run_id, run.attempt),
        folder="s3://p/a1",
        spec_sha256="s",
        launcher="kubernetes",
        job_name="job",
        limits=LIMITS,
        epoch=1,
    )
    assert ledger.fail(run.run_id, RunState.LAUNCHED, 1, Outcome(failure_class="gpu", sentence="No GPU."), epoch=1)
    site.settle()
    assert site.counts("poses") == {"selected": 1, "failed": 1}
    assert "model_id=7" in site.status("poses")["failures"][0]["task"]
    site.now += 1
    site.apply("poses", kind="pose", retryFailed=True)
    site.settle()
    assert site.laboratory.lab.tasks(Kind.POSE).pending(10) == [key]
