from __future__ import annotations

import json
import logging
import traceback
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from fmdj_cloud.errors import ConfigError
from fmdj_cloud.settings import Settings, load_settings

PIPELINE = {
    "name": "lab",
    "behavior_schema": "lab_facial",
    "video_roots": ["s3://lab/videos"],
    "processed_root": "s3://lab/processed",
}


@pytest.fixture
def yaml_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "fmdj.yaml"
    monkeypatch.setenv("FMDJ_CONFIG", str(path))
    return path


@pytest.fixture
def secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "secrets"
    path.mkdir()
    monkeypatch.setenv("FMDJ_SECRETS_DIR", str(path))
    return path


def test_everything_has_a_default() -> None:
    settings = load_settings()

    assert settings.instance == "fmdj"
    assert settings.pipelines == ()
    assert settings.database.ledger_schema == "fmdj"


def test_variables_reach_every_level(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FMDJ_INSTANCE", "lab-a")
    monkeypatch.setenv("FMDJ_CONTROLLER__MAX_ACTIVE", "7")
    monkeypatch.setenv("FMDJ_CONTROLLER__RETRY__MEMORY_FACTOR", "2.5")
    monkeypatch.setenv("FMDJ_STORAGE__S3__ADDRESSING_STYLE", "path")
    monkeypatch.setenv("fmdj_log__level", "DEBUG")
    monkeypatch.setenv("FMDJ_PIPELINES", json.dumps([PIPELINE]))

    settings = load_settings()

    assert settings.instance == "lab-a"
    assert settings.controller.max_active == 7
    assert settings.controller.retry.memory_factor == 2.5
    assert settings.controller.retry.memory == 3
    assert settings.storage.s3.addressing_style == "path"
    assert settings.log.level == "DEBUG"
    assert settings.pipeline("lab").video_roots == ("s3://lab/videos",)


def test_a_yaml_file_is_read(yaml_file: Path) -> None:
    yaml_file.write_text(
        """
        database: {host: db.lab, port: 3306, prefix: lab_}
        pipelines:
          - name: lab
            behavior_schema: lab_facial
            video_roots: [s3://lab/videos, "s3://archive/old videos"]
            path_map:
              /mnt/lab: s3://lab
              'Z:\\data': s3://lab/z
            processed_root: s3://lab/processed
        """
    )

    settings = load_settings()

    assert settings.database.ledger_schema == "lab_fmdj"
    assert settings.pipelines[0].path_map == {"/mnt/lab": "s3://lab", "Z:\\data": "s3://lab/z"}


def test_files_of_the_secrets_directory_are_read(secrets: Path) -> None:
    (secrets / "fmdj_database__password").write_text("hunter2\n")
    (secrets / "FMDJ_STORAGE__S3__SECRET_ACCESS_KEY").write_text("s3cret")
    (secrets / "somebody-elses").write_text("x")

    settings = load_settings()

    assert settings.database.password == SecretStr("hunter2")
    assert settings.storage.s3.secret_access_key == SecretStr("s3cret")


def test_a_secret_volume_of_kubernetes_is_read(secrets: Path) -> None:
    (secrets / "..2026_11_22").mkdir()
    (secrets / "..2026_11_22" / "fmdj_database__password").write_text("hunter2")
    (secrets / "..data").symlink_to("..2026_11_22")
    (secrets / "fmdj_database__password").symlink_to("..data/fmdj_database__password")

    assert load_settings().database.password == SecretStr("hunter2")


def test_arguments_win_over_variables_over_secrets_over_the_file(
    yaml_file: Path, secrets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    yaml_file.write_text("database: {host: yaml, user: yaml, name: yaml, prefix: yaml}")
    for field in ("host", "user", "name"):
        (secrets / f"fmdj_database__{field}").write_text("secret")
    for field in ("HOST", "USER"):
        monkeypatch.setenv(f"FMDJ_DATABASE__{field}", "variable")

    database = load_settings(database={"host": "argument"}).database

    assert (database.host, database.user, database.name, database.prefix) == ("argument", "variable", "secret", "yaml")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("FMDJ_DATABSE__HOST", "FMDJ_DATABASE__HOST"),
        ("FMDJ_DATABASE_HOST", "FMDJ_DATABASE__HOST"),
        ("FMDJ_CONTROLLER__MAX_ACTIV", "FMDJ_CONTROLLER__MAX_ACTIVE"),
        ("FMDJ_STORAGE__S3__REGIONS", "FMDJ_STORAGE__S3__REGION"),
        ("FMDJ_CONFIGG", "FMDJ_CONFIG"),
    ],
)
def test_a_misspelt_variable_is_refused_and_the_right_one_named(
    monkeypatch: pytest.MonkeyPatch, name: str, meant: str
) -> None:
    monkeypatch.setenv(name, "1")

    with pytest.raises(ConfigError, match=rf"{name} is not a setting \(did you mean {meant}\?\)"):
        load_settings()


def test_every_misspelt_name_is_told_at_once(monkeypatch: pytest.MonkeyPatch, secrets: Path) -> None:
    monkeypatch.setenv("FMDJ_NONSENSE", "1")
    (secrets / "fmdj_database__pasword").write_text("x")

    with pytest.raises(ConfigError, match=r"FMDJ_NONSENSE.*; fmdj_database__pasword.*FMDJ_DATABASE__PASSWORD"):
        load_settings()


def test_variables_of_the_tests_and_of_others_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FMDJ_TEST_ANYTHING", "1")
    monkeypatch.setenv("FMDJTHING", "1")
    monkeypatch.setenv("DJ_HOST", "db")

    assert load_settings() == Settings()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("databse: {}", "databse"),
        ("database: {hosst: x}", r"database\.hosst"),
        ("controller: {max_active: 0}", r"controller\.max_active.*greater than or equal to 1"),
        ("controller: {max_active: many}", r"controller\.max_active.*integer"),
        ("controller: {lease_s: 5}", "renew_s=10.* must be less than lease_s=5"),
        ("controller: {trigger: facemapruns}", "trigger=facemapruns needs launcher=kubernetes"),
        ("storage: {s3: {part_size_mib: 1}}", r"storage\.s3\.part_size_mib"),
        ("instance: Not_a_label", "instance"),
        ("- a list", "can't be read|wrong"),
        ("a: [unclosed", "can't be read"),
    ],
)
def test_a_wrong_setting_is_named_in_a_sentence(yaml_file: Path, text: str, words: str) -> None:
    yaml_file.write_text(text)

    with pytest.raises(ConfigError, match=words):
        load_settings()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"video_roots": ["/mnt/lab"]}, "is not a URI like s3://bucket/prefix"),
        ({"processed_root": "s3:lab"}, "is not a URI like s3://bucket/prefix"),
        ({"path_map": {"/mnt": "lab"}}, "is not a URI like s3://bucket/prefix"),
        ({"name": "Lab A"}, "name"),
        ({"behavior_schema": None}, "behavior_schema"),
    ],
)
def test_a_wrong_pipeline_is_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load_settings(pipelines=[PIPELINE | change])


def test_two_pipelines_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigError, match="same name"):
        load_settings(pipelines=[PIPELINE, PIPELINE])


def test_a_pipeline_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(ConfigError, match=r"no pipeline 'other' .*known: lab"):
        load_settings(pipelines=[PIPELINE]).pipeline("other")


@pytest.mark.parametrize("name", ["FMDJ_CONFIG", "FMDJ_SECRETS_DIR"])
def test_a_source_that_is_not_there_is_an_error(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "/nowhere/at/all")

    with pytest.raises(ConfigError, match=f"{name}=/nowhere/at/all"):
        load_settings()


def test_a_variable_that_is_no_json_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FMDJ_PIPELINES", "[{")

    with pytest.raises(ConfigError, match="pipelines"):
        load_settings()


def test_settings_cannot_be_changed() -> None:
    settings = load_settings()

    with pytest.raises(ValueError, match="frozen"):
        settings.database.host = "elsewhere"  # type: ignore[misc]


SECRET = "hunter2"


def test_secrets_are_never_shown(secrets: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("database__password", "storage__s3__access_key_id", "storage__s3__secret_access_key"):
        (secrets / f"fmdj_{name}").write_text(SECRET)
    (secrets / "fmdj_storage__s3__session_token").write_text(SECRET)

    settings = load_settings()
    with caplog.at_level(logging.INFO):
        logging.getLogger("test").info("settings: %s", settings)

    assert settings.database.password is not None
    assert settings.database.password.get_secret_value() == SECRET
    for text in (repr(settings), str(settings.model_dump()), settings.model_dump_json(), caplog.text):
        assert SECRET not in text


@pytest.mark.parametrize(
    "text",
    [
        f"database: {{password: {SECRET}, hosst: x}}",
        f"database: {{password: [{SECRET}]}}",
        f"database: {{password: {SECRET}, port: 0}}",
        f"storage: {{s3: {{secret_access_key: {SECRET}, part_size_mib: 1}}}}",
        f"database: {{password: {SECRET}\nport: [",
    ],
)
def test_errors_show_no_secrets_not_even_in_their_traceback(yaml_file: Path, text: str) -> None:
    yaml_file.write_text(text)

    with pytest.raises(ConfigError) as caught:
        load_settings()

    assert SECRET not in "".join(traceback.format_exception(caught.value))
