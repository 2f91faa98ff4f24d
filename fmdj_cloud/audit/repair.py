"""Rows replaced by what their files hold: one transaction for each key, and what was there is kept first."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from datajoint.errors import DataJointError

from fmdj_cloud.audit.files import OpenFiles
from fmdj_cloud.audit.findings import Finding, Repair
from fmdj_cloud.audit.keep import keep, kept_path
from fmdj_cloud.contracts import Kind, TaskRecord
from fmdj_cloud.errors import DatabaseError, LoadError, LostRaceError
from fmdj_cloud.load.pose_rows import position_batches
from fmdj_cloud.load.rows import Shape, Table, signal_batches
from fmdj_cloud.load.writing import RowWriter
from fmdj_cloud.names import canonical_key
from fmdj_cloud.pipeline.lab import Lab
from fmdj_cloud.pipeline.result_rows import Rows
from fmdj_cloud.settings import LoadSettings
from fmdj_cloud.signals_h5 import SignalsReader

_MIB = 1 << 20
_OPTIONAL = ("xrange", "yrange", "xrange_bin", "yrange_bin", "motion")


class Repairer:
    """Mends the rows of one key.

    Parameters
    ----------
    lab : Lab
    task : TaskRecord
    folder : Path
        Where what is replaced is kept.
    limits : LoadSettings
        How rows are loaded.
    rate : float or None
        Frames per second as the videos say, where they do.
    """

    def __init__(self, lab: Lab, task: TaskRecord, folder: Path, limits: LoadSettings, rate: float | None) -> None:
        self._lab = lab
        self._task = task
        self._key = dict(task.key)
        self._folder = folder
        self._limits = limits
        self._slice_bytes = int(limits.slice_mib) * _MIB
        self._rate = rate
        self._database = lab.element.database

    def mend(self, findings: Sequence[Finding], files: OpenFiles, view: int, now: dt.datetime) -> Path:
        """Mend what can be mended, in one transaction; return the file that keeps what was replaced.

        Parameters
        ----------
        findings : sequence of Finding
            With a repair each.
        files : OpenFiles
        view : int
            Whose points are loaded.
        now : datetime
            Part of the file's name.

        Raises
        ------
        LostRaceError
            If the task was edited or deleted meanwhile.
        LoadError
            If the rows don't fit, or other tables of the lab's depend on those that would be replaced.
        DatabaseError, ConfigError
            If the database or the file fails; nothing has changed.
        """
        path = kept_path(self._folder, self._lab.name, self._task.table, self._key, now)
        try:
            self._mend(path, findings, files, view)
        except DatabaseError:
            raise  # whether it was committed isn't known
        except BaseException:
            path.unlink(missing_ok=True)  # nothing was replaced
            raise
        return path

    def _mend(self, path: Path, findings: Sequence[Finding], files: OpenFiles, view: int) -> None:
        kinds = {finding.repair for finding in findings}
        reload = kinds & {Repair.RELOAD, Repair.RENUMBER}
        with self._translated(), self._database.transaction():
            self._lock()
            keep(path, self._key, self._replaced(bool(reload), Repair.DURATION in kinds))
            if reload and files.signals is not None:
                if self._task.kind is Kind.POSE:
                    self._reload_pose(files.signals, files.seconds, view)
                else:
                    running = any(finding.table == "Running" for finding in findings)
                    self._reload_svd(files.signals, running=running)
            if Repair.DURATION in kinds:
                self._correct_duration()

    def _lock(self) -> None:
        digests = self._lab.tasks(self._task.kind).param_digests([self._key], lock=True)
        if digests.get(canonical_key(self._key)) != self._task.param_digest:
            raise LostRaceError("The task was edited or deleted while its rows were looked at: audit it again.")

    def _replaced(self, reload: bool, duration: bool) -> dict[str, tuple[Rows, Sequence[str], Sequence[str]]]:
        element, signals, inference = self._lab.element, self._lab.signals, self._lab.inference
        tables: dict[str, Any] = {}
        if reload and self._task.kind is Kind.SVD:
            for name in ("Region", "MotionSVD", "MovieSVD", "Summary"):
                tables[name] = getattr(element, name)
            for name in ("Pupil", "Blink", "Running"):
                tables[name] = getattr(signals, name)
        elif reload and inference is not None:
            tables = {"FacemapInference": inference.FacemapInference, "BodyPartPosition": inference.BodyPartPosition}
        if duration:
            tables["RecordingInfo"] = element.RecordingInfo
        return {name: self._described(table) for name, table in tables.items()}

    def _described(self, table: Any) -> tuple[Rows, Sequence[str], Sequence[str]]:
        heading = table.heading
        own = [name for name in heading.primary_key if name not in self._key]
        others = [name for name in heading.names if name not in heading.primary_key]
        return Rows(self._database, table, self._key, self._lab.kept), own, others

    def _reload_svd(self, signals: SignalsReader, *, running: bool) -> None:
        element, ours = self._lab.element, self._lab.signals
        with_running = any(signals.running(region.roi_no) is not None for region in signals.regions())
        replaced = [element.MotionSVD, element.MovieSVD, element.Summary, element.Region, ours.Pupil, ours.Blink]
        # An imported file has no running, since Facemap's is noise: what we computed stays, and noise goes
        replaced += [ours.Running] if with_running or running else []
        for table in replaced:
            self._delete(table)
        heading = element.Region.heading
        shape = Shape(element.component, frozenset(name for name in _OPTIONAL if not heading[name].nullable))
        tables = {
            Table.REGION: element.Region,
            Table.MOTION_SVD: element.MotionSVD,
            Table.MOVIE_SVD: element.MovieSVD,
            Table.SUMMARY: element.Summary,
            Table.PUPIL: ours.Pupil,
            Table.BLINK: ours.Blink,
            Table.RUNNING: ours.Running,
        }
        writer = RowWriter(self._lab, self._slice_bytes)
        most = self._limits.max_components
        for batch in signal_batches(self._key, signals, shape, writer.slice_bytes, max_components=most):
            if batch.table is not Table.FACIAL_SIGNAL:  # that row stays: other tables may know it
                writer.insert(batch.table.value, tables[batch.table], batch.rows)

    def _reload_pose(self, signals: SignalsReader, seconds: float, view: int) -> None:
        inference = self._lab.inference
        if inference is None:
            return
        self._delete(inference.BodyPartPosition)
        writer = RowWriter(self._lab, self._slice_bytes)
        for rows in position_batches(self._key, signals, view, writer.slice_bytes):
            writer.insert("BodyPartPosition", inference.BodyPartPosition, rows)
        changes: dict[str, Any] = {"total_frame_count": signals.nframes}
        if seconds > 0:
            whole = "int" in str(inference.FacemapInference.heading["inference_run_duration"].type).lower()
            changes["inference_run_duration"] = round(seconds) if whole else seconds
        inference.FacemapInference.update1(self._key | changes)

    def _correct_duration(self) -> None:
        table = self._lab.element.RecordingInfo
        recording = {name: self._key[name] for name in table.primary_key}
        row = Rows(self._database, table, recording).one("nframes", "fps")
        if row is not None:
            table.update1(recording | {"recording_duration": row["nframes"] / (self._rate or row["fps"])})

    def _delete(self, table: Any) -> None:
        # Raw: DataJoint's delete would take whatever depends on these rows, too
        Rows(self._database, table, self._key).delete()

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except DatabaseError as error:
            if _depended_on(error):
                raise LoadError(
                    f"Other tables of the lab's depend on rows that would be replaced ({error.sentence}): delete those "
                    "first, or delete the result with DataJoint and have it loaded again."
                ) from error
            raise
        except (DataJointError, self._database.dialect.driver_error) as error:
            raise DatabaseError(f"The database refused the rows: {error}.") from error


def _depended_on(error: BaseException) -> bool:
    return "foreign key" in f"{error} {error.__cause__}".lower()


def mendable(findings: Sequence[Finding], *, renumber: bool) -> tuple[tuple[Finding, ...], str]:
    """Return the findings that a repair may mend, and why others can't: pure.

    Parameters
    ----------
    findings : sequence of Finding
    renumber : bool
        Whether numbers of regions may change.
    """
    if not renumber and any(finding.check == "numbering" for finding in findings):
        # Reloading would number regions anew, and whoever knows them by number would take one for another
        others = tuple(finding for finding in findings if finding.repair is Repair.DURATION)
        return others, "Its regions are numbered by another convention: reloading changes them; add --renumber."
    return tuple(finding for finding in findings if finding.repair is not Repair.NONE), ""
