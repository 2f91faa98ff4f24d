"""What restrictions select, and how tasks stand, on every database."""

from __future__ import annotations

import logging

import pytest

from fmdj_cloud.contracts import BindingState, FailureClass, Kind, Outcome, RunState
from fmdj_cloud.errors import ConfigError, UsageError
from fmdj_cloud.pipeline.survey import Surveyor, TaskStanding

from .conftest import PIPELINE, Laboratory

pytestmark = pytest.mark.integration


@pytest.fixture
def surveyor(laboratory: Laboratory) -> Surveyor:
    return Surveyor(laboratory.database, laboratory.lab.tasks(Kind.SVD), laboratory.ledger, PIPELINE)


def look(surveyor: Surveyor, text: str = "", keys: tuple = (), kind: Kind = Kind.SVD) -> list[TaskStanding]:
    return surveyor.look(kind, surveyor.condition(text, keys))


def numbers(found: list[TaskStanding]) -> list[int]:
    return [task.key["recording_id"] for task in found]


@pytest.mark.parametrize(
    "text",
    [
        "recording_id = 2",
        "recording_id<>2",
        "recording_id BETWEEN 2 AND 3",
        "recording_id NOT IN (1, 3)",
        "(recording_id = 1 OR recording_id = 3) AND subject = 'm1'",
        "NOT recording_id = 1 AND NOT recording_id = 2",
        "subject = 'm1' AND recording_id >= 3 OR recording_id < 2",
        "recording_id * 2 - 1 > 4",
        "recording_id % 2 = 1",
        "-recording_id < -2",
        "subject LIKE 'm%'",
        "subject LIKE 'x%'",
        "subject NOT LIKE '_1'",
        "task_description = 'it''s 100% \"done\"'",
        "task_description LIKE '%100%%'",
        "task_description IS NULL",
        "task_description IS NOT NULL AND facemap_output_dir = ''",
        "task_mode = 'trigger'",
        "upper(subject) = 'M1' AND length(subject) = 2",
        "TRUE",
        "FALSE",
        "recording_id = 1 OR TRUE",
    ],
)
def test_a_restriction_selects_what_it_selects_in_datajoint(
    laboratory: Laboratory, surveyor: Surveyor, text: str
) -> None:
    for number, description in enumerate(("", 'it\'s 100% "done"', "x", "m_"), start=1):
        laboratory.add_task(number, task_description=description)
    expected = (laboratory.element.FacemapTask & text).to_arrays("recording_id")
    assert numbers(look(surveyor, text)) == sorted(map(int, expected))


def test_booleans_and_text_in_double_quotes_work_on_every_server(laboratory: Laboratory, surveyor: Surveyor) -> None:
    laboratory.add_task(1, do_mov_svd=True)
    laboratory.add_task(2, do_mov_svd=False)
    assert numbers(look(surveyor, "do_mov_svd = 1")) == numbers(look(surveyor, "do_mov_svd = true")) == [1]
    assert numbers(look(surveyor, "NOT do_mov_svd")) == [2]
    assert numbers(look(surveyor, 'subject = "m1" AND `recording_id` = "2"')) == [2]
    assert numbers(look(surveyor, keys=({"do_mov_svd": 0, "subject": "m1"},))) == [2]
    assert numbers(look(surveyor, keys=({"recording_id": "1"}, {"recording_id": 2}))) == [1, 2]
    assert numbers(look(surveyor, "recording_id = 1", ({"recording_id": 2},))) == []


def test_what_is_no_condition_never_reaches_the_server(
    laboratory: Laboratory, surveyor: Surveyor, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, logger="datajoint"):
        for text in ("1; DROP TABLE x", "recording_id IN (SELECT 1)", "subjct = 'm1'", "sleep(5) = 0"):
            with pytest.raises(UsageError):
                surveyor.condition(text, ())
    assert not [record for record in caplog.records if "Executing SQL" in record.getMessage()]


def test_every_kind_has_its_tasks(laboratory: Laboratory, surveyor: Surveyor) -> None:
    laboratory.add_task(1)
    laboratory.add_task(2, task_mode="load")
    assert numbers(look(surveyor)) == [1]
    assert numbers(look(surveyor, kind=Kind.IMPORT)) == [2]
    with pytest.raises(ConfigError, match="no pose tasks"):
        look(surveyor, kind=Kind.POSE)


def test_how_tasks_stand_takes_one_query(
    laboratory: Laboratory, surveyor: Surveyor, caplog: pytest.LogCaptureFixture
) -> None:
    keys = [laboratory.add_task(number) for number in (1, 2, 3)]
    task = laboratory.lab.tasks(Kind.SVD).get(keys[1])
    assert task is not None
    laboratory.ledger.refuse(task, Outcome(failure_class="input", sentence="No ROI."), epoch=1)
    laboratory.add_result(keys[2])
    caplog.clear()
    with caplog.at_level(logging.DEBUG, logger="datajoint"):
        fresh, refused, done = look(surveyor)
    assert len([record for record in caplog.records if "Executing SQL" in record.getMessage()]) == 1
    assert (fresh.bound, fresh.binding, fresh.run_id, fresh.frames, fresh.has_result) == (False, None, "", 0, False)
    assert (refused.bound, refused.binding) == (True, BindingState.REFUSED)
    assert (refused.binding_failure, refused.binding_sentence) == (FailureClass.INPUT, "No ROI.")
    assert (done.has_result, done.bound) == (True, False)
    assert [one.key for one in (fresh, refused, done)] == keys
    assert refused.task_digest == task.task_digest
    assert fresh.task_digest == laboratory.lab.tasks(Kind.SVD).get(keys[0]).task_digest  # type: ignore[union-attr]


def test_a_run_is_seen_with_its_failure_and_frames(laboratory: Laboratory, surveyor: Surveyor) -> None:
    key = laboratory.add_task(1)
    task = laboratory.lab.tasks(Kind.SVD).get(key)
    assert task is not None
    from fmdj_cloud.contracts import Overrides

    laboratory.ledger.claim_tasks(
        PIPELINE,
        Kind.SVD,
        [(key, task.task_digest, "")],
        owner="a",
        owner_name="a",
        overrides=Overrides(),
        held=False,
        epoch=1,
    )
    laboratory.plan_pending()
    laboratory.fail(1)
    (found,) = look(surveyor)
    assert (found.run_id, found.run_state) == (laboratory.run_of(1).run_id, RunState.FAILED)
    assert (found.run_failure, found.run_sentence) == (FailureClass.INPUT, "The video of 1 is empty.")
    assert (found.frames, found.updated) == (100, laboratory.run_of(1).updated)
