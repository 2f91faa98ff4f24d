"""Pictures of what a run has computed: those of ``fmdj report``, where what draws them is installed."""

from __future__ import annotations

import functools
import importlib
import logging
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fmdj_cloud.contracts import Frozen, Manifest
from fmdj_cloud.errors import UsageError
from fmdj_cloud.serve.page.desk import Desk
from fmdj_cloud.serve.page.model import RunPage
from fmdj_cloud.settings import PageSettings
from fmdj_cloud.signals_h5 import SignalsReader
from fmdj_cloud.signals_h5.vetting import vet
from fmdj_cloud.storage import Store

_log = logging.getLogger(__name__)
_KEPT_S = 600.0
"""A picture is drawn again after so long; outputs of a manifest don't change."""
_SHOWS = {
    "mean-frame": frozenset({"avgframe"}),
    "masks": frozenset({"motSVD"}),
    "keypoints": frozenset({"pose"}),
    "traces": frozenset({"motion", "pupil", "blink", "running", "pose"}),
}
"""Which signals a manifest must name for a picture to be."""


class Picture(Frozen):
    """One picture."""

    name: str
    title: str
    caption: str


class Pictures:
    """Draws pictures of runs' signals, one at a time, in a thread of its own.

    Parameters
    ----------
    store : Store
    settings : PageSettings
    """

    def __init__(self, store: Store, settings: PageSettings) -> None:
        self._store = store
        self._most = settings.picture_mib << 20
        self._workdir = settings.workdir
        self._desk = Desk(_KEPT_S)
        self._drawings, self._themes = _drawings()

    def of(self, page: RunPage) -> tuple[Picture, ...]:
        """Return the pictures that there are of a run; nothing is drawn."""
        if page.manifest is None or not 0 < page.signals_size <= self._most:
            return ()
        signals = {origin.signal for origin in page.manifest.signals}
        return tuple(
            Picture(name=name, title=drawing.title, caption=drawing.caption)
            for name, drawing in self._drawings.items()
            if signals & _SHOWS.get(name, frozenset())
        )

    async def draw(self, page: RunPage, name: str, theme: str) -> bytes:
        """Return a picture as PNG.

        Parameters
        ----------
        page : RunPage
        name : str
        theme : str
            ``light`` or ``dark``.

        Raises
        ------
        UsageError
            If there is no such picture.
        """
        known = {picture.name for picture in self.of(page)}
        if page.manifest is None or name not in known or theme not in self._themes:
            raise UsageError(f"There is no picture {name!r} of {page.run.run_id}.")
        made = await self._desk.ask(
            (page.manifest_sha256, name, theme), functools.partial(self._draw, page, page.manifest, name, theme)
        )
        if made is None:
            raise UsageError(f"{page.run.run_id} has nothing to show as {name!r}.")
        return made

    def close(self) -> None:
        """Let the thread end."""
        self._desk.close()

    def _draw(self, page: RunPage, manifest: Manifest, name: str, theme: str) -> bytes | None:
        sha256 = next(file.sha256 for file in manifest.files if file.role == "signals")
        with tempfile.TemporaryDirectory(prefix="fmdj-page-", dir=self._workdir) as folder:
            path = Path(folder) / "signals.h5"
            self._store.download(page.signals_uri, path, size=page.signals_size, sha256=sha256)
            vet(path)
            with SignalsReader(path) as signals:
                made: bytes | None = self._drawings[name].draw(signals, manifest.views, self._themes[theme])
                return made


def _drawings() -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return what draws pictures, and its themes; nothing where that isn't installed."""
    try:
        pictures = importlib.import_module("fmdj_cloud.report.pictures")
        style = importlib.import_module("fmdj_cloud.report.style")
    except ModuleNotFoundError as error:
        _log.info("The page shows no pictures: %s isn't installed.", error.name)
        return {}, {}
    return pictures.DRAWINGS, {"light": style.LIGHT, "dark": style.DARK}
