"""Links between README, docs/ and the repository lead somewhere, anchors too."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

import pytest

from tests.support.docs.pages import ROOT, Page, pages

PAGES = {page.name: page for page in pages()}


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_every_link_leads_somewhere(page: Page) -> None:
    lost = []
    for target in page.links():
        if re.match(r"[a-z]+:", target) or re.match(r"(\.\./)*pictures/", target):
            continue  # to elsewhere, or a picture that `make docs` takes
        path, _, anchor = target.partition("#")
        found = posixpath.normpath(posixpath.join(page.path.parent.as_posix(), path)) if path else page.name
        unknown = anchor and found in PAGES and anchor not in PAGES[found].anchors()
        if unknown or not (ROOT / found).exists():
            lost.append(target)
    assert lost == []


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_lists_and_tables_begin_after_an_empty_line(page: Page) -> None:
    """Python-Markdown, which makes the site, takes them for a part of the paragraph otherwise; forges don't."""
    inside, before, found = False, "", []
    for number, line in enumerate(page.text.splitlines(), 1):
        if line.lstrip().startswith("```"):
            inside = not inside
        starts = re.match(r"(- |\d+\. |\* |\| )", line)
        if not inside and starts and before.strip() and not re.match(r"\s*(- |\d+\. |\* |\| )|  ", before):
            found.append(f"line {number}: {line[:60]}")
        before = line
    assert found == []


def test_pages_that_sentences_of_programs_name_are_there() -> None:
    named = set()
    for folder in ("fmdj_cloud", "helm", "images"):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in (".py", ".txt", ".tpl", ".yaml", ".sh"):
                named |= set(re.findall(r"\bdocs/[\w/-]+\.(?:md|py|yaml)\b", path.read_text("utf-8")))
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_every_page_is_in_the_navigation() -> None:
    text = (ROOT / "mkdocs.yml").read_text("utf-8")
    shown = set(re.findall(r"[\w/-]+\.md\b", text))
    there = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert {name for name in there if not name.startswith("upstream/")} <= shown
    assert {name for name in shown if not (ROOT / "docs" / name).exists()} == set(), Path("docs")
