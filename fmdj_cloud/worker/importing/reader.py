"""``python -m fmdj_cloud.worker.importing.reader FOLDER``: what is imported, in a process with limits of its own.

Only this process opens a stranger's pickle or HDF5 file. It gives back signals.h5 and a JSON file, never a pickle.
"""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from fmdj_cloud.contracts import Frozen
from fmdj_cloud.errors import FmdjError, InputError
from fmdj_cloud.logs import configure_logging
from fmdj_cloud.worker.importing.convert import convert
from fmdj_cloud.worker.importing.imported import Imported
from fmdj_cloud.worker.importing.layout import lay_out
from fmdj_cloud.worker.importing.pose import PoseJob, convert_pose
from fmdj_cloud.worker.importing.proc import read_proc_file
from fmdj_cloud.worker.importing.sandbox import enter, wall_s
from fmdj_cloud.worker.lifeline import die_with

log = logging.getLogger("fmdj_cloud.worker.importing.reader")  # __name__ is "__main__" in the process

_JOB, _RESULT, _FAILURE = "job.json", "result.json", "failure.json"
_FAILURE_MAX_BYTES = 64 << 10
_RESULT_MAX_BYTES = 64 << 20


class ReaderJob(Frozen):
    """What the reader reads."""

    proc: str = ""
    """Path of the ``_proc.npy``; empty where keypoints are imported."""
    pose: PoseJob | None = None
    signals: str
    """Path of the new signals.h5."""
    run_id: str
    fps: float
    parent: int

    @property
    def files(self) -> tuple[Path, ...]:
        """All files that are read, the one that sentences name first."""
        if self.pose is None:
            return (Path(self.proc),)
        return tuple(Path(path) for file in self.pose.files for path in (file.points, file.metadata) if path)

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(path.stat().st_size for path in self.files)


class ReaderFailure(Frozen):
    """Why it couldn't."""

    sentence: str
    check: str


def read_apart(folder: Path, job: ReaderJob) -> Imported:
    """Convert files in a process with limits of its own.

    Parameters
    ----------
    folder : Path
        New folder for what passes between the processes.
    job : ReaderJob

    Raises
    ------
    InputError
        If they can't be imported, or take more memory or time than any Facemap output does.
    """
    folder.mkdir()
    (folder / _JOB).write_text(job.model_dump_json())
    size = job.size
    process = subprocess.Popen(
        [sys.executable, "-m", "fmdj_cloud.worker.importing.reader", str(folder)], stdin=subprocess.DEVNULL
    )
    try:
        code: int | None = process.wait(wall_s(size))
    except subprocess.TimeoutExpired:
        code = None
    finally:
        process.kill()
        process.wait()
    failure = folder / _FAILURE
    if failure.exists() and failure.stat().st_size <= _FAILURE_MAX_BYTES:
        told = ReaderFailure.model_validate_json(failure.read_bytes())
        raise InputError(told.sentence, check=told.check)
    result = folder / _RESULT
    if code == 0 and result.exists() and result.stat().st_size <= _RESULT_MAX_BYTES:
        return Imported.model_validate_json(result.read_bytes())
    how = "took too long" if code in (None, -signal.SIGXCPU) else f"ended with code {code}"
    raise InputError(
        f"{job.files[0].name} can't be imported: reading it {how}, which no Facemap output does; upload the file again "
        "as Facemap wrote it, or set task_mode='trigger' to compute it.",
        check="import_file",
    )


def main(arguments: Sequence[str]) -> int:
    """Read what the job names; return 0, or the exit code of the failure that is told."""
    configure_logging("INFO", "text")
    folder = Path(arguments[0])
    job = ReaderJob.model_validate_json((folder / _JOB).read_bytes())
    die_with(job.parent)
    enter(job.size)
    try:
        imported = _convert(job)
    except Exception as error:  # whatever a stranger's bytes have led to, the file is at fault
        return _fail(folder, job.files[0].name, error)
    _write(folder / _RESULT, imported)
    return 0


def _convert(job: ReaderJob) -> Imported:
    if job.pose is not None:
        return convert_pose(job.pose, Path(job.signals), run_id=job.run_id, fps=job.fps)
    values = read_proc_file(Path(job.proc))
    return convert(values, lay_out(values), Path(job.signals), run_id=job.run_id, fps=job.fps)


def _fail(folder: Path, name: str, error: Exception) -> int:
    if isinstance(error, InputError):
        failure = ReaderFailure(sentence=error.sentence, check=error.check)
    elif isinstance(error, MemoryError):
        failure = ReaderFailure(
            sentence=f"{name} can't be imported: reading it takes far more memory than a Facemap output of its size; "
            "upload the file again as Facemap wrote it.",
            check="import_memory",
        )
    elif isinstance(error, FmdjError | OSError):
        raise error
    else:
        log.error("%s isn't what Facemap writes", name, exc_info=error)
        failure = ReaderFailure(
            sentence=f"{name} can't be imported: it isn't what Facemap writes ({type(error).__name__}); upload the "
            "file again, or set task_mode='trigger' to compute it.",
            check="import_content",
        )
    _write(folder / _FAILURE, failure)
    return InputError.exit_code


def _write(path: Path, what: Frozen) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_text(what.model_dump_json())
    fresh.replace(path)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
