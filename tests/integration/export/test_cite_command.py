"""`fmdj cite` tells whom to cite for results that are there, by what their manifests say."""

from __future__ import annotations

import json
import logging

import pytest

from fmdj_cloud.cli import app
from tests.integration.export.conftest import Recorded
from tests.integration.load.killing import settings_json

pytestmark = pytest.mark.integration


@pytest.fixture
def call(recorded: Recorded, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Calls `fmdj` with the lab's settings."""
    path = recorded.folder / "settings.json"
    path.write_text(settings_json(recorded.pose))
    monkeypatch.setenv("FMDJ_CONFIG", str(path))

    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["fmdj", *words])
        try:
            code = app.main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        finally:
            root.handlers[:] = handlers
            root.setLevel(level)
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def test_results_of_a_recording_are_cited_with_their_versions(call) -> None:
    code, out, _ = call("cite", "subject=m1", "-o", "json")
    assert code == 0
    said = json.loads(out)
    assert said["results"] == 2
    assert said["versions"]["facemap"] == ["1.0.8"]
    assert {work["name"] for work in said["works"]} >= {"stringer2019", "syeda2024", "yatsenko2015", "fmdjcloud"}
    assert said["notes"] == []


def test_poses_alone_in_words_and_for_bibtex(call) -> None:
    code, out, _ = call("cite", "subject=m1", "--kind", "pose")
    assert code == 0
    assert out.startswith("1 result, computed by facemap 1.0.8")
    assert "Syeda, Atika" in out
    assert "Stringer, Carsen; Pachitariu, Marius; Steinmetz" not in out
    code, out, _ = call("cite", "subject=m1", "--kind", "pose", "--bibtex")
    assert out.startswith("@article{syeda2024,")


def test_without_a_result_there_is_nothing_to_cite(call) -> None:
    code, _, err = call("cite", "subject=nobody")
    assert code == 2
    assert "No task matches" in err
