"""A worker's environment holds storage and worker settings and no trace of the database."""

from __future__ import annotations

from fmdj_cloud.control.launchers.environment import worker_environment
from fmdj_cloud.settings import DatabaseSettings, S3Settings, Settings, StorageSettings, WorkerSettings, load_settings

BASE = {
    "PATH": "/bin",
    "AWS_PROFILE": "lab",
    "DJ_PASS": "hunter2",
    "DJ_HOST": "db",
    "PGPASSWORD": "hunter2",
    "MYSQL_PWD": "hunter2",
    "FMDJ_DATABASE__PASSWORD": "hunter2",
    "FMDJ_CONFIG": "/etc/fmdj.yaml",
    "FMDJ_SECRETS_DIR": "/run/secrets",
    "FMDJ_WORKER__THREADS": "9",
}


def settings() -> Settings:
    return Settings(
        instance="lab1",
        database=DatabaseSettings(password="hunter2", host="db"),
        storage=StorageSettings(s3=S3Settings(endpoint_url="http://s3", access_key_id="id", secret_access_key="key")),
        worker=WorkerSettings(threads=3),
    )


def test_nothing_of_the_database_gets_in():
    environment = worker_environment(settings(), BASE)
    assert environment["PATH"] == "/bin"
    assert environment["AWS_PROFILE"] == "lab"
    assert not [name for name in environment if name.startswith("DJ_") or "DATABASE" in name]
    assert "FMDJ_CONFIG" not in environment
    assert "FMDJ_SECRETS_DIR" not in environment
    assert "hunter2" not in " ".join(environment.values())


def test_the_worker_reads_the_controllers_settings(monkeypatch):
    for name, value in worker_environment(settings(), {}).items():
        monkeypatch.setenv(name, value)
    found = load_settings()
    assert (found.instance, found.worker, found.storage, found.log) == (
        "lab1",
        settings().worker,
        settings().storage,
        settings().log,
    )
    assert found.database == DatabaseSettings()
