"""FacemapRuns on a real cluster: made, watched and deleted with kubectl."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.cluster.flows import CRD, FacemapRunFlows
from tests.support.cluster.kubectl import Kubectl

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]
_DEFINITION = "customresourcedefinition/facemapruns.fmdj.dev"


@pytest.fixture(scope="module", autouse=True)
def definition(kubectl: Kubectl) -> Iterator[None]:
    """The definition of the resource; one that is there already stays as it is, and stays."""
    there = kubectl.run("get", _DEFINITION, check=False).returncode == 0
    if not there:
        kubectl.run("apply", f"--filename={CRD}")
    kubectl.run("wait", _DEFINITION, "--for=condition=Established", "--timeout=60s")
    yield
    if not there:
        kubectl.run("delete", _DEFINITION, "--wait=false")


class TestFacemapRuns(FacemapRunFlows):
    pass
