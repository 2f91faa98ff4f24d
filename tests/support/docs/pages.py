"""README, CONTRIBUTING and docs/ as tests look at them: links, anchors, blocks of code, words between backticks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[3]
_CONSOLE = re.compile(r"^\$ ", re.M)


@dataclass(frozen=True)
class Block:
    """Lines between fences: ``language`` is what stands behind the first."""

    page: str
    line: int
    language: str
    text: str


@dataclass(frozen=True)
class Page:
    """One Markdown file; ``path`` is relative to the repository."""

    path: Path

    @property
    def name(self) -> str:
        return str(self.path)

    @cached_property
    def text(self) -> str:
        return (ROOT / self.path).read_text("utf-8")

    @cached_property
    def _tokens(self) -> list[Token]:
        return MarkdownIt("commonmark").enable("table").parse(self.text)

    def links(self) -> Iterator[str]:
        """Where its links and pictures lead to."""
        for token in self._inline():
            target = token.attrGet("href") if token.type == "link_open" else token.attrGet("src")
            if isinstance(target, str):
                yield target

    def anchors(self) -> set[str]:
        """What a link may have behind its #."""
        made: set[str] = set()
        for before, token in zip(self._tokens, self._tokens[1:], strict=False):
            if before.type == "heading_open":
                words = "".join(
                    child.content for child in token.children or () if child.type in ("text", "code_inline")
                )
                slug = re.sub(r"[\s]+", "-", re.sub(r"[^\w\s-]", "", words).strip().lower())
                made.add(slug)
        return made

    def blocks(self) -> Iterator[Block]:
        """Its blocks of code."""
        for token in self._tokens:
            if token.type == "fence":
                yield Block(self.name, (token.map or [0])[0] + 1, token.info.strip(), token.content)

    def code(self) -> Iterator[str]:
        """What stands between backticks."""
        for token in self._inline():
            if token.type == "code_inline":
                yield token.content

    def commands(self) -> Iterator[tuple[int, str]]:
        """Command lines with the line they begin in: of blocks without a language, or ``console`` behind ``$``."""
        for block in self.blocks():
            if block.language not in ("", "console", "bash", "sh"):
                continue
            lines = block.text.splitlines()
            if not _is_commands(block):
                continue
            joined, start = "", 0
            for number, line in enumerate(lines, block.line + 1):
                if block.language == "console" and not joined:
                    if not line.startswith("$ "):
                        continue
                    line = line[2:]
                start = start if joined else number
                joined += line.rstrip().removesuffix("\\") if line.rstrip().endswith("\\") else line
                if line.rstrip().endswith("\\"):
                    continue
                command = re.sub(r"(^|\s)#(\s.*)?$", "", joined).strip()
                joined = ""
                if command:
                    yield start, command

    def _inline(self) -> Iterator[Token]:
        for token in self._tokens:
            yield from token.children or ()


def _is_commands(block: Block) -> bool:
    """Tell a block of commands from a drawing: what is one begins with a word in lower case."""
    first = block.text.lstrip().split("\n")[0]
    return block.language != "" or re.match(r"[a-z][\w-]*(=\S+)?( |$)", first) is not None


def pages() -> list[Page]:
    """Every page that people read: README and CONTRIBUTING, docs/ and news/."""
    found = [Path("README.md"), Path("CONTRIBUTING.md"), Path("news/README.md")]
    found += sorted(path.relative_to(ROOT) for path in (ROOT / "docs").rglob("*.md"))
    return [Page(path) for path in found]


def written() -> list[Page]:
    """Those that people wrote: others come from the code."""
    return [
        page
        for page in pages()
        if "Written by `python docs/reference.py`" not in page.text and page.path.name != "cli.md"
    ]
