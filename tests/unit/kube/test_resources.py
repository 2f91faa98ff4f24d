"""Paths of the API."""

import pytest

from fmdj_cloud.control.kube.resources import FACEMAPRUNS, JOBS, PODS, parse_path


def test_core_and_named_groups_have_their_own_roots():
    assert PODS.path("lab") == "/api/v1/namespaces/lab/pods"
    assert JOBS.path("lab", "j1") == "/apis/batch/v1/namespaces/lab/jobs/j1"
    assert FACEMAPRUNS.path("lab", "r1", "status") == "/apis/fmdj.dev/v1alpha1/namespaces/lab/facemapruns/r1/status"


def test_a_name_cannot_leave_its_place():
    assert PODS.path("lab", "../secrets/s?x=1") == "/api/v1/namespaces/lab/pods/..%2Fsecrets%2Fs%3Fx%3D1"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/api/v1/namespaces/lab/pods", ("pods", "")),
        ("/api/v1/namespaces/lab/pods/p1", ("pods", "p1")),
        ("/api/v1/namespaces/lab/pods/p1/log", ("pods/log", "p1")),
        ("/apis/batch/v1/namespaces/lab/jobs/j1", ("jobs", "j1")),
        ("/apis/fmdj.dev/v1alpha1/namespaces/lab/facemapruns/r1/status", ("facemapruns/status", "r1")),
        ("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/x", ("customresourcedefinitions", "x")),
        ("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", ("selfsubjectaccessreviews", "")),
        ("/api/v1/namespaces/lab", ("namespaces", "lab")),
        ("/version", ("version", "")),
        ("/", ("", "")),
    ],
)
def test_a_path_tells_what_it_names(path: str, expected: tuple[str, str]):
    assert parse_path(path) == expected
