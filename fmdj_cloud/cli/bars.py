"""Bars for what takes a while: on standard error, and only where that is a terminal."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from fmdj_cloud.cli.views import escape


def drawn_on(console: Console) -> bool:
    """Tell whether there is a screen to draw on: notebooks set FORCE_COLOR, which rich alone takes for a terminal."""
    return console.is_terminal and console.file.isatty()


@contextlib.contextmanager
def steps(title: str, total: int | None = None, *, on: Console | None = None) -> Iterator[Callable[[str], None]]:
    """Show a bar of steps.

    Parameters
    ----------
    title : str
    total : int or None
        Steps in all; None where nobody knows, and the bar only moves.
    on : Console, optional
        Standard error by default.

    Yields
    ------
    callable
        To be called with the name of each step when it begins.
    """
    console = on or Console(stderr=True)
    if not drawn_on(console):
        yield lambda _: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(title, total=total)
        begun = 0

        def step(name: str) -> None:
            nonlocal begun
            progress.update(task, description=f"{title} {escape(name)}", completed=begun)
            begun += 1

        yield step


@contextlib.contextmanager
def amount(title: str, *, on: Console | None = None) -> Iterator[Callable[[int, int], None]]:
    """Show a bar of bytes.

    Parameters
    ----------
    title : str
    on : Console, optional
        Standard error by default.

    Yields
    ------
    callable
        To be called with bytes done and bytes in all.
    """
    console = on or Console(stderr=True)
    if not drawn_on(console):
        yield lambda _done, _total: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(title, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
