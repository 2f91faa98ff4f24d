"""Secrets that everybody is given, and that must come out nowhere."""

from __future__ import annotations

import json
import logging
import traceback

import pytest
from pydantic import SecretStr

from fmdj_cloud.control.gc.run import housekeep
from fmdj_cloud.errors import ConfigError
from fmdj_cloud.logs import configure_logging
from fmdj_cloud.settings import load_settings
from fmdj_cloud.storage import open_store

pytestmark = [pytest.mark.integration, pytest.mark.parametrize("database_server", ["postgres"], indirect=True)]
PASSWORD, KEY, TOKEN = "canary-of-the-database", "canary-of-the-bucket", "canary-of-the-session"
CANARIES = (PASSWORD, KEY, TOKEN)


@pytest.fixture
def canaries(site, monkeypatch):
    """The site, whose credentials are canaries; its servers take any."""
    monkeypatch.setenv("FMDJ_STORAGE__S3__SECRET_ACCESS_KEY", KEY)
    monkeypatch.setenv("FMDJ_STORAGE__S3__SESSION_TOKEN", TOKEN)
    s3 = site.world.settings.storage.s3.model_copy(
        update={"secret_access_key": SecretStr(KEY), "session_token": SecretStr(TOKEN)}
    )
    storage = site.world.settings.storage.model_copy(update={"s3": s3})
    database = site.world.settings.database.model_copy(update={"password": SecretStr(PASSWORD)})
    settings = site.world.settings.model_copy(update={"storage": storage})
    return site, settings, database


def logging_as_in_a_cluster(monkeypatch):
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", root.handlers[:])
    monkeypatch.setattr(root, "level", root.level)
    configure_logging("DEBUG", "json")


def found_in(text):
    return [canary for canary in CANARIES if canary in text]


def test_nothing_that_a_run_leaves_holds_a_secret(canaries, capsys, monkeypatch):
    site, settings, _ = canaries
    logging_as_in_a_cluster(monkeypatch)
    key = site.world.insert_task()
    site.until(site.controller(settings), key, "published")
    folder = site.world.attempt_of(key).folder
    store = open_store(settings.storage)
    things = [store.get_bytes(info.uri, max_bytes=1 << 20).decode(errors="replace") for info in store.list(folder)]
    assert any('"spec_sha256"' in thing for thing in things), "the manifest was looked at"
    ledger = site.world.ledger
    rows = [run.model_dump_json() for run in ledger.runs()]
    rows += [one.model_dump_json() for run in ledger.runs() for one in ledger.attempts(run.run_id)]
    printed = capsys.readouterr()
    assert printed.err, "there were logs"
    assert found_in("\n".join([*things, *rows, printed.out, printed.err])) == []


@pytest.mark.parametrize(
    "words",
    [
        ("status",),
        ("explain", "recording_id=1"),
        ("doctor",),
        ("doctor", "-o", "json"),
        ("grants",),
        ("gc",),
        ("plan",),
        ("bug-report", "--help"),
    ],
)
def test_no_command_prints_one(canaries, words):
    site, _, _ = canaries
    site.world.insert_task()
    answer = site.run(*words)
    assert answer.out or answer.err
    assert found_in(answer.out + answer.err) == []


@pytest.mark.parametrize("debug", [(), ("--debug",)])
def test_neither_a_refused_password_nor_its_traceback_shows_it(canaries, monkeypatch, capsys, debug):
    site, _, _ = canaries
    monkeypatch.setenv("FMDJ_DATABASE__HOST", "127.0.0.1")
    monkeypatch.setenv("FMDJ_DATABASE__PORT", "1")
    monkeypatch.setenv("FMDJ_DATABASE__PASSWORD", PASSWORD)
    shown = ""
    try:
        answer = site.run(*debug, "status")
        shown = answer.out + answer.err
    except Exception as error:
        shown = "".join(traceback.format_exception(error))
    assert shown
    assert found_in(shown + capsys.readouterr().err) == []


def test_settings_show_stars(canaries, monkeypatch, tmp_path):
    site, settings, database = canaries
    shown = [repr(settings), str(settings), repr(database), database.model_dump_json(), settings.model_dump_json()]
    assert found_in("".join(shown)) == []
    monkeypatch.setenv("FMDJ_CONFIG", str(site.folder / "config.yaml"))
    monkeypatch.setenv("FMDJ_DATABASE__PORT", "no number")
    monkeypatch.setenv("FMDJ_DATABASE__PASSWORD", PASSWORD)
    with pytest.raises(ConfigError) as wrong:
        load_settings()
    assert found_in(str(wrong.value) + repr(wrong.value.__cause__)) == []


def test_housekeeping_tells_none(canaries):
    site, settings, _ = canaries
    world = site.world
    key = world.insert_task()
    run = site.until(site.controller(settings), key, "published")
    assert world.ledger.supersede(run.run_id, run.state, run.attempt, "for the test")
    now = world.ledger.database.now()
    lines = housekeep(settings, world.ledger, [world.lab], world.store, site.launcher(), now=now, delete=False)
    assert found_in(json.dumps([line.model_dump(mode="json") for line in lines])) == []
