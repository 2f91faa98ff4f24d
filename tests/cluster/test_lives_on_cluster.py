"""The life of tasks on a real cluster: results, every kind of trouble, releases beside each other."""

from __future__ import annotations

import pytest

from tests.support.cluster.flows import Flows

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]


class TestLives(Flows):
    pass
