"""A lab with sound results, and the faults that a faulty loader leaves in its tables."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from fmdj_cloud.audit.files import Files, OpenFiles
from fmdj_cloud.audit.findings import Certainty, KeyReport
from fmdj_cloud.audit.look import Mending, audit_result
from fmdj_cloud.contracts import Kind
from fmdj_cloud.control.choose import Choice
from fmdj_cloud.pipeline.codec import decode, pack
from fmdj_cloud.pipeline.keys import KeyColumns
from fmdj_cloud.settings import DatabaseSettings, S3Settings
from fmdj_cloud.storage import Store
from tests.integration.load.conftest import PoseWorld, World, _world
from tests.support.audit import moving

NOW = dt.datetime(2026, 11, 22, tzinfo=dt.UTC)


class Moving(World):
    """The lab whose runs compute the results of two regions that move."""

    made: ClassVar[Any] = moving

    def params(self) -> dict[str, Any]:
        return {"svd": moving.params()}


class Audited:
    """The lab, its results, and ways to spoil them."""

    def __init__(self, pose: PoseWorld) -> None:
        self.pose = pose
        self.lab, self.ledger, self.store, self.folder = pose.lab, pose.ledger, pose.store, pose.folder
        self.settings = pose.settings
        self.svd = Moving(pose.settings, pose.database, pose.ledger, pose.lab, pose.store, pose.folder)
        self.svd.epoch, self.svd.tasks = pose.epoch, 100

    def choice(self, key: dict[str, Any], kind: Kind = Kind.SVD) -> Choice:
        return Choice(self.lab, self.lab.tasks(kind), key)

    def load(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Publish and load a run of both kinds; return their keys."""
        svd = self.svd.insert_task(facemap_params=moving.task_params())
        pose = self.pose.insert_task(bbox={"views": [[0, 1]], "pose_view": 1})
        recording = {name: pose[name] for name in ("subject", "session_id", "recording_id")}
        self.lab.element.VideoFile.insert1({**recording, "file_id": 1, "file_path": "m1/b.avi"})
        self.svd.publish(svd)
        self.pose.publish(pose, nonce="n2")
        assert [result.end.value for result in self.svd.loader().run_pass()] == ["loaded", "loaded"]
        self.svd.others.pop().close()
        return svd, pose

    def update(self, table: Any, where: dict[str, Any], **values: Any) -> None:
        """Change rows behind everybody's back."""
        database = self.pose.database
        condition, args = KeyColumns(database, tuple(table.heading[name] for name in where)).among([where])
        packed = [pack(value) if isinstance(value, np.ndarray) else value for value in values.values()]
        columns = ", ".join(f"{database.identifier(name)} = %s" for name in values)
        assert database.execute(f"UPDATE {table.full_table_name} SET {columns} WHERE {condition}", (*packed, *args))

    def rows(self, table: Any, key: dict[str, Any]) -> list[dict[str, Any]]:
        """Rows, decoded, by their keys."""
        heading = table.heading
        found = (table & key).to_dicts()
        decoded = [{name: decode(heading[name], value) for name, value in row.items()} for row in found]
        return sorted(decoded, key=lambda row: [str(row[name]).zfill(9) for name in table.primary_key])

    def everything(self, key: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
        """All rows of a result, of both kinds."""
        names = ("FacialSignal", "Region", "MotionSVD", "MovieSVD", "Summary")
        tables = {name: getattr(self.lab.element, name) for name in names}
        tables |= {name: getattr(self.lab.signals, name) for name in ("Pupil", "Blink", "Running")}
        if "model_id" in key:
            tables = {name: getattr(self.pose.inference, name) for name in ("FacemapInference", "BodyPartPosition")}
        return {name: self.rows(table, key) for name, table in tables.items()}

    # What element-facemap's own loader, and Facemap itself, leave

    def slice_along_frames(self, key: dict[str, Any]) -> None:
        """A row for every frame of region 1, in place of one for every component."""
        table = self.lab.element.MotionSVD
        masks, courses = moving.regions()[1].mot
        (table & {**key, "roi_no": 1}).delete_quick()
        rows = [
            {**key, "roi_no": 1, "component_id": number, "motmask": masks[number % 4], "projection": course}
            for number, course in enumerate(courses)
        ]
        table.insert(rows, allow_direct_insert=True)

    def pop_motions(self, key: dict[str, Any]) -> None:
        """The motion traces come from the end of the list."""
        motions = [moving.early(found.motion) for found in moving.regions().values()]
        for number in moving.regions():
            self.update(self.lab.element.Region, {**key, "roi_no": number}, motion=motions.pop())

    def mix_svds(self, key: dict[str, Any]) -> None:
        """The movie SVD's rows go into MotionSVD."""
        masks, courses = moving.regions()[2].mov
        for number in range(moving.COMPONENTS):
            self.update(
                self.lab.element.MotionSVD,
                {**key, "roi_no": 2, "component_id": number},
                motmask=np.ascontiguousarray(masks[:, :, number]),
                projection=np.ascontiguousarray(courses[:, number]),
            )

    def leave_motion_early(self, key: dict[str, Any]) -> None:
        """The motion stays as Facemap stores it."""
        for number, found in moving.regions().items():
            self.update(self.lab.element.Region, {**key, "roi_no": number}, motion=moving.early(found.motion))

    def multiply_duration(self, key: dict[str, Any]) -> None:
        """The duration is frames x fps."""
        recording = {name: key[name] for name in self.lab.element.RecordingInfo.primary_key}
        self.update(self.lab.element.RecordingInfo, recording, recording_duration=moving.NFRAMES * 30.0)

    def forget_files(self, key: dict[str, Any]) -> None:
        """Only the first of two sequential files is read."""
        recording = {name: key[name] for name in self.lab.element.RecordingInfo.primary_key}
        self.lab.element.VideoFile.insert1({**recording, "file_id": 1, "file_path": "m1/2.avi"}, skip_duplicates=True)
        for number, found in moving.regions().items():
            self.update(self.lab.element.Region, {**key, "roi_no": number}, motion=found.motion[:310])

    def leave_noise(self, key: dict[str, Any]) -> None:
        """Running is what Facemap 1.0.8 computes."""
        self.update(self.lab.signals.Running, {**key, "roi_no": moving.RUNNING}, displacement=moving.noise())

    def lose_svd(self, key: dict[str, Any]) -> None:
        """A region has no motion SVD."""
        (self.lab.element.MotionSVD & {**key, "roi_no": 1}).delete_quick()

    def lose_region(self, key: dict[str, Any]) -> None:
        """A region isn't there at all."""
        for name in ("MotionSVD", "MovieSVD", "Region"):
            (getattr(self.lab.element, name) & {**key, "roi_no": 2}).delete_quick()

    def lose_component(self, key: dict[str, Any]) -> None:
        """A component between others isn't there."""
        (self.lab.element.MovieSVD & {**key, "roi_no": 0, "component_id": 3}).delete_quick()

    def transpose_masks(self, key: dict[str, Any]) -> None:
        """Masks are (x, y)."""
        masks, _ = moving.regions()[1].mov
        for number in range(moving.COMPONENTS):
            where = {**key, "roi_no": 1, "component_id": number}
            self.update(self.lab.element.MovieSVD, where, movmask=np.ascontiguousarray(masks[:, :, number].T))


class NoFiles(Files):
    """As if all files were gone."""

    @contextlib.contextmanager
    def opened(self, lab: Any, task: Any) -> Iterator[OpenFiles]:
        yield OpenFiles(None, "themselves", problem="They are gone.")


def checks_of(report: KeyReport) -> set[tuple[str, Certainty]]:
    """Return what was found, and how sure it is."""
    return {(finding.check, finding.certainty) for finding in report.findings}


def look_at(audited: Audited, key: dict[str, Any], kind: Kind = Kind.SVD, **options: Any) -> KeyReport:
    """Audit one result, as the command does."""
    files = options.pop("files", Files)(audited.settings, audited.ledger, audited.store)
    files.limits = options.pop("limits", files.limits)
    usual = {"renumber": False, "folder": audited.folder / "kept"}
    return audit_result(audited.choice(key, kind), files, Mending(**usual | options) if options else None, NOW)


@pytest.fixture
def audited(
    database_settings: DatabaseSettings, s3_settings: S3Settings, store: Store, bucket: str, tmp_path: Path
) -> Iterator[Audited]:
    with _world(PoseWorld, database_settings, s3_settings, store, bucket, tmp_path) as world:
        yield Audited(world)
