"""The status page in Debian's Chromium: it shows news by itself, can be used by everybody, and asks nobody else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from fmdj_cloud.contracts import FailureClass, RunRecord
from tests.support.page.browser import Visit, chromium, visit
from tests.support.page.site import Site

pytestmark = pytest.mark.integration
expect.set_options(timeout=20_000)
PHONE = {"width": 375, "height": 700}
Visitor = Callable[..., Visit]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        if found is None:
            pytest.skip("chromium isn't installed: as root, run tests/install_chromium.sh")
        yield found


@pytest.fixture
def site(browser_site: tuple[Site, dict[str, RunRecord], str]) -> Site:
    return browser_site[0]


@pytest.fixture
def runs(browser_site: tuple[Site, dict[str, RunRecord], str]) -> dict[str, RunRecord]:
    return browser_site[1]


@pytest.fixture
def visitor(browser: Browser, browser_site: tuple[Site, dict[str, RunRecord], str]) -> Iterator[Visitor]:
    """Lets somebody visit; whatever they did, the browser complained of nothing and asked nobody else."""
    made: list[tuple[Any, Visit]] = []

    def make(**options: Any) -> Visit:
        entering = visit(browser, browser_site[2], **options)
        made.append((entering, entering.__enter__()))
        return made[-1][1]

    yield make
    for entered, found in made:
        entered.__exit__(None, None, None)
        assert found.complaints == []
        assert found.elsewhere == []


def live(page: Page, place: str) -> Any:
    return page.locator(f'[data-live="{place}"]').first


def pages_of(runs: dict[str, RunRecord]) -> list[str]:
    shown = (f"/runs/{runs[name].run_id}" for name in ("loaded", "memory", "launched"))
    return ["/", "/runs?state=failed", "/failures", "/nowhere", *shown]


def test_progress_is_seen_while_the_page_is_open(visitor: Visitor, site: Site) -> None:
    run = site.launched()
    site.report(run, 6_000)
    page = visitor().go("/")
    page.evaluate("window.opened = 1")
    expect(live(page, f"progress.{run.run_id}")).to_contain_text("6000/60000 frames, 412 frames/s")
    expect(page.locator("#live-state")).to_have_text("Kept up to date.")
    site.report(run, 45_000)
    expect(live(page, f"progress.{run.run_id}")).to_contain_text("45000/60000 frames, 412 frames/s, 36 s to go")
    assert page.locator(f'[data-bar="{run.run_id}"]').evaluate("bar => bar.value") == 0.75
    site.fail(run, FailureClass.GPU, "The GPU fell off the bus.")
    expect(page.locator(f"tr:has(#run-{run.run_id})")).to_contain_text("The GPU fell off the bus.")
    assert page.evaluate("window.opened") == 1, "the page was loaded anew, not kept up to date"


def test_a_new_run_appears_by_itself(visitor: Visitor, site: Site) -> None:
    page = visitor().go("/")
    expect(page.locator("#live-state")).to_have_text("Kept up to date.")
    run = site.planned()
    expect(page.locator(f"#run-{run.run_id}")).to_be_visible()


def test_a_run_that_fails_says_what_to_do_on_its_open_page(visitor: Visitor, site: Site) -> None:
    run = site.launched()
    page = visitor().go(f"/runs/{run.run_id}")
    expect(page.locator("#live-state")).to_have_text("Kept up to date.")
    site.fail(run, FailureClass.MEMORY, "The worker was killed for memory at 65536 MiB.")
    expect(page.locator(".trouble")).to_contain_text("killed for memory at 65536 MiB")
    expect(page.locator(".trouble .advice")).to_contain_text("What to do: It needs more memory than its cap allows")


def test_runs_are_filtered_by_keyboard(visitor: Visitor, runs: dict[str, RunRecord]) -> None:
    page = visitor().go("/runs")
    page.get_by_label("State").select_option("failed")
    page.get_by_label("Failure class").select_option("memory")
    page.get_by_label("subject").fill("m1")
    page.get_by_label("session_id").fill("1")
    page.get_by_label("session_id").press("Enter")
    page.wait_for_url("**/runs?*class=memory*")
    expect(page.locator(f"#run-{runs['memory'].run_id}")).to_be_visible()
    expect(page.locator(f"#run-{runs['input'].run_id}")).to_have_count(0)
    page.get_by_label("subject").fill("nobody")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("#live")).to_contain_text("0 runs found")


def test_a_failed_run_is_two_steps_from_the_first_page(visitor: Visitor, runs: dict[str, RunRecord]) -> None:
    page = visitor().go("/")
    page.get_by_role("link", name="What failed, and what to do").click()
    expect(page.locator("h1")).to_have_text("Failures")
    expect(page.locator("section:has(#class-input)")).to_contain_text("Correct the video or the task's parameters")
    page.locator(f"#run-{runs['input'].run_id}").click()
    expect(page.locator(".trouble")).to_contain_text("export it again")
    expect(page.locator("pre")).to_contain_text("ERROR cam.avi has 58 decodable frames")


def test_the_page_works_without_scripts(visitor: Visitor, runs: dict[str, RunRecord]) -> None:
    page = visitor(java_script_enabled=False).go("/")
    expect(page.locator(f"#run-{runs['loaded'].run_id}")).to_be_visible()
    expect(page.locator("#live-state")).to_have_text("Reload the page for news.")
    page.get_by_role("link", name="Runs", exact=True).click()
    page.get_by_label("State").select_option("loaded")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("tbody tr")).to_have_count(1)


def test_nothing_is_wrong_for_those_who_see_hear_or_move_otherwise(
    visitor: Visitor, runs: dict[str, RunRecord]
) -> None:
    guest, faults = visitor(), {}
    for path in pages_of(runs):
        guest.go(path)
        faults[path] = guest.accessibility_faults()
        guest.page.emulate_media(color_scheme="dark")
        faults[f"{path}, dark"] = guest.accessibility_faults("color-contrast")
        guest.page.emulate_media(color_scheme="light")
    guest.page.set_viewport_size(PHONE)
    for path in ("/", f"/runs/{runs['loaded'].run_id}"):
        guest.go(path)
        faults[f"{path} on a phone"] = guest.accessibility_faults()
        assert guest.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{path} is too wide"
    guest.complaints.clear()  # the browser says that /nowhere isn't there
    assert {path: found for path, found in faults.items() if found} == {}


def test_the_keyboard_reaches_the_content_first(visitor: Visitor) -> None:
    page = visitor().go("/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_what_has_the_focus_keeps_it_when_the_page_changes(visitor: Visitor, site: Site) -> None:
    run = site.planned()
    page = visitor().go("/")
    page.locator(f"#run-{run.run_id}").focus()
    expect(page.locator("#live-state")).to_have_text("Kept up to date.")
    other = site.planned()
    expect(page.locator(f"#run-{other.run_id}")).to_be_visible()
    assert page.evaluate("document.activeElement.id") == f"run-{run.run_id}"


def test_nothing_moves_for_those_who_ask_for_it(visitor: Visitor, site: Site) -> None:
    page = visitor(reduced_motion="reduce").go("/")
    number = live(page, "count.ready")
    before = int(number.inner_text())
    site.planned()
    expect(number).to_have_text(str(before + 1))
    assert (
        page.locator(".changed").count() == 0 or number.evaluate("one => getComputedStyle(one).animationName") == "none"
    )


def test_words_of_others_are_words(visitor: Visitor, site: Site) -> None:
    words = "<script>document.title = 'mine'</script><img src=x onerror=\"document.title = 'mine'\">"
    run = site.failed(FailureClass.CRASH, words)
    page = visitor().go(f"/runs/{run.run_id}")
    expect(page.locator(".trouble")).to_contain_text(words)
    assert page.title() == f"Run {run.run_id} - fmdj"
