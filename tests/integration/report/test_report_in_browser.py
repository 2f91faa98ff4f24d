"""A report in a real browser: nothing is asked for, everybody can read it, in either mode and on paper."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from fmdj_cloud.contracts import QualityCheck, Verdict
from fmdj_cloud.report.html import Part, Picture, report_html
from fmdj_cloud.report.pictures import DRAWINGS, drawable
from fmdj_cloud.report.style import DARK, LIGHT
from fmdj_cloud.signals_h5 import SignalsReader
from tests.support.page.browser import chromium, visit
from tests.support.report.files import write_svd

pytestmark = pytest.mark.integration
NOW = dt.datetime(2026, 11, 1, 12, 0)
BACKGROUNDS = {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 24, 29)"}


def check(name: str, verdict: Verdict) -> QualityCheck:
    return QualityCheck(
        check=name,
        part="region 2 motion",
        roi_no=2,
        value=0.25,
        threshold=0.1,
        verdict=verdict,
        sentence="<script>alert(1)</script> Look at it.",
        run_id="svd-0123456789abcdef",
        attempt=1,
        checked=NOW,
    )


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        if found is None:
            pytest.skip("chromium isn't installed: tests/install_chromium.sh")
        yield found


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of two results."""
    folder = tmp_path_factory.mktemp("report")
    pictures = []
    with SignalsReader(write_svd(folder / "signals.h5")) as signals:
        for name in drawable(signals):
            drawing = DRAWINGS[name]
            light, dark = (drawing.draw(signals, (), theme) for theme in (LIGHT, DARK))
            assert light is not None
            assert dark is not None
            pictures.append(Picture(name, drawing.title, drawing.caption, drawing.title, light, dark))
    parts = [
        Part(
            stem=f"part-{number}",
            title=f"subject=m{number} <b>&amp;",
            words="FacemapTask: 300 frames.",
            notes=("A warning.",),
            pictures=tuple(pictures),
            quality=tuple(check(f"check{place}", verdict) for place, verdict in enumerate(Verdict)),
            provenance=(("run", "svd-0123456789abcdef"), ("folder", "s3://bucket/" + "x" * 300)),
            origins=(("motion", "0", "repaired", "repaired: F1"),),
        )
        for number in (1, 2)
    ]
    (folder / "report.html").write_text(report_html("Results of m1", parts, ["A work."], NOW), "utf-8")
    return folder


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_a_report_can_be_read_by_everybody_and_asks_for_nothing(browser: Browser, page: Path, mode: str) -> None:
    options = {"color_scheme": mode, "viewport": {"width": 500, "height": 800}}
    with visit(browser, page.as_uri(), **options) as visitor:
        shown = visitor.go("/report.html")
        assert visitor.accessibility_faults() == []
        assert shown.evaluate("getComputedStyle(document.body).backgroundColor") == BACKGROUNDS[mode]
        loaded = shown.evaluate("[...document.images].map(image => [image.complete, image.naturalWidth > 0])")
        assert loaded == [[True, True]] * 6
        sources = shown.evaluate(
            "[...document.querySelectorAll('picture')].map(p => p.querySelector('img').currentSrc)"
        )
        plain = shown.evaluate("[...document.querySelectorAll('picture')].map(p => p.querySelector('img').src)")
        assert [one == other for one, other in zip(sources, plain, strict=True)] == [mode == "light"] * 6
        assert shown.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        assert shown.get_by_role("heading", level=2).first.inner_text() == "subject=m1 <b>&amp;"
        assert "<script>alert(1)</script>" in shown.inner_text("main")
        assert (visitor.complaints, visitor.elsewhere) == ([], [])


def test_on_paper_it_is_dark_on_white_and_nothing_is_cut_off(browser: Browser, page: Path) -> None:
    with visit(browser, page.as_uri(), color_scheme="dark") as visitor:
        shown = visitor.go("/report.html")
        shown.emulate_media(media="print")
        assert shown.evaluate("getComputedStyle(document.body).backgroundColor") == BACKGROUNDS["light"]
        assert shown.evaluate("getComputedStyle(document.querySelector('.scroll')).overflowX") == "visible"
        assert not shown.locator("nav").is_visible()
        assert shown.pdf().startswith(b"%PDF")
