"""One run of the demo, kept up for all tests of this folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from fmdj_cloud.demo.world import PIPELINE
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.lab import open_lab
from fmdj_cloud.pipeline.ledger import Ledger
from fmdj_cloud.settings import load_settings
from fmdj_cloud.storage import open_store
from tests.integration.e2e.demo_world import Demo, fmdj


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """`fmdj demo --keep`, with its servers still up."""
    workdir = tmp_path_factory.mktemp("demo")
    result = fmdj("demo", "--keep", "--json", str(workdir / "report.json"), "--output-dir", str(workdir))
    try:
        assert result.returncode == 0, result.stdout + result.stderr + _logs(workdir)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("FMDJ_CONFIG", str(workdir / "config.yaml"))
            settings = load_settings()
        database = Database(settings.database)
        ledger = Ledger(database)
        yield Demo(
            report=json.loads((workdir / "report.json").read_text()),
            output=result.stdout,
            workdir=workdir,
            settings=settings,
            ledger=ledger,
            lab=open_lab(database, ledger, settings.pipeline(PIPELINE)),
            store=open_store(settings.storage),
        )
        database.close()
    finally:
        fmdj("demo", "--stop", "--output-dir", str(workdir))


def _logs(workdir: Path) -> str:
    return "".join(f"\n--- {log.name}\n{log.read_text()}" for log in sorted(workdir.glob("*.log")))
