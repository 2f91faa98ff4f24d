"""Tutorials as tests run them: with small sizes, in a folder of their own, and asked at the end what came of it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from fmdj_cloud.demo.keeper import running_keeper
from fmdj_cloud.demo.world import stop_servers

ROOT = Path(__file__).parents[3]
TUTORIALS = ROOT / "docs" / "tutorials"
CHART = ROOT / "helm" / "fmdj-cloud"
NAMES = sorted(path.stem for path in TUTORIALS.glob("*.ipynb"))
CHANGED = "changed-parameters"
_STORY = 4000
"""Characters of what a tutorial that failed had said before."""
_MARK = "the tutorial came to: "


def read(name: str) -> Any:
    """Return a tutorial as it is kept."""
    return nbformat.read(TUTORIALS / f"{name}.ipynb", as_version=4)


def parameters_cell(notebook: Any) -> Any:
    """Return the cell whose values a reader may change."""
    (cell,) = (cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", ()))
    return cell


def environment(folder: Path, **more: str) -> dict[str, str]:
    """Return what a tutorial's kernel finds: ``fmdj`` on the PATH, and a home that is nobody's."""
    import matplotlib

    home = folder / "home"
    home.mkdir()
    own = {
        "HOME": str(home),
        "IPYTHONDIR": str(home / "ipython"),
        "MPLCONFIGDIR": matplotlib.get_configdir(),  # else every kernel looks for all fonts again
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "COLUMNS": "160",
    }
    return {**os.environ, **own, **more}


def execute(
    name: str,
    folder: Path,
    parameters: Mapping[str, Any],
    variables: Mapping[str, str] | None = None,
    cell_s: float = 540,
    *,
    then: str = "",
) -> Any:
    """Run a tutorial and return it with what its cells showed.

    Parameters
    ----------
    name : str
    folder : Path
        Empty; the tutorial's working directory.
    parameters : mapping
        Values in place of those in its cell of parameters; they stand in a cell of their own, which is tagged so.
    variables : mapping of str to str, optional
        More of its environment.
    cell_s : float
        What one cell may take, seconds.
    then : str
        Code of a last cell.
    """
    notebook = read(name)
    cell = parameters_cell(notebook)
    unknown = [one for one in parameters if not re.search(rf"\b{one}\b.*=", cell.source)]
    assert not unknown, f"{name} has no parameter {unknown}"
    if parameters:
        changed = nbformat.v4.new_code_cell("\n".join(f"{one} = {value!r}" for one, value in parameters.items()))
        changed.metadata["tags"] = [CHANGED]
        notebook.cells.insert(notebook.cells.index(cell) + 1, changed)
    if then:
        notebook.cells.append(nbformat.v4.new_code_cell(then))
    client = NotebookClient(notebook, timeout=cell_s, kernel_name="python3", allow_errors=False)
    with _nothing_left(folder):
        try:
            client.execute(cwd=str(folder), env=environment(folder, **(variables or {})))
        except CellExecutionError as error:
            raise AssertionError(f"{name}: {error}\n{_said(notebook)[-_STORY:]}") from error
    assert _errors(notebook) == []
    return notebook


def run(
    name: str,
    folder: Path,
    parameters: Mapping[str, Any],
    results: Mapping[str, str],
    variables: Mapping[str, str] | None = None,
    cell_s: float = 540,
) -> dict[str, Any]:
    """Run a tutorial, and return what its variables hold at the end.

    Parameters
    ----------
    name : str
    folder : Path
        Empty; the tutorial's working directory.
    parameters : mapping
        Values in place of those in its cell of parameters.
    results : mapping of str to str
        Expressions in its variables, whose values JSON can hold.
    variables : mapping of str to str, optional
        More of its environment.
    cell_s : float
        What one cell may take, seconds.
    """
    asked = ", ".join(f"{one!r}: {expression}" for one, expression in results.items())
    then = f"import json\nprint({_MARK!r} + json.dumps({{{asked}}}))"
    notebook = execute(name, folder, parameters, variables, cell_s, then=then)
    last = next(line for line in _said(notebook).splitlines()[::-1] if line.startswith(_MARK))
    found: dict[str, Any] = json.loads(last.removeprefix(_MARK))
    return found | {"pictures": pictures(notebook), "said": _said(notebook)}


def on_path(folder: Path, **scripts: str) -> str:
    """Return a PATH on which programs of these names come first; made in a new folder."""
    folder.mkdir()
    for name, text in scripts.items():
        (folder / name).write_text(f'#!/bin/sh\nexec {text} "$@"\n')
        (folder / name).chmod(0o755)
    return os.pathsep.join([str(folder), str(Path(sys.executable).parent), os.environ["PATH"]])


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on."""
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [int(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def pictures(notebook: Any) -> int:
    """Return how many pictures a notebook shows."""
    return sum("image/png" in output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", ()))


def _said(notebook: Any) -> str:
    """Return what all cells wrote."""
    return "".join(output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", ()))


def _errors(notebook: Any) -> list[str]:
    return [
        output.ename for cell in notebook.cells for output in cell.get("outputs", ()) if output.output_type == "error"
    ]


@contextlib.contextmanager
def _nothing_left(folder: Path) -> Iterator[None]:
    """Stop the servers of a tutorial that failed; one that succeeds has done so itself."""
    try:
        yield
        assert not _running(folder), "a tutorial that has ended left its servers running"
    finally:
        for place in _running(folder):
            stop_servers(place)


def _running(folder: Path) -> list[Path]:
    return [path.parent for path in folder.glob("*/keeper.pid") if running_keeper(path.parent) is not None]
