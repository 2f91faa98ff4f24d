"""`fmdj selftest`, which `helm test` calls: one generated recording through a controller and a loader that run."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml

from fmdj_cloud.contracts import Kind
from fmdj_cloud.demo import raw_video
from fmdj_cloud.demo.keeper import plain
from fmdj_cloud.demo.selftest import SelftestError, run_selftest
from fmdj_cloud.errors import BudgetError, ConfigError
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.lab import open_lab
from fmdj_cloud.pipeline.ledger import Ledger
from fmdj_cloud.settings import DatabaseSettings, S3Settings, Settings, StorageSettings
from fmdj_cloud.storage import Store

pytestmark = pytest.mark.integration


@pytest.fixture(scope="session")
def database_server(postgres_settings: DatabaseSettings) -> DatabaseSettings:
    return postgres_settings


@pytest.fixture
def settings(database_settings: DatabaseSettings, s3_settings: S3Settings, bucket: str, tmp_path: Path) -> Settings:
    pipeline = {
        "name": "selftest",
        "behavior_schema": f"{database_settings.prefix}fmdj_selftest",
        "video_roots": (f"{bucket}/raw",),
        "processed_root": f"{bucket}/processed",
    }
    return Settings(
        instance="selftest",
        database=database_settings,
        storage=StorageSettings(s3=s3_settings),
        pipelines=(pipeline,),
        controller={"interval_s": 0.3},
        local={"state_dir": tmp_path / "jobs"},
        worker={"scratch_dir": tmp_path},
        load={"interval_s": 0.3},
    )


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    made = Database(settings.database)
    yield made
    made.close()


@contextlib.contextmanager
def running(settings: Settings, folder: Path, *programs: str) -> Iterator[dict[str, str]]:
    """Run programs with settings; yield the environment that finds these."""
    config = folder / "fmdj.yaml"
    values = plain(settings)
    values["pipelines"] = [plain(pipeline) for pipeline in settings.pipelines]
    config.write_text(yaml.safe_dump(values))
    environment = {**os.environ, "FMDJ_CONFIG": str(config)}
    with contextlib.ExitStack() as stack:
        for program in programs:
            log = stack.enter_context((folder / f"{program}.log").open("wb"))
            process = subprocess.Popen([sys.executable, "-m", "fmdj_cloud", program], env=environment, stderr=log)
            stack.callback(process.wait, 30)
            stack.callback(process.terminate)
        yield environment


def test_a_generated_recording_goes_through(settings: Settings, tmp_path: Path) -> None:
    with running(settings, tmp_path, "controller", "loader") as environment:
        command = [sys.executable, "-m", "fmdj_cloud", "selftest", "--timeout", "120"]
        answer = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    logs = "\n".join(path.read_text() for path in tmp_path.glob("*.log"))
    assert answer.returncode == 0, answer.stderr + logs
    assert f"{raw_video.FRAMES} frames" in answer.stdout


def test_nobody_at_work_is_told_from_a_wrong_result(settings: Settings, database: Database, store: Store) -> None:
    seconds = iter(range(1000))
    with pytest.raises(BudgetError, match=r"Recording 1 is pending after 5 s"):
        run_selftest(settings, database, store, 5, clock=lambda: next(seconds), sleep=lambda _: None)


def test_a_run_that_failed_says_why(settings: Settings, database: Database, store: Store) -> None:
    def refuse(_: float) -> None:
        ledger = Ledger(database)
        lab = open_lab(database, ledger, settings.pipelines[0])
        (key,) = lab.tasks(Kind.SVD).pending(1)
        task = lab.tasks(Kind.SVD).get(key)
        assert task is not None
        ledger.cancel_task(task, "Somebody wanted it so.", epoch=None)

    with pytest.raises(SelftestError, match=r"cancelled: Somebody wanted it so"):
        run_selftest(settings, database, store, 60, sleep=refuse)


def test_settings_without_its_pipeline_say_what_to_set(database: Database, store: Store) -> None:
    with pytest.raises(ConfigError, match=r"tests\.endToEnd=true"):
        run_selftest(Settings(), database, store, 1)


def test_the_recording_moves_and_rests() -> None:
    frames = raw_video.draw().astype(np.int16)
    motion = np.abs(np.diff(frames, axis=0)).sum(axis=(1, 2))
    still = motion[raw_video.STILL.start : raw_video.STILL.stop - 2]
    assert np.median(motion) > 2 * np.median(still)


def test_the_video_is_what_was_drawn(tmp_path: Path) -> None:
    import cv2

    frames = raw_video.draw()[:20]
    raw_video.write_avi(tmp_path / "v.avi", frames)
    capture = cv2.VideoCapture(str(tmp_path / "v.avi"))
    read = [capture.read()[1][..., 0] for _ in range(20)]
    assert np.array_equal(np.stack(read), frames)
    assert capture.read()[0] is False
