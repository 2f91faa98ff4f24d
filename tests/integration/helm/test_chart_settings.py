"""The settings that the chart renders are those that the programs load, and make Jobs that the chart's objects fit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from fmdj_cloud.contracts import JobRequest, Kind, Limits
from fmdj_cloud.control.launchers.kubernetes.manifest import build_job
from fmdj_cloud.settings import Settings, load_settings

pytestmark = pytest.mark.integration
Json = dict[str, Any]
Load = Callable[..., Settings]


def named(documents: list[Json], kind: str, name: str) -> Json:
    (found,) = (one for one in documents if (one["kind"], one["metadata"]["name"]) == (kind, name))
    return found


def secret_files(documents: list[Json], program: str) -> dict[str, str]:
    """Return the files of a program's secrets directory: name -> secret/key."""
    pod = named(documents, "Deployment", f"lab-{program}")["spec"]["template"]["spec"]
    return {
        item["path"]: f"{source['secret']['name']}/{item['key']}"
        for volume in pod["volumes"]
        if volume["name"] == "secrets"
        for source in volume["projected"]["sources"]
        for item in source["secret"]["items"]
    }


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Loads the settings as a program does in its pod; every secret's value is its reference."""

    def call(documents: list[Json], program: str = "controller") -> Settings:
        config = tmp_path / "fmdj.yaml"
        config.write_text(named(documents, "ConfigMap", "lab-config")["data"]["fmdj.yaml"])
        monkeypatch.setenv("FMDJ_CONFIG", str(config))
        secrets = tmp_path / program
        data = secrets / "..2026_01_15"  # as a kubelet lays them out
        data.mkdir(parents=True)
        (secrets / "..data").symlink_to(data.name)
        for name, reference in secret_files(documents, program).items():
            (data / name).write_text(f"{reference}\n")
            (secrets / name).symlink_to(f"..data/{name}")
        monkeypatch.setenv("FMDJ_SECRETS_DIR", str(secrets))
        return load_settings()

    return call


def test_every_example_loads(documents: list[Json], load: Load) -> None:
    settings = load(documents)
    assert settings.instance == "lab"
    assert settings.controller.launcher == "kubernetes"
    assert settings.serve.port == 8080
    assert settings.log.format == "json"
    assert settings.pipelines


def test_the_migration_gets_the_same_settings(documents: list[Json]) -> None:
    config = named(documents, "ConfigMap", "lab-config")["data"]
    assert named(documents, "ConfigMap", "lab-migrate")["data"] == config


def test_secrets_arrive_from_their_files(minimal: list[Json], load: Load) -> None:
    settings = load(minimal)
    assert settings.database.password is not None
    assert settings.database.password.get_secret_value() == "lab-database/password"
    assert settings.storage.s3.access_key_id is not None
    assert settings.storage.s3.access_key_id.get_secret_value() == "lab-bucket/id"


def test_each_program_may_be_another_database_user(render: Callable[..., list[Json]], load: Load) -> None:
    documents = render("aws")
    for program in ("controller", "loader"):
        assert load(documents, program).database.user == f"fmdj-{program}/username"


def test_the_migration_mounts_no_keys_of_the_object_store(minimal: list[Json]) -> None:
    pod = named(minimal, "Job", "lab-migrate")["spec"]["template"]["spec"]
    (secrets,) = (volume for volume in pod["volumes"] if volume["name"] == "secrets")
    paths = [item["path"] for source in secrets["projected"]["sources"] for item in source["secret"]["items"]]
    assert paths == ["fmdj_database__password"]


def request(settings: Settings, profile: str) -> JobRequest:
    return JobRequest(
        name="fmdj-svd-0123456789abcdef-a1",
        run_id="svd-0123456789abcdef",
        attempt=1,
        kind=Kind.SVD,
        spec_uri=f"{settings.pipelines[0].processed_root}/spec.json",
        spec_sha256="0" * 64,
        limits=Limits(memory_mib=2048, scratch_mib=2048, time_budget_s=3600.0, threads=1),
        pipeline=settings.pipelines[0].name,
        task="subject=m1",
        profile=profile,
    )


def test_every_profile_makes_jobs_that_the_chart_s_objects_fit(documents: list[Json], load: Load) -> None:
    settings = load(documents)
    policy = named(documents, "NetworkPolicy", "lab-worker")
    accounts = {one["metadata"]["name"] for one in documents if one["kind"] == "ServiceAccount"}
    assert "default" in settings.kubernetes.profiles
    for name in settings.kubernetes.profiles:
        job = build_job(request(settings, name), settings, instance=settings.instance)
        pod = job["spec"]["template"]
        assert pod["metadata"]["labels"].items() >= policy["spec"]["podSelector"]["matchLabels"].items()
        assert pod["spec"]["serviceAccountName"] in accounts
        assert pod["spec"]["containers"][0]["image"].rpartition("/")[2] != ""


def test_workers_get_the_keys_by_reference(minimal: list[Json], load: Load) -> None:
    settings = load(minimal)
    job = build_job(request(settings, "default"), settings, instance="lab")
    env = {entry["name"]: entry for entry in job["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert env["FMDJ_STORAGE__S3__SECRET_ACCESS_KEY"]["valueFrom"] == {
        "secretKeyRef": {"name": "lab-bucket", "key": "secret"}
    }
    assert not any("DATABASE" in name for name in env)


def test_a_profile_s_own_words_win(render: Callable[..., list[Json]], load: Load) -> None:
    own = "settings.kubernetes.profiles.default"
    options = (f"{own}.image=registry/own:1", f"{own}.service_account=own", f"{own}.run_as_user=7")
    profile = load(render("minimal", *(f"--set={option}" for option in options))).kubernetes.profiles["default"]
    assert (profile.image, profile.service_account, profile.run_as_user) == ("registry/own:1", "own", 7)
    assert profile.secret_env == {}, "its account has the rights"


def test_falsy_words_win_too(render: Callable[..., list[Json]], load: Load) -> None:
    profile = "settings.kubernetes.profiles.default"
    options = ("settings.storage.s3.verify_etag=false", "settings.controller.first_start_limit=0", f"{profile}.gpu=0")
    settings = load(render("minimal", *(f"--set={option}" for option in options)))
    assert settings.storage.s3.verify_etag is False
    assert settings.controller.first_start_limit == 0


def test_large_numbers_stay_numbers(render: Callable[..., list[Json]], load: Load) -> None:
    setting = "settings.kubernetes.profiles.default.scratch_max_mib"
    settings = load(render("minimal", f"--set={setting}=1073741824"))
    assert settings.kubernetes.profiles["default"].scratch_max_mib == 1073741824


def test_jobs_may_go_to_another_namespace(render: Callable[..., list[Json]], load: Load) -> None:
    documents = render("minimal", "--set=settings.kubernetes.namespace=lab-jobs")
    assert load(documents).kubernetes.namespace == "lab-jobs"
    there = {
        (one["kind"], one["metadata"]["name"]) for one in documents if one["metadata"].get("namespace") == "lab-jobs"
    }
    assert there == {
        ("Role", "lab-controller"),
        ("RoleBinding", "lab-controller"),
        ("ServiceAccount", "lab-worker"),
        ("NetworkPolicy", "lab-worker"),
    }
    (subject,) = named(documents, "RoleBinding", "lab-controller")["subjects"]
    assert subject["namespace"] == "lab-ns"


def test_programs_mount_what_workers_mount(render: Callable[..., list[Json]]) -> None:
    documents = render("s3-private-ca")
    for program in ("controller", "loader"):
        (container,) = named(documents, "Deployment", f"lab-{program}")["spec"]["template"]["spec"]["containers"]
        (mount,) = (one for one in container["volumeMounts"] if one["mountPath"] == "/etc/lab-ca")
        assert mount["readOnly"] is True


def test_other_settings_start_new_programs(render: Callable[..., list[Json]]) -> None:
    def digest(*options: str) -> str:
        found = named(render("minimal", *options), "Deployment", "lab-controller")
        return found["spec"]["template"]["metadata"]["annotations"]["fmdj.dev/config-sha256"]

    assert digest() == digest("--set=loader.replicas=2")
    assert digest() != digest("--set=settings.controller.interval_s=7")


def test_the_recording_of_the_test_has_a_pipeline_of_its_own(render: Callable[..., list[Json]], load: Load) -> None:
    documents = render("minimal", "--set=tests.endToEnd=true,settings.database.prefix=lab_")
    lab, test = load(documents).pipelines
    assert (lab.name, test.name) == ("lab", "selftest")
    assert test.behavior_schema == "lab_fmdj_selftest"
    assert test.processed_root == "s3://lab-data/processed/fmdj-selftest/processed"
    assert named(documents, "Pod", "lab-test-recording")["spec"]["containers"][0]["args"][0] == "selftest"


def test_documents_are_yaml_that_people_can_read(minimal: list[Json]) -> None:
    text = named(minimal, "ConfigMap", "lab-config")["data"]["fmdj.yaml"]
    assert yaml.safe_load(text)["database"]["host"] == "db.lab.example.org"
