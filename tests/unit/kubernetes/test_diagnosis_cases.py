"""Every case has a status that is recognised as it, and every class that a launcher can find has a case."""

from __future__ import annotations

import pytest

from fmdj_cloud.contracts import FailureClass
from fmdj_cloud.control.launchers.kubernetes.cases import SIGNS, Case
from fmdj_cloud.control.launchers.kubernetes.diagnosis import diagnose_job
from fmdj_cloud.control.launchers.kubernetes.refusal import refusal
from fmdj_cloud.settings import KubernetesSettings
from tests.support.kube.ended_jobs import ENDINGS
from tests.support.kube.statuses import NOW
from tests.support.kube.waiting_jobs import WAITINGS

SEEN = [diagnose_job(*status[:3], NOW, KubernetesSettings()) for status in (*ENDINGS.values(), *WAITINGS.values())]
OUTCOMES = [outcome for finding in SEEN for outcome in (finding.outcome, finding.give_up) if outcome is not None]
OUTCOMES.append(refusal(422, "Invalid", "spec.template is invalid"))
CASES = {finding.case for finding in SEEN} | {Case(outcome.evidence["case"]) for outcome in OUTCOMES}


@pytest.mark.parametrize("case", Case)
def test_every_case_is_described_and_has_a_status(case):
    assert SIGNS[case].seen
    assert case in CASES


def test_the_class_is_the_cases():
    for outcome in OUTCOMES:
        sign = SIGNS[Case(outcome.evidence["case"])]
        assert sign.failure in (None, outcome.failure_class)


def test_every_class_that_kubernetes_can_cause_is_found():
    found = {outcome.failure_class for outcome in OUTCOMES}
    assert found == {*FailureClass, None} - {FailureClass.LOAD}
