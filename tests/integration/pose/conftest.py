"""A small network with random weights, and Facemap to compare with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from fmdj_cloud.worker.pose.model import Model, facemap_parts, read_model
from tests.support.pose import models, videos
from tests.support.pose.bench import Bench
from tests.support.pose.oracle import Oracle


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Let tests that run at the same time not wait for each other's threads."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return models.save(tmp_path_factory.mktemp("model") / "model.pt")


@pytest.fixture(scope="session")
def model(model_file: Path) -> Model:
    return read_model(model_file, facemap_parts())


@pytest.fixture(scope="session")
def oracle(tmp_path_factory: pytest.TempPathFactory, model: Model) -> Oracle:
    return Oracle(tmp_path_factory.mktemp("oracle"), model)


@pytest.fixture(scope="session")
def video(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Write a small video; the same arguments give the same file."""
    folder, made = tmp_path_factory.mktemp("videos"), {}

    def make(
        name: str, frames: int = 24, height: int = 120, width: int = 160, seed: int = 0, color: bool = False
    ) -> Path:
        if name not in made:
            made[name] = videos.write(folder / name, videos.pictures(frames, height, width, seed, color))
        return made[name]

    return make


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    # Everything that the store may read lies below the session's folder
    return Bench(tmp_path_factory.getbasetemp())
