"""Pictures of a run's signals on its page: drawn from the outputs that its manifest names, and kept for a while."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import io
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from fmdj_cloud.contracts import ManifestFile, Origin, RunRecord, SignalOrigin
from fmdj_cloud.errors import StorageError, UsageError
from fmdj_cloud.names import attempt_folder
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.serve.page import pictures as module
from fmdj_cloud.serve.page.looking import Looker
from fmdj_cloud.serve.page.model import RunPage
from fmdj_cloud.serve.page.pictures import Pictures
from fmdj_cloud.settings import PageSettings
from tests.support.page.site import Site
from tests.support.report.files import write_svd

pytestmark = pytest.mark.integration
SIGNALS = ("avgframe", "motSVD", "motion", "pupil")


@pytest.fixture
def site(browser_site: tuple[Site, dict[str, RunRecord], str]) -> Site:
    return browser_site[0]


@pytest.fixture
def page(site: Site, tmp_path: Path) -> RunPage:
    """A loaded run whose outputs are there."""
    run = next(run for run in site.world.ledger.runs() if run.state == "loaded")
    with contextlib.closing(Database(site.world.settings.database)) as database:
        found = Looker(site.world.settings, database, site.world.store).run(run.run_id)
    data = write_svd(tmp_path / "signals.h5").read_bytes()
    uri = f"{attempt_folder(run.output_dir, run.attempt)}/w1/drawn.h5"
    site.world.store.put_bytes(uri, data)
    assert found.manifest is not None
    file = ManifestFile(path="w1/drawn.h5", role="signals", size=len(data), sha256=hashlib.sha256(data).hexdigest())
    signals = tuple(SignalOrigin(signal=name, origin=Origin.TURBO) for name in SIGNALS)
    manifest = found.manifest.model_copy(update={"files": (file,), "signals": signals})
    return found.model_copy(update={"manifest": manifest, "signals_uri": uri, "signals_size": len(data)})


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(imread(io.BytesIO(png)))


def test_a_run_has_the_pictures_that_its_signals_make(site: Site, page: RunPage) -> None:
    pictures = Pictures(site.world.store, PageSettings())
    assert [one.name for one in pictures.of(page)] == ["mean-frame", "masks", "traces"]
    for one in pictures.of(page):
        light = pixels(asyncio.run(pictures.draw(page, one.name, "light")))
        assert light.std() > 0.01
    dark = pixels(asyncio.run(pictures.draw(page, "traces", "dark")))
    assert dark[0, 0, :3].max() < 0.2 < 0.8 < light[0, 0, :3].min()


def test_there_are_none_of_outputs_that_are_too_large_or_missing(site: Site, page: RunPage) -> None:
    assert Pictures(site.world.store, PageSettings(picture_mib=0)).of(page) == ()
    assert Pictures(site.world.store, PageSettings()).of(page.model_copy(update={"manifest": None})) == ()


def test_what_there_isnt_is_said(site: Site, page: RunPage) -> None:
    pictures = Pictures(site.world.store, PageSettings())
    for name, theme in (("keypoints", "light"), ("odd", "light"), ("masks", "odd")):
        with pytest.raises(UsageError):
            asyncio.run(pictures.draw(page, name, theme))
    gone = page.model_copy(update={"signals_uri": f"{page.signals_uri}.gone"})
    with pytest.raises(StorageError):
        asyncio.run(pictures.draw(gone, "masks", "light"))


def test_the_page_does_without_where_nothing_draws(site: Site, page: RunPage, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(name="matplotlib")

    monkeypatch.setattr(module.importlib, "import_module", missing)
    assert Pictures(site.world.store, PageSettings()).of(page) == ()
