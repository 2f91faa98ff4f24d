"""``fmdj version``."""

from __future__ import annotations

import importlib.metadata
import platform

from fmdj_cloud import __version__
from fmdj_cloud.cli.common import Output, OutputOption, console, emit_json, make_table

_PACKAGES = ("facemap", "datajoint", "numpy", "torch")


def versions() -> dict[str, str | None]:
    """Return the versions of what counts for results, None where it isn't installed; nothing is imported."""
    found: dict[str, str | None] = {"fmdj": __version__, "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    return found


def version(output: OutputOption = Output.TABLE) -> None:
    """Show the versions of fmdj and of what it works with."""
    if output is Output.JSON:
        emit_json(versions())
        return
    table = make_table(None, "package", "version")
    for name, found in versions().items():
        table.add_row(name, found or "not installed")
    console.print(table)
