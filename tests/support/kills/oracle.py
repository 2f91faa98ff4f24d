"""What must be so when all is over, whatever happened on the way."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from fmdj_cloud.contracts import BindingState, Kind, RunState, Wanted
from fmdj_cloud.storage.client import make_client
from fmdj_cloud.storage.manifests import manifest_verifies, pinned_bytes
from fmdj_cloud.storage.uri import relative, split
from tests.support.kills import signals
from tests.support.kills.world import PIPELINE, World, eventually

FAILURES = {"crash", "memory", "vanished", "disrupted", "storage"}
"""What an attempt that a signal met may be said to have ended with; ``storage`` where it met a request's connection."""


def check_loaded(world: World, key: dict[str, Any]) -> None:
    """A task's rows are there exactly once, in the numbers expected, and the ledger tells its story without gaps."""
    task = world.lab.tasks(Kind.SVD).get(key)
    run = world.run_of(key)
    assert run is not None, world.story()
    assert (run.state, run.wanted) == (RunState.LOADED, Wanted.RUN), world.story()
    binding = world.ledger.binding(PIPELINE, task.kind, key)
    assert (binding.state, binding.run_id) == (BindingState.PLANNED, run.run_id)
    assert binding.param_digest == run.param_digest == task.param_digest
    _check_attempts(world, run)
    _check_rows(world, key, task.params["sbin"])


def check_clean(world: World) -> None:
    """Stop all programs; then nothing is left but results, and nothing that would hold anybody up."""
    try:
        eventually(lambda: not leftovers(world, programs=False), "an end of all leftovers", 20)
    except AssertionError as error:
        raise AssertionError(f"{error}: {leftovers(world, programs=False)}\n{world.story()}") from error
    world.stop_programs()
    left = leftovers(world)
    assert not left, f"{left}\n{world.story()}"
    # A leader that was killed can't resign, but its lease runs out
    eventually(lambda: world.ledger.leader() is None, "an end of the last lease", 5)


def leftovers(world: World, *, programs: bool = True) -> list[str]:
    """Return what should be gone: processes, Jobs, scratch, temporary files, uploads, transactions."""
    found = []
    running = {program.pid for program in world.programs if program.process.poll() is None}
    found += [f"program {pid}" for pid in running if programs]
    found += [f"process {pid}: {what}" for pid, what in world.processes().items() if programs or pid not in running]
    for name, kept in (
        ("jobs", ()),
        ("scratch", ()),
        ("tmp", ()),
        (f"load/fmdj-load-{os.getuid()}", (".lock",)),
    ):
        folder = world.folder / name
        if folder.exists():
            found += [str(path) for path in folder.iterdir() if path.name not in kept]
    found += _uploads(world) + _transactions(world)
    return found


def _check_attempts(world: World, run: Any) -> None:
    attempts = world.ledger.attempts(run.run_id)
    assert [attempt.attempt for attempt in attempts] == list(range(1, run.attempt + 1)), world.story()
    assert all(attempt.finished is not None for attempt in attempts)
    outcomes = [attempt.outcome for attempt in attempts]
    assert outcomes[-1] == "published"
    assert set(outcomes[:-1]) <= FAILURES, outcomes
    assert sum(run.failures.values()) == len(outcomes) - 1
    table = world.database.quote(world.database.ledger_schema, "run__job")
    jobs = world.database.query(f"SELECT outcome FROM {table} WHERE run_id = %s ORDER BY attempt", (run.run_id,))
    assert [outcome for (outcome,) in jobs] == outcomes
    assert manifest_verifies(world.store, attempts[-1].folder, run.manifest_sha256)


def _check_rows(world: World, key: dict[str, Any], sbin: int) -> None:
    element, tables = world.lab.element, world.lab.signals
    expected = signals.numbers(key["recording_id"], sbin)
    (_,) = (element.FacemapProcessing & key).to_dicts()
    (_,) = (element.FacialSignal & key).to_dicts()
    (region,) = (element.Region & key).to_dicts()
    np.testing.assert_array_equal(region["motion"], expected.motion)
    (summary,) = (element.Summary & key).to_dicts()
    np.testing.assert_array_equal(summary["avgframe"], expected.avgframe)
    np.testing.assert_array_equal(summary["avgmotion"], expected.avgmotion)
    components = (element.MotionSVD & key).to_dicts(order_by="KEY")
    assert [row[element.component] for row in components] == list(range(signals.COMPONENTS))
    for number, row in enumerate(components):
        np.testing.assert_array_equal(row["motmask"], expected.masks[:, :, number])
        np.testing.assert_array_equal(row["projection"], expected.projections[:, number])
    assert not any(len(table & key) for table in (element.MovieSVD, tables.Pupil, tables.Blink, tables.Running))
    recording = {name: key[name] for name in element.RecordingInfo.primary_key}
    (info,) = (element.RecordingInfo & recording).to_dicts()
    assert info["nframes"] == signals.NFRAMES
    _check_output_dir(world, key)


def _check_output_dir(world: World, key: dict[str, Any]) -> None:
    run, attempt = world.run_of(key), world.attempt_of(key)
    (row,) = (world.lab.element.FacemapTask & key).to_dicts()
    folder = relative(attempt.folder, world.lab.settings.processed_root)
    assert row["facemap_output_dir"].startswith(f"{folder}/")
    manifest = pinned_bytes(world.store, attempt.folder, run.manifest_sha256)
    nonce = row["facemap_output_dir"].removeprefix(f"{folder}/").partition("/")[0]
    assert f'"nonce": "{nonce}"'.replace(" ", "") in manifest.decode().replace(" ", "")


def _uploads(world: World) -> list[str]:
    client = make_client(world.settings.storage.s3)
    try:
        answer = client.list_multipart_uploads(Bucket=split(world.bucket)[0])
    finally:
        client.close()
    return [f"upload of {upload['Key']}" for upload in answer.get("Uploads", ())]


def _transactions(world: World) -> list[str]:
    if world.database.backend == "postgresql":
        sql = "SELECT pid, query FROM pg_stat_activity WHERE state LIKE 'idle in transaction%%' AND datname IS NOT NULL"
    else:
        sql = "SELECT trx_mysql_thread_id, trx_query FROM information_schema.innodb_trx"
    return [f"transaction of session {number}: {query}" for number, query in world.database.query(sql)]
