"""Which folders the programs may touch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from fmdj_cloud.control.launchers.environment import worker_environment
from fmdj_cloud.settings import FileSettings, PipelineSettings, Settings


def pipeline(**changes: Any) -> PipelineSettings:
    values: dict[str, Any] = {
        "name": "lab",
        "behavior_schema": "behavior",
        "video_roots": ("file:///data/raw", "s3://lab/raw"),
        "path_map": {"Z:\\lab": "file:///data/old share"},
        "processed_root": "file:///data/processed",
    }
    return PipelineSettings(**values | changes)


def test_the_folders_that_pipelines_name_are_the_roots() -> None:
    roots = Settings(pipelines=(pipeline(),)).storage.file.roots

    assert [str(root) for root in roots] == ["/data/raw", "/data/old share", "/data/processed"]


def test_without_such_folders_there_are_no_roots() -> None:
    bucket = pipeline(video_roots=("s3://lab/raw",), path_map={}, processed_root="s3://lab/processed")

    assert Settings(pipelines=(bucket,)).storage.file.roots == ()


def test_roots_that_are_named_must_hold_the_pipelines_folders() -> None:
    assert Settings(pipelines=(pipeline(),), storage={"file": {"roots": ["/data"]}}).storage.file.roots == (
        Path("/data"),
    )
    with pytest.raises(ValidationError, match=r"file:///data/raw lies in none of storage\.file\.roots"):
        Settings(pipelines=(pipeline(),), storage={"file": {"roots": ["/data/processed"]}})


def test_a_worker_knows_the_roots_though_it_knows_no_pipeline(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = worker_environment(Settings(pipelines=(pipeline(),)), {})

    assert json.loads(environment["FMDJ_STORAGE"])["file"]["roots"] == [
        "/data/raw",
        "/data/old share",
        "/data/processed",
    ]
    monkeypatch.setenv("FMDJ_STORAGE", environment["FMDJ_STORAGE"])
    assert Settings().storage.file.roots == (Path("/data/raw"), Path("/data/old share"), Path("/data/processed"))


@pytest.mark.parametrize(
    "uri", ["file:///", "file://data/raw", "file:///data/../etc", "file:///data//raw", "file:/data"]
)
def test_uris_of_folders_are_absolute_and_plain(uri: str) -> None:
    with pytest.raises(ValidationError, match="is not a URI"):
        pipeline(processed_root=uri)


@pytest.mark.parametrize("root", ["/", "data", "/data/../etc"])
def test_roots_are_absolute_and_plain(root: str) -> None:
    with pytest.raises(ValidationError, match="not an absolute path"):
        FileSettings(roots=(Path(root),))
