"""A bug report as one Markdown page that fits into an issue: pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from fmdj_cloud.trouble.blame import Blame

LIMIT = 60_000
"""Characters; GitHub takes 65,536 in an issue."""
_LEFT_OUT = "[... {} characters left out ...]\n"


@dataclass(frozen=True)
class Section:
    """A part of a report.

    Attributes
    ----------
    title, text : str
    language : str
        Of the text, for its colours.
    keep_end : bool
        Which side counts where it is too long: the end of a log, the start of anything else.
    """

    title: str
    text: str
    language: str = ""
    keep_end: bool = False


def bug_report(blame: Blame, summary: str, sections: Sequence[Section], limit: int = LIMIT) -> str:
    """Return a report.

    Parameters
    ----------
    blame : Blame
        Where it goes, and why.
    summary : str
        One paragraph.
    sections : sequence of Section
    limit : int
        Characters at most. Of sections that are too long the middle or the start is left out, so that all have room.
    """
    head = (
        f"<!-- For {blame.project.value}: {blame.issues} -->\n"
        f"**For {blame.project.value}** ({blame.issues}). {blame.why}\n\n"
        "Please say what you did, what you expected, and what happened instead:\n\n\n"
        f"{summary}\n"
    )
    frames = sum(len(_framed(section, "")) for section in sections)
    texts = _fitted(
        [section.text for section in sections], [section.keep_end for section in sections], limit - len(head) - frames
    )
    return head + "".join(_framed(section, text) for section, text in zip(sections, texts, strict=True))


def _framed(section: Section, text: str) -> str:
    ticks = max((len(run) for run in re.findall(r"`{3,}", section.text)), default=2) + 1
    fence = "`" * ticks
    body = text if text.endswith("\n") or not text else f"{text}\n"
    title = f"<summary>{section.title}</summary>"
    return f"\n<details>{title}\n\n{fence}{section.language}\n{body}{fence}\n\n</details>\n"


def _fitted(texts: Sequence[str], keep_end: Sequence[bool], room: int) -> list[str]:
    """Cut the longest texts so that all together fit: short ones stay whole."""
    left = room - 2 * len(texts)  # a line's end each
    share: dict[int, int] = {}
    for place, number in enumerate(sorted(range(len(texts)), key=lambda one: len(texts[one]))):
        share[number] = min(len(texts[number]), max(0, left) // (len(texts) - place))
        left -= share[number]
    return [_cut(text, share[number], keep_end[number]) for number, text in enumerate(texts)]


def _cut(text: str, size: int, keep_end: bool) -> str:
    if len(text) <= size:
        return text
    mark = _LEFT_OUT.format(len(text) - size)
    kept = max(0, size - len(mark) - 12)  # the number may grow by a digit or so
    mark = _LEFT_OUT.format(len(text) - kept)
    if not kept:
        return mark if len(mark) <= size else ""
    return mark + text[-kept:] if keep_end else f"{text[:kept]}\n{mark}"
