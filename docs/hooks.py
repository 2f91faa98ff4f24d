"""What MkDocs calls while it builds the site: links out of docs/ lead to the forge, tutorials show their pictures."""

from __future__ import annotations

import json
import logging
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.plugins import event_priority

ROOT = Path(__file__).parents[1]
_LINK = re.compile(r"(\]\()([^)\s#]+)(#[^)\s]*)?\)")
_PICTURE = re.compile(
    r"!\[(?P<words>[^\]]*)\]\((?P<path>(?:\.\./)*pictures/[^)\s]+)\)"
    r"|<img src=\"(?P<source>(?:\.\./)*pictures/[^\"]+)\" alt=\"(?P<said>[^\"]*)\"[^>]*>"
)
_FETCHING = re.compile(
    r"<script[^>]+src=\"https?://[^>]*>\s*</script>"
    r"|<script type=\"module\">(?:(?!</script>).)*mermaid(?:(?!</script>).)*</script>",
    re.DOTALL,
)
"""Scripts of notebooks that are, or load, those of others: for formulas and drawings, of which there are none."""
_log = logging.getLogger("mkdocs.hooks.docs")


def on_config(config: Any) -> Any:
    """Put the reports and tutorials that are there into the navigation, in the order of their names."""
    docs = Path(config["docs_dir"])
    for section in config["nav"]:
        for title, pages in section.items():
            if title == "Upstream reports":
                pages += sorted(f"upstream/{path.name}" for path in docs.glob("upstream/*.md") if path.stem != "index")
            if title == "Tutorials":
                pages += sorted(f"tutorials/{path.name}" for path in docs.glob("tutorials/*.ipynb"))
    return config


@event_priority(-100)  # after the plugin that reads notebooks has put files of its own in their place
def on_files(files: Any, config: Any) -> Any:
    """Show tutorials with what their cells show, where `make docs` has run them."""
    for file in files:
        done = Path(config["docs_dir"]) / "pictures" / file.src_uri
        if file.src_uri.endswith(".ipynb") and done.exists() and is_run_of(done, Path(file.abs_src_path)):
            file.abs_src_path = str(done)
    return files


def is_run_of(done: Path, source: Path) -> bool:
    """Tell whether a notebook is another with outputs; a cell of changed parameters is let pass."""
    read = [json.loads(path.read_text("utf-8"))["cells"] for path in (done, source)]
    kept = [cell for cell in read[0] if "changed-parameters" not in cell["metadata"].get("tags", ())]
    return [_text(cell) for cell in kept] == [_text(cell) for cell in read[1]]


def _text(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


def _without_missing_pictures(markdown: str, folder: Path) -> str:
    """Leave out pictures that ``make docs`` takes and that weren't taken: there is no browser, or it wasn't asked."""

    def picture(found: re.Match[str]) -> str:
        there = (folder / (found["path"] or found["source"])).exists()
        return found[0] if there else f"<em>{found['words'] or found['said']}</em>"

    return _PICTURE.sub(picture, markdown)


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Have links to files of the repository outside of docs/ lead to the forge; one that leads nowhere is a warning."""
    folder = posixpath.dirname(page.file.src_uri)

    def lead(found: re.Match[str]) -> str:
        target, anchor = found[2], found[3] or ""
        path = posixpath.normpath(posixpath.join("docs", folder, target))
        if ":" in target or path.startswith("docs/"):
            return found[0]
        if not (ROOT / path).exists():
            _log.warning("%s: the link %s leads to no file of the repository", page.file.src_uri, target)
        kind = "tree" if (ROOT / path).is_dir() else "blob"
        return f"{found[1]}{config['extra']['forge']}/{kind}/main/{path}{anchor})"

    pictures = _without_missing_pictures(markdown, Path(config["docs_dir"]) / folder)
    return _LINK.sub(lead, pictures)


def on_post_page(output: str, page: Any, config: Any) -> str:
    """Take out what notebooks would fetch from elsewhere: pages need no internet."""
    return _FETCHING.sub("", output)
