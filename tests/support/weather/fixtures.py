"""Fixtures of the tests in bad weather."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fmdj_cloud.control.launchers.local import WORKER_COMMAND
from fmdj_cloud.settings import DatabaseSettings, S3Settings
from tests.support.kills.world import World
from tests.support.kills.zygote import Zygote, running_zygote
from tests.support.weather.lab import StormyLab, stormy
from tests.support.weather.on_cluster import StormyCluster, stormy_cluster
from tests.support.weather.survive import Recordings

PATIENT = {"backoff_s": 0.1} | dict.fromkeys(("storage", "memory", "disk", "disrupted", "vanished", "crash"), 100)
"""Retries: the weather decides how often something fails, and nothing is to be given up for that."""


@pytest.fixture(scope="session")
def weather_zygote() -> Iterator[Zygote]:
    """What forks the programs."""
    with running_zygote() as found:
        yield found


@pytest.fixture(scope="session")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Recordings:
    """Two tiny recordings, and what is known of them."""
    return Recordings(tmp_path_factory.mktemp("recordings"))


@pytest.fixture
def stormy_cluster_lab(
    database_settings: DatabaseSettings, s3_settings: S3Settings, bucket: str, tmp_path: Path, weather_zygote: Zygote
) -> Iterator[StormyCluster]:
    """A lab without tasks behind proxies, whose real workers run on a fake cluster."""
    with stormy_cluster(database_settings, s3_settings, bucket, tmp_path / "lab") as lab:
        lab.zygote = weather_zygote
        lab.sections["controller"] = {"reuse": False, "retry": PATIENT}
        yield lab


@pytest.fixture
def stormy_lab(plain_kills: World, weather_zygote: Zygote) -> Iterator[StormyLab]:
    """A lab without tasks behind proxies, with the real worker and its engine turbo."""
    plain_kills.zygote = weather_zygote
    plain_kills.worker = WORKER_COMMAND
    with stormy(plain_kills) as lab:
        lab.sections["controller"] = {"reuse": False, "retry": PATIENT}
        yield lab
