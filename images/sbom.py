"""Write what the images install as CycloneDX documents: ``python images/sbom.py FOLDER``.

``controller.cdx.json`` and ``worker-cpu.cdx.json``, ``worker-cuda.cdx.json`` name every package of the lock files with
its version and the hashes that pip demands. What the base images bring is in their publishers' documents.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
IMAGES = {
    "controller": ("controller/requirements.txt",),
    "worker-cpu": ("worker/requirements.txt", "worker/torch-cpu.txt"),
    "worker-cuda": ("worker/requirements.txt", "worker/torch-cuda.txt"),
}
"""Image -> the lock files that it is built from."""


def write_sbom(image: str, folder: Path) -> Path:
    """Write the document of one image, and return where it is.

    Parameters
    ----------
    image : str
        One of :data:`IMAGES`.
    folder : Path
        That exists.

    Raises
    ------
    subprocess.CalledProcessError
        If cyclonedx-py refuses a lock file.
    """
    target = folder / f"{image}.cdx.json"
    with tempfile.TemporaryDirectory() as scratch:
        together = Path(scratch) / "requirements.txt"
        together.write_text("".join((HERE / name).read_text() for name in IMAGES[image]))
        command = [
            *(sys.executable, "-m", "cyclonedx_py", "requirements", str(together)),
            *("--output-reproducible", "--spec-version", "1.6", "--output-format", "JSON", "--validate"),
            *("--output-file", str(target.absolute())),
        ]
        subprocess.run(command, check=True, capture_output=True, text=True, cwd=scratch)
    return target


def main() -> None:
    """Write all documents."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    for image in IMAGES:
        print(write_sbom(image, folder))


if __name__ == "__main__":
    main()
