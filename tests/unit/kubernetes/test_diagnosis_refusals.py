"""What it means that a cluster refuses to make a Job."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmdj_cloud.contracts import FailureClass
from fmdj_cloud.control.launchers.kubernetes.quota import parse_quantity, too_large
from fmdj_cloud.control.launchers.kubernetes.refusal import pod_refusal, refusal

QUOTA = (
    'jobs.batch "x" is forbidden: exceeded quota: lab, requested: count/jobs.batch=1, used: count/jobs.batch=50, '
    "limited: count/jobs.batch=50"
)
LATER = [
    (0, "", "Connection refused"),
    (401, "Unauthorized", "Unauthorized"),
    (403, "Forbidden", QUOTA),
    (409, "AlreadyExists", 'jobs.batch "x" already exists'),
    (409, "Conflict", 'Operation cannot be fulfilled on resourcequotas "lab": the object has been modified'),
    (429, "TooManyRequests", "too many requests"),
    (500, "InternalError", 'Internal error occurred: failed calling webhook "policy.example": connection refused'),
    (503, "ServiceUnavailable", "the server is currently unable to handle the request"),
    (504, "Timeout", "request did not complete within the allowed duration"),
]
FINAL = [
    (400, "BadRequest", "Job in version v1 cannot be handled", "correct its profile"),
    (
        403,
        "Forbidden",
        'jobs.batch is forbidden: User "system:serviceaccount:lab:fmdj" cannot create resource "jobs"',
        "Role",
    ),
    (403, "Forbidden", 'admission webhook "policy.example" denied the request: no', "policy"),
    (403, "Forbidden", "unable to create new content in namespace lab because it is being terminated", "namespace"),
    (404, "NotFound", 'namespaces "lab" not found', "`kubernetes.namespace`"),
    (422, "Invalid", 'Job.batch "x" is invalid: spec.template.spec: Invalid value', "correct its profile"),
    (
        422,
        "Invalid",
        "jobs.batch \"x\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no",
        "policy",
    ),
    (413, "RequestEntityTooLarge", "", "correct its profile"),
]


@pytest.mark.parametrize(("status", "reason", "message"), LATER)
def test_what_may_be_tried_again(status, reason, message):
    assert refusal(status, reason, message) is None


@pytest.mark.parametrize(("status", "reason", "message", "remedy"), FINAL)
def test_what_is_final_says_what_to_do(status, reason, message, remedy):
    outcome = refusal(status, reason, message)
    assert outcome.failure_class is FailureClass.CONFIG
    assert remedy in outcome.sentence
    assert outcome.evidence["status"] == str(status)
    assert outcome.evidence["case"] == "job-refused"


@given(st.integers(-1, 700), st.text(max_size=20), st.text(max_size=400))
def test_every_refusal_has_a_meaning(status, reason, message):
    outcome = refusal(status, reason, message)
    assert outcome is None or outcome.sentence


@given(st.text(max_size=400))
def test_every_refusal_of_a_pod_has_one_too(message):
    found = pod_refusal(message)
    assert found.words
    assert found.final is not None or found.grace == ""


def test_a_quota_that_waits_and_one_that_never_will():
    tiny = (
        "exceeded quota: lab, requested: limits.memory=16Gi,requests.cpu=2, used: limits.memory=0,requests.cpu=0, "
        "limited: limits.memory=8192Mi,requests.cpu=4"
    )
    assert too_large(QUOTA) == ""
    assert too_large(tiny) == "limits.memory 16Gi of 8192Mi"
    assert too_large("anything else") == ""


@pytest.mark.parametrize(
    ("quantity", "value"),
    [
        ("2", 2.0),
        ("1500m", 1.5),
        ("4Gi", 4 * 2**30),
        ("1e3", 1000.0),
        ("1E", 1e18),
        (".5", 0.5),
        ("", None),
        ("1.2.3", None),
    ],
)
def test_quantities(quantity, value):
    assert parse_quantity(quantity) == value
