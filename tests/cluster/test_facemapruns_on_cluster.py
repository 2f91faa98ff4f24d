"""FacemapRuns on a real cluster: made, watched and deleted with kubectl."""

from __future__ import annotations

import pytest

from tests.support.cluster.flows import FacemapRunFlows

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800), pytest.mark.usefixtures("definition")]


class TestFacemapRuns(FacemapRunFlows):
    pass
