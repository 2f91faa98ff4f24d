"""`fmdj report` writes one file that holds everything, from signals.h5, or from rows where that is gone."""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from fmdj_cloud.cli import app
from fmdj_cloud.contracts import Kind
from fmdj_cloud.errors import UsageError
from fmdj_cloud.report.panels import panels
from fmdj_cloud.report.results import find_results, open_signals
from fmdj_cloud.report.signals import Signals
from tests.integration.export.conftest import POSE, SVD, Recorded
from tests.integration.load.killing import settings_json

pytestmark = pytest.mark.integration


class _Page(HTMLParser):
    """What a page has in it, and whether it is well made."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.headings: list[int] = []
        self.open: list[str] = []
        self.text: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = dict(attrs)
        self.links += [str(said[name]) for name in ("src", "srcset", "href") if name in said]
        if tag == "img":
            self.images.append(said)
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag not in ("meta", "img", "source"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.fixture
def fmdj(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    config = recorded.folder / "config.yaml"
    config.write_text(settings_json(recorded.pose))  # JSON is YAML
    monkeypatch.setenv("FMDJ_CONFIG", str(config))
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level

    def run(*words: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["fmdj", *words])
        capsys.readouterr()
        try:
            code = int(app.main())
        except SystemExit as end:
            code = int(end.code or 0)
        finally:
            root.handlers[:] = handlers
            root.setLevel(level)
        said = capsys.readouterr()
        return code, said.out + said.err

    return run


def test_a_report_of_a_session_is_one_file_that_asks_for_nothing(
    recorded: Recorded, fmdj: Callable[..., tuple[int, str]]
) -> None:
    folder = recorded.folder / "report"
    run = next(run for run in recorded.ledger.runs() if run.task_kind == Kind.SVD)
    code, said = fmdj("report", run.run_id, "--session", "--output-dir", str(folder), "-o", "json")
    assert code == 0
    told = json.loads(said)
    assert told["page"] == str(folder / "report.html")
    names = {Path(path).name.removeprefix(f"{run.run_id}-") for path in told["pictures"]}
    assert {"mean-frame.png", "masks.png", "traces.png"} <= names
    assert len(told["pictures"]) == 5  # keypoints and traces of the pose
    assert all(Path(path).read_bytes().startswith(b"\x89PNG") for path in told["pictures"])
    assert not list(folder.glob(".*"))

    text = (folder / "report.html").read_text("utf-8")
    page = _Page(text)
    assert page.open == []
    assert all(link.startswith(("data:image/png;base64,", "#")) for link in page.links)
    assert len(page.images) == 5
    assert all(image["alt"] for image in page.images)
    assert page.headings[0] == 1
    assert all(after <= before + 1 for before, after in zip(page.headings, page.headings[1:], strict=False))
    words = " ".join(page.text)
    for expected in (run.run_id, str(run.manifest_sha256), "repaired: F1", "1.0.8", "Syeda", "Pose model small"):
        assert expected in words
    check = recorded.ledger.quality(run.run_id)[0]
    assert check.check in words
    assert "http://" not in "".join(page.links)


def test_rows_say_what_the_file_does_and_take_its_place_where_it_is_gone(recorded: Recorded) -> None:
    results = {}
    for table, key in (("svd", SVD), ("pose", POSE)):
        (result,) = find_results((recorded.lab,), recorded.ledger, recorded.store, key)
        assert result.manifest is not None
        with open_signals(result, recorded.store, recorded.folder) as (signals, source):
            assert source == f"signals.h5 of run {result.manifest.run_id}"
            results[table] = _seen(signals)
    for info in list(recorded.store.list(f"{recorded.lab.settings.processed_root}/")):
        recorded.store.delete(info.uri)
    for table, key in (("svd", SVD), ("pose", POSE)):
        (result,) = find_results((recorded.lab,), recorded.ledger, recorded.store, key)
        assert "is gone" in result.problem
        with open_signals(result, recorded.store, recorded.folder) as (signals, source):
            assert source.startswith("the rows in the database.")
            assert (signals.nframes, signals.fps) == (60, 29)  # the Element cuts 29.97
            seen = _seen(signals)
        whole = results[table]
        # The file has the points of both views, the rows those of the one that was loaded
        told = {name.replace(" (view 1)", ""): found for name, found in whole.items() if "(view 0)" not in name}
        assert seen.keys() == told.keys()
        for name, found in seen.items():
            np.testing.assert_array_equal(found, told[name])


def test_rows_that_are_no_pictures_are_said_and_hide_no_others(
    recorded: Recorded, fmdj: Callable[..., tuple[int, str]]
) -> None:
    for info in list(recorded.store.list(f"{recorded.lab.settings.processed_root}/")):
        recorded.store.delete(info.uri)
    element = recorded.lab.element
    (key,) = (element.Summary & SVD).keys()
    element.Summary.update1({**key, "avgframe": np.arange(12.0)})  # as Facemap's own `avgframe`
    masks = (element.MotionSVD & SVD).keys()
    for one in masks:
        element.MotionSVD.update1({**one, "motmask": np.arange(12.0)})
    out = recorded.folder / "odd"
    words = [f"{name}={value}" for name, value in SVD.items()]
    code, said = fmdj("report", *words, "--output-dir", str(out))
    assert code == 0, said
    assert [path.name for path in out.glob("*.png")] != []
    assert all(path.name.endswith("-traces.png") for path in out.glob("*.png"))
    assert "The mean frame is of shape (12,), not a picture" in " ".join(said.split())
    assert "motmask" in said


def _seen(signals: Signals) -> dict[str, np.ndarray]:
    """All that is drawn, by name."""
    found = {panel.name: np.stack([line.read(5, 55) for line in panel.lines]) for panel in panels(signals)}
    for region in signals.regions():
        if count := signals.n_components(region.roi_no, "mot"):
            found[f"masks {region.roi_no}"] = signals.masks(region.roi_no, "mot", 0, count)
        found[f"place {region.roi_no}"] = np.concatenate([region.yrange, region.xrange])
    if (summary := signals.summary()) is not None:
        found["summary"] = np.stack(summary)
    return found


def test_outputs_that_were_not_loaded_can_be_looked_at_and_others_are_said(
    recorded: Recorded, fmdj: Callable[..., tuple[int, str]]
) -> None:
    run = recorded.svd.publish(_at(recorded, 7).insert_task(), content="other")
    (result,) = find_results((recorded.lab,), recorded.ledger, recorded.store, {"run_id": run.run_id})
    assert not result.has_rows
    code, said = fmdj("report", run.run_id, "--output-dir", str(recorded.folder / "unloaded"))
    assert code == 0
    assert "shows 1 result;" in said.replace("\n", " ")

    key = _at(recorded, 8).insert_task()
    with pytest.raises(UsageError, match=r"has no result yet: `fmdj explain"):
        find_results((recorded.lab,), recorded.ledger, recorded.store, key)
    assert fmdj("report")[0] == 2
    code, said = fmdj("cite", "--bibtex")
    assert code == 0
    assert said.count("@article{") == 4


def _at(recorded: Recorded, number: int):
    recorded.svd.tasks = number
    return recorded.svd
