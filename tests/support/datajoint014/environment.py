"""A real DataJoint 0.14.10, which can't be installed beside 2.x, in an environment of its own.

It lives inside the environment that the tests run in, made once for each ``requirements.txt`` (which
``uv pip compile`` resolved from ``datajoint==0.14.10``), so that no tool finds it among the sources.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import uuid
from pathlib import Path

REQUIREMENTS = Path(__file__).with_name("requirements.txt")
_NAME = "datajoint014"


class Unavailable(Exception):
    """DataJoint 0.14 can't be installed: there is no package index, or not this version."""


def python() -> Path:
    """Return the Python that imports DataJoint 0.14; its environment is made when it isn't there.

    Raises
    ------
    Unavailable
    """
    ours = Path(sys.prefix)
    found = ours / f"{_NAME}-{hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:12]}"
    if not found.is_dir():
        made = ours / f"{_NAME}-{uuid.uuid4().hex}.new"
        try:
            _make(made)
            for old in ours.glob(f"{_NAME}-*"):
                if old not in (made, found) and not old.name.endswith(".new"):
                    shutil.rmtree(old, ignore_errors=True)
            made.rename(found)
        except OSError:  # another test process was quicker
            if not found.is_dir():
                raise
        finally:
            shutil.rmtree(made, ignore_errors=True)
    return found / "bin" / "python"


def _make(folder: Path) -> None:
    requirements = ("--quiet", "--no-deps", "--only-binary", ":all:", "--requirement", str(REQUIREMENTS))
    python = folder / "bin" / "python"
    problems = []
    # uv takes a second, pip twenty; where uv finds no index, pip's own settings may name one
    for commands in (
        (
            (sys.executable, "-m", "uv", "venv", "--quiet", "--python", sys.executable, str(folder)),
            (sys.executable, "-m", "uv", "pip", "install", "--python", str(python), *requirements),
        ),
        (
            (sys.executable, "-m", "venv", "--clear", str(folder)),
            (str(python), "-m", "pip", "install", "--disable-pip-version-check", *requirements),
        ),
    ):
        for command in commands:
            result = subprocess.run(command, capture_output=True, text=True, timeout=300, env=plain())
            if result.returncode:
                problems.append(result.stderr.strip()[-500:])
                break
        else:
            return
    raise Unavailable(f"{REQUIREMENTS} can't be installed: {' / '.join(problems)}")


def plain() -> dict[str, str]:
    """Return the variables of this process, without those by which coverage follows subprocesses of ours."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COV")}
