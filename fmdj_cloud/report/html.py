"""A report as one HTML file that asks for nothing else."""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from fmdj_cloud import __version__
from fmdj_cloud.contracts import QualityCheck


@dataclass(frozen=True)
class Picture:
    """A picture in both themes.

    Attributes
    ----------
    name : str
        Of its file.
    title, caption, alt : str
    light, dark : bytes
        PNG.
    """

    name: str
    title: str
    caption: str
    alt: str
    light: bytes
    dark: bytes


@dataclass(frozen=True)
class Part:
    """One result.

    Attributes
    ----------
    stem : str
        That files of its pictures begin with.
    title, words : str
    notes : tuple of str
    pictures : tuple of Picture
    quality : tuple of QualityCheck
        The worst first.
    provenance : tuple of (str, str)
    origins : tuple of (str, str, str, str)
    """

    stem: str
    title: str
    words: str
    notes: tuple[str, ...]
    pictures: tuple[Picture, ...]
    quality: tuple[QualityCheck, ...]
    provenance: tuple[tuple[str, str], ...]
    origins: tuple[tuple[str, str, str, str], ...]


def report_html(title: str, parts: Sequence[Part], works: Sequence[str], now: dt.datetime) -> str:
    """Return a report.

    Parameters
    ----------
    title : str
    parts : sequence of Part
    works : sequence of str
        What to cite.
    now : datetime
        UTC.
    """
    page = _environment().get_template("report.html.jinja")
    written = f"{now:%Y-%m-%d %H:%M}"
    return page.render(title=title, parts=parts, works=works, version=__version__, written=written)


def _environment() -> Environment:
    loader = PackageLoader("fmdj_cloud.report")
    made = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    made.filters["b64"] = lambda data: Markup(base64.b64encode(data).decode("ascii"))  # noqa: S704 - letters and digits
    made.filters["short"] = lambda value: "" if value is None else f"{value:.6g}"
    return made
