"""Run the tutorials, so that the site shows what their cells show: ``python docs/run_tutorials.py OUTDIR [NAME ...]``.

`make docs` calls this; the notebooks in docs/tutorials have no output, and those with output aren't kept in the
repository. One that has not changed since is not run again. The one about a lab's cluster needs a cluster: it stays
without output.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PARAMETERS: dict[str, dict[str, Any]] = {
    "1_first_result": {},
    "2_existing_lab": {},
    "3_gui_rois": {"RECORDINGS": 12},
    "4_pose_model": {},
    "6_cloud": {},
    "7_fetch_plot_export": {},
}
"""What is run, and where with other sizes than the tutorial's own."""
COLUMNS = "88"
"""Of what commands print: what a page has room for; what is wider scrolls (site.css)."""
_ESCAPES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def readable(outputs: Sequence[Any]) -> list[Any]:
    """Return outputs as a page shows them: what was printed in one piece, and without colours and warnings.

    Parameters
    ----------
    outputs : sequence of NotebookNode
        Of one cell; text comes in pieces, which end anywhere.
    """
    shown: list[Any] = []
    for one in outputs:
        if one.get("name") == "stderr":
            continue
        if shown and one.get("name") == shown[-1].get("name") == "stdout":
            shown[-1]["text"] += one["text"]
        else:
            shown.append(one)
    for one in shown:
        if "text" in one:
            one["text"] = _ESCAPES.sub("", one["text"])
    return shown


def run_tutorials(folder: Path, names: Sequence[str] = ()) -> list[Path]:
    """Run the tutorials that have changed.

    Parameters
    ----------
    folder : Path
        Where they go, with output; made if missing.
    names : sequence of str
        Which; all by default.

    Returns
    -------
    list of Path
        Those that were run.
    """
    sys.path.insert(0, str(ROOT))  # what runs them is the tests'
    import nbformat

    from docs.hooks import is_run_of
    from tests.support.kube.tools import HELM, ToolError, tool
    from tests.support.tutorials.notebooks import TUTORIALS, execute, on_path

    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for name in names or PARAMETERS:
        kept = folder / f"{name}.ipynb"
        if kept.exists() and is_run_of(kept, TUTORIALS / kept.name):
            continue
        with tempfile.TemporaryDirectory() as place:
            (Path(place) / "helm").symlink_to(ROOT / "helm")  # as a reader has it, two folders above
            working = Path(place) / "docs" / "tutorials"
            working.mkdir(parents=True)
            variables = {"COLUMNS": COLUMNS}
            if name == "6_cloud":
                try:
                    variables["PATH"] = on_path(Path(place) / "bin", helm=str(tool(HELM)))
                except ToolError as error:
                    sys.stderr.write(f"{name} stays without output: {error}\n")
                    continue
            notebook = execute(name, working, PARAMETERS[name], variables)
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.outputs = readable(cell.outputs)
        nbformat.write(notebook, kept)
        made.append(kept)
    return made


if __name__ == "__main__":
    for path in run_tutorials(Path(sys.argv[1]), sys.argv[2:]):
        sys.stdout.write(f"{path}\n")
