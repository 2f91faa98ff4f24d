"""What the page sees of pipelines that can't be opened, and of runs that others have followed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from fmdj_cloud.contracts import FailureClass, RunRecord
from fmdj_cloud.errors import UsageError
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.ledger_search import RunFilter
from fmdj_cloud.serve.page.looking import Looker
from fmdj_cloud.settings import Settings
from tests.support.page.site import Site

pytestmark = pytest.mark.integration


@pytest.fixture
def site(browser_site: tuple[Site, dict[str, RunRecord], str]) -> Site:
    return browser_site[0]


@pytest.fixture
def two_labs(site: Site) -> Settings:
    """Settings with a pipeline whose schemas nobody has made."""
    (lab,) = site.world.settings.pipelines
    other = lab.model_copy(update={"name": "other", "behavior_schema": "nowhere"})
    return site.world.settings.model_copy(update={"pipelines": (lab, other)})


@pytest.fixture
def database(site: Site) -> Iterator[Database]:
    with contextlib.closing(Database(site.world.settings.database)) as made:
        yield made


def test_a_pipeline_that_cannot_be_opened_hides_no_other(site: Site, two_labs: Settings, database: Database) -> None:
    times = iter(range(0, 1000, 40))
    looker = Looker(two_labs, database, site.world.store, lambda: next(times))
    assert looker.pipelines == ("lab",)
    for _ in range(2):  # the second look tries to open it again
        overview = looker.overview()
        assert [line.name for line in overview.status.pipelines] == ["lab"]
        (problem,) = overview.problems
        assert problem.startswith("Pipeline other can't be shown: ")
    assert looker.runs(RunFilter(("other",)), 1).found == 0
    assert looker.runs(RunFilter(), 1).found > 0


def test_a_run_that_another_has_followed_leads_to_it(site: Site, database: Database) -> None:
    run = site.fail(site.planned(), FailureClass.INPUT, "Odd.")
    world, key = site.world, site.keys[run.run_id]
    world.lab.element.FacemapTask.update1(key | {"facemap_params": {"sbin": 8}})
    looker = Looker(world.settings, database, world.store)
    assert looker.run(run.run_id).successor == ""
    assert world.ledger.supersede(run.run_id, run.state, run.attempt, "Edited.")
    newer = site.plan(key)
    page = looker.run(run.run_id)
    assert (page.run.state, page.successor) == ("superseded", newer.run_id)


def test_a_run_that_there_isnt_is_said(site: Site, database: Database) -> None:
    with pytest.raises(UsageError, match="There is no run"):
        Looker(site.world.settings, database, site.world.store).run("svd-0000000000000000")
