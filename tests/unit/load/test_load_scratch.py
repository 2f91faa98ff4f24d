"""Scratch folders of loaders."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fmdj_cloud.errors import ConfigError
from fmdj_cloud.load.scratch import scratch_folder


def _folders(workdir: Path) -> list[Path]:
    return [path for path in workdir.glob("fmdj-load-*/*") if path.is_dir()]


def test_a_folder_is_gone_when_its_loader_is_done_or_fails(tmp_path: Path) -> None:
    with scratch_folder(tmp_path) as folder:
        (folder / "signals.h5").write_bytes(b"x")
    assert not _folders(tmp_path)

    with pytest.raises(KeyError), scratch_folder(tmp_path) as folder:
        raise KeyError
    assert not _folders(tmp_path)


def test_loaders_share_a_workdir(tmp_path: Path) -> None:
    with scratch_folder(tmp_path) as one, scratch_folder(tmp_path) as other:
        assert one != other
        assert set(_folders(tmp_path)) == {one, other}


def test_what_a_killed_loader_left_is_removed_by_the_next(tmp_path: Path) -> None:
    code = (
        "import pathlib, sys, time\n"
        "from fmdj_cloud.load.scratch import scratch_folder\n"
        "with scratch_folder(pathlib.Path(sys.argv[1])) as folder:\n"
        "    (folder / 'signals.h5').write_bytes(b'x')\n"
        "    print(folder, flush=True)\n"
        "    time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        left = Path(process.stdout.readline().strip())
        os.kill(process.pid, signal.SIGKILL)
    assert (left / "signals.h5").exists()

    with scratch_folder(tmp_path) as folder:
        assert _folders(tmp_path) == [folder]


def test_a_workdir_that_cannot_be_used_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(ConfigError, match=r"set load\.workdir"), scratch_folder(tmp_path / "file"):
        pass
