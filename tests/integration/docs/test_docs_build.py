"""The site is made without a warning, from pages that ask nothing of the internet."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.docs.pages import ROOT

pytestmark = pytest.mark.integration
_FETCHED = re.compile(r"<(?:script|img|iframe|source|link)\b[^>]*\b(?:src|href)=\"(?:https?:)?//[^\"]*\"[^>]*>")
_CANONICAL = re.compile(r"rel=\"(?:canonical|next|prev)\"")


def test_every_page_is_there(site: Path) -> None:
    made = {path.relative_to(site).with_suffix("").as_posix() for path in site.rglob("*.html")}
    for path in (ROOT / "docs").rglob("*.md"):
        assert path.relative_to(ROOT / "docs").with_suffix("").as_posix() in made


def test_pages_fetch_nothing_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        text = page.read_text("utf-8")
        assert [tag for tag in _FETCHED.findall(text) if not _CANONICAL.search(tag)] == [], page.name
        assert not re.search(r"import\([\"']https?:|cdnjs|unpkg|jsdelivr", text), page.name


def test_style_sheets_fetch_nothing_from_elsewhere(site: Path) -> None:
    for sheet in site.rglob("*.css"):
        assert not re.search(r"url\([\"']?(https?:)?//|@import[^;]*//", sheet.read_text("utf-8")), sheet.name


def test_scripts_of_reports_are_there_and_generators_are_not(site: Path) -> None:
    assert (site / "upstream" / "facemap-f1.py").exists()
    assert list(site.glob("*.py")) == []


def test_links_out_of_the_docs_lead_to_the_repository(site: Path) -> None:
    text = (site / "elements-and-facemap.html").read_text("utf-8")
    assert "https://github.com/fmdj-cloud/fmdj-cloud/blob/main/tests/integration/load/test_load_runs.py" in text
