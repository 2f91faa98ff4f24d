"""HTML from what the pages show; everything is escaped, nothing is taken for HTML."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from fmdj_cloud import __version__
from fmdj_cloud.contracts import FailureClass, RunState
from fmdj_cloud.control.advice import ADVICE
from fmdj_cloud.control.words import duration_text
from fmdj_cloud.serve.page.model import ACTIVE
from fmdj_cloud.serve.page.news import leader_text, queue_text, run_text, share

_CODE = re.compile(r"`([^`]+)`")


def render(template: str, **values: Any) -> str:
    """Return a page.

    Parameters
    ----------
    template : str
        Its name without the ending.
    **values
        What it shows.
    """
    return _ENVIRONMENT.get_template(f"{template}.html").render(**values)


def _size(size: float) -> str:
    """Return bytes as people say them."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024 or unit == "GiB":
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    raise AssertionError


def _prose(text: str) -> Markup:
    """Return a sentence for people, with what stands between backquotes as code; all of it escaped."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped in the same line


def _moment(time: dt.datetime | None) -> str:
    """Return a time of the database's clock for people."""
    return "" if time is None else f"{time:%Y-%m-%d %H:%M:%S}"


def _machine(time: dt.datetime) -> str:
    """Return a time of the database's clock, which is UTC, for programs."""
    return f"{time:%Y-%m-%dT%H:%M:%S}Z"


def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("fmdj_cloud.serve.page", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "duration": duration_text,
        "machine": _machine,
        "moment": _moment,
        "prose": _prose,
        "queue": queue_text,
        "run_text": run_text,
        "share": share,
        "size": _size,
    }
    made.globals |= {
        "ACTIVE": ACTIVE,
        "ADVICE": ADVICE,
        "CLASSES": list(FailureClass),
        "STATES": list(RunState),
        "leader_text": leader_text,
        "version": __version__,
    }
    return made


_ENVIRONMENT = _environment()
