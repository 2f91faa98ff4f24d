"""A report fits into an issue, whatever is in it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fmdj_cloud.trouble.blame import Evidence, whose
from fmdj_cloud.trouble.page import LIMIT, Section, bug_report

BLAME = whose(Evidence())
_TEXTS = st.lists(st.tuples(st.text(max_size=400), st.booleans()), max_size=6)


@given(_TEXTS, st.integers(2_000, 4_000))
def test_it_is_never_longer_than_the_limit(texts: list[tuple[str, bool]], limit: int) -> None:
    sections = [Section(f"part {number}", text * 9, "", end) for number, (text, end) in enumerate(texts)]
    page = bug_report(BLAME, "It failed.", sections, limit)
    assert len(page) <= limit
    assert page.count("<details>") >= len(sections)


def test_short_parts_stay_whole_and_the_end_of_a_log_counts() -> None:
    sections = [Section("Versions", "numpy 1\n"), Section("Log", "x" * 100_000 + "END", keep_end=True)]
    page = bug_report(BLAME, "It failed.", sections)
    assert "numpy 1\n" in page
    assert "END\n```" in page
    assert "characters left out" in page
    assert LIMIT - 200 < len(page) <= LIMIT


def test_a_text_with_fences_does_not_end_its_own() -> None:
    page = bug_report(BLAME, "It failed.", [Section("Log", "a\n```\nb\n")])
    assert "````\na\n```\nb\n````" in page


def test_it_says_where_it_goes_first() -> None:
    page = bug_report(BLAME, "It failed.", [])
    assert page.startswith(f"<!-- For fmdj-cloud: {BLAME.issues} -->")
    assert BLAME.why in page
