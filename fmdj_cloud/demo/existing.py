"""Facemap as a lab runs it by hand: its own file, beside nothing of ours (``python -m fmdj_cloud.demo.existing``).

A program of its own, since importing Facemap takes half a gigabyte that the demo doesn't need afterwards.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from fmdj_cloud.errors import ConfigError

_OUTPUT = "_proc.npy"


def run_facemap(video: Path, folder: Path, *, sbin: int) -> Path:
    """Process a video with the installed Facemap, full frame and motion SVD.

    Parameters
    ----------
    video : Path
    folder : Path
        Existing folder for Facemap's file.
    sbin : int

    Returns
    -------
    Path
        ``<stem>_proc.npy`` in `folder`.

    Raises
    ------
    ConfigError
        If Facemap fails.
    """
    command = [sys.executable, "-m", "fmdj_cloud.demo.existing", str(video), str(folder), "--sbin", str(sbin)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        last = (result.stderr.strip().splitlines() or ["no message"])[-1]
        raise ConfigError(f"Facemap could not process {video.name}: {last}.")
    return folder / f"{video.stem}{_OUTPUT}"


def main() -> int:
    """Run Facemap."""
    parser = argparse.ArgumentParser(description="Process one video with Facemap.")
    parser.add_argument("video")
    parser.add_argument("folder")
    parser.add_argument("--sbin", type=int, default=4)
    arguments = parser.parse_args()
    from facemap import process

    process.run([[arguments.video]], sbin=arguments.sbin, motSVD=True, savepath=arguments.folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
