"""Labs of DataJoint 2 with one installation over them, in this process; videos and outputs lie in a folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from fmdj_cloud.demo.lab import declare_lab
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.element import Element, declare_element
from fmdj_cloud.settings import DatabaseSettings, Settings
from tests.support.sharing.bench import Bench


@dataclass
class Site:
    """Labs called ``lab``, ``lab1`` ..., each with one subject and session."""

    bench: Bench
    elements: list[Element]
    folder: Path
    opened: list[Database] = field(default_factory=list)
    recordings: int = 0

    def add_task(self, lab: int = 0, video: str = "", **changes: Any) -> dict[str, Any]:
        """Insert a recording with a task; return the task's key. Tasks may be about the same video."""
        self.recordings += 1
        element = self.elements[lab]
        recording = {"subject": "m1", "session_id": 1, "recording_id": self.recordings}
        path = video or f"cam{self.recordings}.avi"
        file = self.folder / "raw" / path
        if not file.exists():  # a file that is written again is another one
            file.write_bytes(b"video" * 1000)
        element.VideoRecording.insert1({**recording, "device": "camera"})
        element.VideoFile.insert1({**recording, "file_id": 0, "file_path": path})
        key = {**recording, "facemap_task_id": 0}
        element.FacemapTask.insert1(key | {"task_mode": "trigger", "facemap_params": {"sbin": 4}} | changes)
        return key

    def settle(self, passes: int = 2) -> None:
        """Let controller and loader work until they have nothing to do."""
        for _ in range(passes):
            self.bench.step()
        self.bench.load()
        self.bench.step()

    def delete_result(self, key: dict[str, Any], lab: int = 0) -> None:
        (self.elements[lab].FacemapProcessing & key).delete(prompt=False)

    def connect(self) -> Database:
        """Another connection, such as a colleague's."""
        self.opened.append(Database(self.bench.settings.database))
        return self.opened[-1]


MakeSite = Callable[..., Site]


@pytest.fixture
def make_site(database_settings: DatabaseSettings, tmp_path: Path) -> Iterator[MakeSite]:
    made: list[Site] = []

    def make(labs: int = 1, **controller: Any) -> Site:
        database = Database(database_settings)
        (tmp_path / "raw").mkdir()
        linked = declare_lab(database, f"{database_settings.prefix}lab")
        linked.Subject.insert1({"subject": "m1"})
        linked.Session.insert1({"subject": "m1", "session_id": 1, "session_datetime": "2026-01-31 09:00:00"})
        linked.Device.insert1({"device": "camera"})
        names = ["lab", *(f"lab{number}" for number in range(1, labs))]
        for name in names:
            (tmp_path / "processed" / name).mkdir(parents=True)
        pipelines = [
            {
                "name": name,
                "behavior_schema": f"{database_settings.prefix}facemap_{name}",
                "video_roots": (f"file://{tmp_path}/raw",),
                "processed_root": f"file://{tmp_path}/processed/{name}",
            }
            for name in names
        ]
        elements = [declare_element(database, one["behavior_schema"], linking_module=linked) for one in pipelines]
        given = {"max_active": 20, "first_start_limit": 1000, "courtesy_wait_s": 0, "retry": {"backoff_s": 0}}
        settings = Settings(
            database=database_settings,
            pipelines=pipelines,
            controller=given | controller,
            load={"workdir": tmp_path / "load", "missing_wait_s": 0},
        )
        made.append(Site(Bench(settings), elements, tmp_path, [database]))
        return made[-1]

    yield make
    for site in made:
        site.bench.close()
        for database in site.opened:
            database.close()


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    """One lab."""
    return make_site()
