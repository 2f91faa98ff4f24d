"""Debian's Chromium without a window, and what it noticed while it showed a page."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, sync_playwright

ARGUMENTS = ("--no-sandbox", "--disable-dev-shm-usage")
"""Containers give root no sandbox, and little shared memory."""


@contextlib.contextmanager
def chromium() -> Iterator[Browser | None]:
    """The browser; None where it isn't installed (``tests/install_chromium.sh``)."""
    program = shutil.which("chromium")
    if program is None:
        yield None
        return
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Visit:
    """A page that is open, and what the browser noticed."""

    page: Page
    address: str
    complaints: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)
    """Requests to anybody but the page's own server."""

    def go(self, path: str) -> Page:
        """Open a page of the server's."""
        self.page.goto(f"{self.address}{path}")
        return self.page

    def accessibility_faults(self, *rules: str) -> list[str]:
        """What axe finds wrong with what is shown, by all of its rules or by some."""
        options = {"runOnly": list(rules)} if rules else None
        found = Axe().run(self.page, options=options).response["violations"]
        return [f"{one['id']}: {one['help']}: {[node['html'][:120] for node in one['nodes']][:3]}" for one in found]

    def hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def see(self, request: Request) -> None:
        if not request.url.startswith((f"{self.address}/", "data:")):
            self.elsewhere.append(request.url)


@contextlib.contextmanager
def visit(browser: Browser, address: str, **options: Any) -> Iterator[Visit]:
    """A visitor with nothing remembered; options are those of a context of Playwright's."""
    context = browser.new_context(**options)
    context.set_default_timeout(20_000)
    found = Visit(context.new_page(), address)
    found.page.on("console", found.hear)
    found.page.on("pageerror", lambda error: found.complaints.append(str(error)))
    found.page.on("request", found.see)
    try:
        yield found
    finally:
        context.close()
