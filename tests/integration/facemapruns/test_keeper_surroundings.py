"""FacemapRuns beside restarts, other installations, and an API that isn't always there."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from fmdj_cloud.contracts import RunState, Wanted
from fmdj_cloud.control.kube import labels
from fmdj_cloud.control.kube.error import KubeError
from fmdj_cloud.control.kube.recorder import EventRecorder
from fmdj_cloud.control.kube.resources import FACEMAPRUNS
from fmdj_cloud.errors import LostRaceError
from fmdj_cloud.names import attempt_folder
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.settings import DatabaseSettings
from tests.support.kube.requests import Request

from .conftest import Site

pytestmark = pytest.mark.integration


@pytest.fixture(scope="session")
def database_server(postgres_settings: DatabaseSettings) -> DatabaseSettings:
    """One is enough: what differs between databases is below all this."""
    return postgres_settings


def test_the_kind_says_which_tasks(site: Site) -> None:
    site.laboratory.add_task(1)
    site.laboratory.add_task(2, task_mode="load")
    site.apply("imports", kind="import")
    site.settle()
    assert site.owners() == {2: "imports"}
    site.apply("poses", kind="pose")
    site.settle()
    assert site.condition("poses", "Accepted") == ("False", "UnknownKind")


@pytest.mark.parametrize(
    ("spec", "reason", "message"),
    [
        ({"pipeline": "other"}, "UnknownPipeline", "known are lab"),
        ({"profile": "huge"}, "UnknownProfile", "known are big"),
        ({"restriction": "subjct = 'm1'"}, "InvalidRestriction", "no attribute 'subjct': it has subject"),
        ({"restriction": "subject = 'm1'; DROP TABLE x"}, "InvalidRestriction", "`;`"),
        ({"keys": [{"subjct": "m1"}]}, "InvalidRestriction", "no attribute 'subjct'"),
        ({"keys": [{"recording_id": "one"}]}, "InvalidRestriction", "recording_id is a number"),
        ({"restriction": "recording_id + 'one' = abs(subject) * '' "}, None, ""),
    ],
)
def test_what_cannot_be_is_not_accepted_and_selects_nothing(
    site: Site, spec: dict, reason: str | None, message: str
) -> None:
    site.laboratory.add_task(1)
    site.apply("bad", **spec)
    site.settle()
    if reason is None:  # PostgreSQL refuses it, to MySQL text is a number like any other
        assert site.owners() == {} or site.laboratory.database.backend == "mysql"
        return
    assert site.condition("bad", "Accepted") == ("False", reason)
    assert message in site.message("bad")
    assert site.condition("bad", "Complete") == ("False", "NotAccepted")
    assert site.owners() == {}
    assert "finalizers" not in site.cluster.get("facemapruns", "bad")["metadata"]


def test_a_facemaprun_that_is_made_again_starts_again_what_was_cancelled(site: Site) -> None:
    site.laboratory.add_task(1)
    site.apply("mine")
    site.settle()
    site.plan()
    site.delete("mine")
    site.settle()
    site.laboratory.obey()
    site.settle()
    site.apply("mine")
    site.settle()
    assert site.counts("mine") == {"selected": 1, "waiting": 1}
    assert site.plan() == [1]


def test_what_populate_computes_is_not_cancelled(site: Site) -> None:
    lab = site.laboratory
    lab.add_task(1)
    site.apply("mine")
    site.settle()
    site.plan()
    lab.launch(1)
    job = lab.database.quote(lab.database.ledger_schema, "run__job")
    lab.database.execute(f"UPDATE {job} SET launcher = 'populate'")
    site.delete("mine")
    site.settle()
    assert not site.exists("mine")
    assert (lab.run_of(1).state, lab.run_of(1).wanted) == (RunState.LAUNCHED, Wanted.RUN)


def test_progress_is_what_the_workers_say(site: Site) -> None:
    lab = site.laboratory
    for number in (1, 2):
        lab.add_task(number)
    site.apply("mine")
    site.settle()
    site.plan()
    lab.launch(1)
    lab.load(2)
    site.say_progress(1, 40, 100, 2.0)
    site.settle()
    assert site.status("mine")["progress"] == {"framesDone": 140, "framesTotal": 200, "etaSeconds": 30}
    lab.load(1)
    site.settle()
    assert site.status("mine")["progress"] == {"framesDone": 200, "framesTotal": 200}


def test_progress_is_read_of_few_at_a_time_and_of_all_in_turn(site: Site) -> None:
    lab = site.laboratory
    for number in range(60):
        lab.add_task(number)
    site.apply("mine")
    site.settle()
    site.plan()
    lab.launch(*range(60))
    folder = attempt_folder(lab.run_of(0).output_dir, 1)
    assert folder.startswith("file://")
    for number in range(60):
        site.say_progress(number, 10, 100, 1.0)
    site.restart()
    site.reconcile()
    assert site.status("mine")["progress"]["framesDone"] == 500
    site.reconcile(later_s=20)
    assert site.status("mine")["progress"]["framesDone"] == 600


def test_a_quiet_cluster_is_left_alone(site: Site) -> None:
    lab = site.laboratory
    lab.add_task(1)
    site.apply("mine")
    site.settle()
    site.plan()
    lab.launch(1)
    site.settle()
    before = len(site.cluster.requests)
    for _ in range(20):
        site.reconcile(later_s=5)
    assert len(site.cluster.requests) == before
    site.say_progress(1, 1, 100, 1.0)
    site.reconcile(later_s=4)
    site.reconcile(later_s=4)
    site.say_progress(1, 2, 100, 1.0)
    for _ in range(4):
        site.reconcile(later_s=4)
    assert 1 <= len(site.cluster.requests) - before <= 2


def test_what_it_started_shows_at_once(site: Site) -> None:
    lab = site.laboratory
    lab.add_task(1)
    site.apply("mine")
    site.settle()
    site.plan()
    site.reconcile(later_s=1)
    lab.launch(1)
    site.reconcile(later_s=1)
    assert site.counts("mine") == {"selected": 1, "running": 1}


def test_another_installations_facemapruns_are_left_alone(site: Site) -> None:
    site.laboratory.add_task(1)
    site.apply("theirs")
    site.client.patch(FACEMAPRUNS, "theirs", {"metadata": {"labels": {labels.INSTANCE: "other"}}})
    site.apply("taken")
    site.client.patch(FACEMAPRUNS, "taken", {"status": {"instance": "other"}}, subresource="status")
    site.settle()
    assert (site.owners(), site.status("theirs"), site.status("taken")) == ({}, {}, {"instance": "other"})


def test_a_pipeline_that_nobody_knows_is_told_once_and_left_to_who_knows_it(site: Site) -> None:
    site.apply("where", pipeline="elsewhere")
    site.settle()
    assert site.condition("where", "Accepted") == ("False", "UnknownPipeline")
    assert "instance" not in site.status("where")
    accepted = [{**site.status("where")["conditions"][0], "status": "True", "reason": "Accepted"}]
    site.client.patch(FACEMAPRUNS, "where", {"status": {"conditions": accepted}}, subresource="status")
    site.restart()
    site.settle()
    assert site.condition("where", "Accepted") == ("True", "Accepted")


def test_one_whose_finalizer_was_torn_off_is_cancelled_too(site: Site) -> None:
    site.laboratory.add_task(1)
    site.apply("mine")
    site.settle()
    site.plan()
    site.laboratory.launch(1)
    site.client.patch(FACEMAPRUNS, "mine", {"metadata": {"finalizers": None}})
    site.delete("mine")
    site.settle()
    assert not site.exists("mine")
    assert site.laboratory.run_of(1).wanted is Wanted.CANCEL


def test_nothing_is_cancelled_because_the_api_cannot_tell_what_there_is(site: Site) -> None:
    lab = site.laboratory
    lab.add_task(1)
    site.apply("mine")
    site.settle()
    site.plan()
    lab.launch(1)
    site.client.patch(FACEMAPRUNS, "mine", {"metadata": {"finalizers": None}})
    site.delete("mine")
    site.sync()
    fault = site.cluster.fail(lambda request: request.verb == "list", status=403)
    tally = site.reconcile(later_s=100)
    assert any("can't be told" in sentence for sentence in tally.errors)
    assert lab.run_of(1).wanted is Wanted.RUN
    site.cluster.heal(fault)
    site.settle()
    assert lab.run_of(1).wanted is Wanted.CANCEL


def test_a_restart_changes_nothing(site: Site) -> None:
    lab = site.laboratory
    for number in (1, 2):
        lab.add_task(number)
    site.apply("mine", priority=2, retryFailed=True)
    site.settle()
    site.plan()
    lab.fail(1)
    lab.ledger.set_priority(lab.run_of(2).run_id, 9)  # by a person, since
    site.settle()
    claims, status = lab.ledger.claims(), site.status("mine")
    before = len(site.cluster.requests)
    site.restart()
    site.settle()
    assert (lab.ledger.claims(), site.status("mine")) == (claims, status)
    assert len(site.cluster.requests) == before
    assert lab.run_of(2).priority == 9


def test_whoever_leads_no_more_changes_nothing(site: Site) -> None:
    site.laboratory.add_task(1)
    site.apply("mine")
    with pytest.raises(LostRaceError):
        site.reconcile(epoch=7)
    assert site.owners() == {}
    site.settle()
    assert site.owners() == {1: "mine"}


def test_a_status_that_somebody_else_has_just_written_is_not_written_over(site: Site) -> None:
    site.laboratory.add_task(1)
    site.apply("mine")
    site.settle()
    site.laboratory.add_task(2)
    conflict = site.cluster.fail(lambda request: request.verb == "patch", status=409, times=1)
    assert site.reconcile(later_s=100).errors == []
    assert site.counts("mine") == {"selected": 1, "waiting": 1}
    site.cluster.heal(conflict)
    site.settle()
    assert site.counts("mine") == {"selected": 2, "waiting": 2}


def test_what_becomes_true_is_told_in_events(site: Site) -> None:
    lab = site.laboratory
    lab.add_task(1)
    recorder = EventRecorder(site.client, "fmdj-controller", site.settings.instance)
    site.keepers[:] = [site.keeper(recorder=recorder)]
    site.apply("mine")
    site.apply("bad", restriction="nonsense")
    site.settle()
    site.plan()
    lab.fail(1)
    site.settle()
    found = {
        (one["involvedObject"]["name"], one["type"], one["reason"]): one["message"]
        for one in site.cluster.list("events")
        if one["involvedObject"]["kind"] == "FacemapRun"
    }
    assert set(found) == {
        ("mine", "Normal", "Accepted"),
        ("mine", "Warning", "Complete"),
        ("bad", "Warning", "InvalidRestriction"),
    }
    assert "no attribute 'nonsense'" in found["bad", "Warning", "InvalidRestriction"]


@pytest.mark.parametrize("lost", range(6))
def test_it_does_not_matter_which_answer_of_the_api_is_lost(site: Site, lost: int) -> None:
    lab = site.laboratory
    lab.add_task(1)
    seen = [0]

    def is_it(request: Request) -> bool:
        seen[0] += request.verb == "patch"
        return request.verb == "patch" and seen[0] == lost + 1

    site.cluster.fail(is_it, kind="drop", after=True)
    site.apply("mine")
    for step in (site.plan, lambda: lab.launch(1), lambda: site.delete("mine"), lab.obey):
        site.settle()
        step()
    site.settle()
    assert seen[0] > lost
    assert not site.exists("mine")
    assert (lab.run_of(1).state, lab.run_of(1).attempt, len(lab.ledger.attempts(lab.run_of(1).run_id))) == (
        RunState.CANCELLED,
        1,
        1,
    )
    assert lab.ledger.claims() == []


@pytest.mark.parametrize("dies", range(5))
def test_it_does_not_matter_where_the_controller_dies(site: Site, dies: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """It dies before one of its transactions, and another process begins anew."""
    lab = site.laboratory
    for number in (1, 2):
        lab.add_task(number)
    begun, transaction = [0], Database.transaction

    @contextlib.contextmanager
    def counted(database: Database) -> Iterator[None]:
        if not database.in_transaction:
            begun[0] += 1
            if begun[0] == dies + 1:
                raise KeyboardInterrupt
        with transaction(database):
            yield

    def passes() -> None:
        for _ in range(3):
            with monkeypatch.context() as patched:
                patched.setattr(Database, "transaction", counted)
                try:
                    site.reconcile(later_s=100)
                except KeyboardInterrupt:
                    site.restart()

    site.apply("first", priority=2)
    site.apply("second", restriction="recording_id = 1")
    passes()
    assert site.plan() == [1, 2]
    lab.launch(1, 2)
    passes()
    site.delete("first")
    passes()
    lab.obey()
    passes()
    site.settle()
    assert begun[0] > dies
    assert (site.exists("first"), site.owners()) == (False, {1: "second"})
    assert [lab.run_of(number).state.value for number in (1, 2)] == ["launched", "cancelled"]


def test_the_api_refuses_what_says_nothing_and_what_may_not_change(site: Site) -> None:
    body = {"apiVersion": "fmdj.dev/v1alpha1", "kind": "FacemapRun", "metadata": {"name": "nothing"}}
    with pytest.raises(KubeError, match="say which tasks"):
        site.client.create(FACEMAPRUNS, body | {"spec": {"pipeline": "lab"}})
    site.apply("mine")
    for change in ({"pipeline": "other"}, {"kind": "import"}):
        with pytest.raises(KubeError, match="make another FacemapRun"):
            site.client.patch(FACEMAPRUNS, "mine", {"spec": change})
    assert site.cluster.get("facemapruns", "mine")["spec"]["kind"] == "svd"
