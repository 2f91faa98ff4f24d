"""The process that opens a pickle has limits of its own, and hands back no pickle."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fmdj_cloud.errors import InputError
from fmdj_cloud.signals_h5 import SignalsReader
from fmdj_cloud.worker.importing import reader
from fmdj_cloud.worker.importing.reader import ReaderJob, read_apart


def limited(code: str) -> subprocess.CompletedProcess[str]:
    """Run code in a process that is limited as for a small file."""
    entered = f"from fmdj_cloud.worker.importing.sandbox import enter\nenter(1000)\n{code}"
    return subprocess.run([sys.executable, "-c", entered], capture_output=True, text=True, timeout=60)


def test_memory_is_limited() -> None:
    assert "MemoryError" in limited("bytearray(4 << 30)").stderr


def test_files_are_limited(tmp_path: Path) -> None:
    path = tmp_path / "big"
    result = limited(f"open({str(path)!r}, 'wb').write(bytes(200 << 20))")
    assert result.returncode != 0
    assert path.stat().st_size <= 65 << 20


def test_time_processes_and_core_dumps_are_limited() -> None:
    shown = limited(
        "import resource\n"
        "print([resource.getrlimit(getattr(resource, f'RLIMIT_{n}')) for n in ('CPU', 'NPROC', 'CORE', 'NOFILE')])"
    )
    assert shown.stdout.strip() == "[(60, 60), (0, 0), (0, 0), (64, 64)]", shown.stderr


def test_a_hard_limit_that_is_lower_stays() -> None:
    shown = limited("import resource\nenter(10 ** 12)\nprint(resource.getrlimit(resource.RLIMIT_CPU))")
    assert shown.stdout.strip() == "(60, 60)", shown.stderr


def job(path: Path) -> ReaderJob:
    return ReaderJob(proc=str(path), signals=str(path.with_name("signals.h5")), run_id="r", fps=0, parent=os.getpid())


def test_a_file_is_converted_apart(make: Callable, save: Callable[..., Path], tmp_path: Path) -> None:
    path = save(make().proc())
    result = read_apart(tmp_path / "reader", job(path))
    assert result.nframes == 600
    with SignalsReader(path.with_name("signals.h5")) as signals:
        assert signals.n_components(0, "mot") == 8


def test_a_refusal_comes_back_as_the_error_that_it_is(save: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="doesn't hold the dict") as refused:
        read_apart(tmp_path / "reader", job(save([1, 2])))
    assert refused.value.check == "import_file"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("import time; time.sleep(60)", "took too long"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGXCPU)", "took too long"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", f"ended with code -{int(signal.SIGSEGV)}"),
        ("raise SystemExit(0)", "ended with code 0"),
    ],
)
def test_a_reader_that_hangs_or_dies_is_the_files_fault(
    save: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, words: str
) -> None:
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{body}"\n')
    python.chmod(0o755)
    monkeypatch.setattr(reader.sys, "executable", str(python))
    monkeypatch.setattr(reader, "wall_s", lambda size: 2.0)
    with pytest.raises(InputError, match=words) as refused:
        read_apart(tmp_path / "reader", job(save({})))
    assert refused.value.check == "import_file"


def test_the_limits_of_this_process_stay(save: Callable[..., Path], tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_AS)
    with pytest.raises(InputError):
        read_apart(tmp_path / "reader", job(save({})))
    assert resource.getrlimit(resource.RLIMIT_AS) == before
