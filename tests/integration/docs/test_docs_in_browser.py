"""The site in a real browser: nothing is fetched from elsewhere, nothing is complained about, and its search finds."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.support.page.browser import Visit, chromium, visit

pytestmark = pytest.mark.integration


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves a folder, and keeps no log."""

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        if found is None:
            pytest.skip("Chromium isn't installed: tests/install_chromium.sh")
        yield found


@pytest.fixture
def reader(site: Path, browser: Browser) -> Iterator[Visit]:
    """Somebody who reads the site."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(site))) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            with visit(browser, f"http://127.0.0.1:{server.server_port}") as made:
                yield made
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("path", ["/index.html", "/tables.html", "/tutorials/1_first_result.html", "/status.html"])
def test_a_page_loads_without_anybody_else(reader: Visit, path: str) -> None:
    page = reader.go(path)
    page.wait_for_load_state("networkidle")
    assert page.locator("h1").count() == 1
    assert reader.elsewhere == []
    assert reader.complaints == []


def test_the_search_finds_a_page(reader: Visit) -> None:
    page = reader.go("/index.html")
    page.keyboard.press("/")
    page.keyboard.type("infer_output_dir file_id order")
    found = page.locator(".md-search-result__link[href*='element-file-order']")
    found.first.wait_for(state="attached")
    assert reader.elsewhere == []
