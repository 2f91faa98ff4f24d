"""Files to import, spoilt by seeds: the process that reads them ends, in bounds, with a result or a sentence."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fmdj_cloud.signals_h5 import SignalsReader
from fmdj_cloud.worker.importing import reader
from fmdj_cloud.worker.importing.imported import Imported
from fmdj_cloud.worker.importing.pose import PoseFile, PoseJob
from fmdj_cloud.worker.importing.reader import ReaderFailure, ReaderJob
from tests.support.hostile.apart import OTHER, READ, outcome
from tests.support.hostile.mutation import mutated
from tests.unit.importing.test_import_pose import HEIGHT, PARTS, WIDTH, Keypoints

SHORT, LONG = 60, 20_000
MIB = 1 << 20
NUMPY_2 = Path(__file__).parent / "data" / "numpy2_proc.npy"


def read(folder: Path, job: ReaderJob) -> None:
    """Be the process that reads a stranger's files; what it leaves must be what the one that waits takes."""
    (folder / "job.json").write_text(job.model_dump_json())
    with pytest.MonkeyPatch.context() as patch:
        # Its limits are for a new process; this one is large already, and has those of `outcome`
        patch.setattr(reader, "enter", lambda size: None)
        code = reader.main([str(folder)])
    if code == 0:
        Imported.model_validate_json((folder / "result.json").read_bytes())
        with SignalsReader(Path(job.signals)):
            return
    failure = ReaderFailure.model_validate_json((folder / "failure.json").read_bytes())
    assert code == 10
    assert failure.sentence.isprintable()
    assert len(failure.sentence) < 1500


class Spoiler:
    """Writes good files, spoils one of them, and has them read."""

    def __init__(self, folder: Path, make: Callable) -> None:
        self.folder = folder
        pose = Keypoints(folder)
        self.points = pose.write(pose.points(20))
        self.metadata = pose.metadata(self.points, 20)
        self.proc = folder / "m1_proc.npy"
        self.good = {path: path.read_bytes() for path in (self.points, self.metadata)}
        self.procs = (NUMPY_2.read_bytes(), _saved(make))

    def job(self, spoilt: Path) -> ReaderJob:
        common = {
            "signals": str(self.folder / "signals.h5"),
            "run_id": "import-0123456789abcdef",
            "fps": 30.0,
            "parent": os.getppid(),
        }
        if spoilt == self.proc:
            return ReaderJob(proc=str(self.proc), **common)
        files = (PoseFile(points=str(self.points), metadata=str(self.metadata)),)
        return ReaderJob(pose=PoseJob(files=files, body_parts=PARTS, size=(HEIGHT, WIDTH), max_bad_frames=2), **common)

    def judge(self, seed: int) -> None:
        for path, data in self.good.items():
            path.write_bytes(data)
        spoilt = (self.proc, self.points, self.metadata)[seed % 3]
        good = self.procs[seed % 2] if spoilt == self.proc else self.good[spoilt]
        spoilt.write_bytes(mutated(good, seed))
        for name in ("result.json", "failure.json", "signals.h5"):
            (self.folder / name).unlink(missing_ok=True)
        before = set(self.folder.iterdir()) | {self.folder / "job.json"}
        code, told = outcome(lambda: read(self.folder, self.job(spoilt)), memory=400 * MIB)
        if spoilt == self.points and code < 0:
            return  # HDF5 itself: whoever waits for that process ends it, and says so
        assert code == READ, f"seed {seed}: {code} {told}"
        made = {path.name for path in set(self.folder.iterdir()) - before}
        assert made <= {"result.json", "failure.json", "signals.h5"}, f"seed {seed}: {made}"


def _saved(make: Callable) -> bytes:
    import io

    whole = np.empty((), object)
    whole[()] = make(frames=40).proc()
    file = io.BytesIO()
    np.save(file, whole, allow_pickle=True)
    return file.getvalue()


def test_a_spoilt_file_is_imported_or_refused(tmp_path: Path, make: Callable) -> None:
    spoiler = Spoiler(tmp_path, make)
    for seed in range(SHORT):
        spoiler.judge(seed)


@pytest.mark.long
@pytest.mark.timeout(0)
@pytest.mark.parametrize("part", range(4))
def test_any_spoilt_file_is_imported_or_refused(part: int, tmp_path: Path, make: Callable) -> None:
    spoiler = Spoiler(tmp_path, make)
    for seed in range(1_000_000 + part * LONG // 4, 1_000_000 + (part + 1) * LONG // 4):
        spoiler.judge(seed)


def test_the_judge_would_see_another_end(tmp_path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        (tmp_path / "job.json").unlink()
    job = ReaderJob(proc=str(tmp_path / "none"), signals=str(tmp_path / "s"), run_id="r", fps=0, parent=os.getpid())
    assert outcome(lambda: read(tmp_path, job), memory=MIB)[0] == OTHER
