"""What computed: versions and processor, for the manifest."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Iterable
from pathlib import Path

import av
import cv2

from fmdj_cloud import __version__
from fmdj_cloud.errors import ConfigError


def versions_of(packages: Iterable[str]) -> dict[str, str]:
    """Return versions of packages, of the decoders, and our own.

    Raises
    ------
    ConfigError
        If a package isn't installed.
    """
    try:
        found = {name: importlib.metadata.version(name) for name in packages}
    except importlib.metadata.PackageNotFoundError as error:
        raise ConfigError(
            f"{error.name} isn't installed where the worker runs: install fmdj-cloud[worker], or use the worker image."
        ) from error
    return {
        **found,
        "opencv": cv2.__version__,
        "av": av.__version__,
        "fmdj": __version__,
        "python": platform.python_version(),
    }


def processor() -> str:
    """Return which processor computes."""
    try:
        with Path("/proc/cpuinfo").open() as file:
            models = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    except OSError:
        models = []
    return f"cpu ({models[0] if models else platform.machine()})"
