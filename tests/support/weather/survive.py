"""One seed from its first task to its last, and what must be so at the end, whatever happened on the way."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fmdj_cloud.contracts import BindingState, Kind, RunState, Wanted
from fmdj_cloud.demo.recordings import Recording, RecordingSpec, generate
from fmdj_cloud.storage.manifests import manifest_verifies
from tests.support.kills import oracle
from tests.support.kills.world import PIPELINE
from tests.support.weather.campaign import Campaign, Played
from tests.support.weather.lab import StormyLab
from tests.support.weather.results import Rows, check_equal, rows_of
from tests.support.weather.schedule import Event

_ARRIVALS = ((0.0, 0), (3.0, 1), (8.0, 0))
"""When tasks are inserted, seconds after the start, and the recordings that they are for."""
FAILURES = oracle.FAILURES | {"config", "input", "load", "changed"}
"""What attempts may be said to have ended with."""


class Recordings:
    """Two tiny recordings, what is asked of each, and what comes of it on a calm day.

    Attributes
    ----------
    truth : dict of str to dict of int to Rows
        By kind of database (some give back fewer digits) and number; filled by whoever has a calm day first.
    """

    def __init__(self, folder: Path) -> None:
        made = [
            generate(
                RecordingSpec(f"cam{number}", width=96, height=72, nframes=(40 + 8 * number,), seed=number), folder
            )
            for number in range(2)
        ]
        self._videos = [recording.videos[0][0].read_bytes() for recording in made]
        self._params = [{"sbin": 2}, {"sbin": 2, "proc": {"fullSVD": True, "rois": _rois(made[1])}}]
        self.truth: dict[str, dict[int, Rows]] = {}

    def insert(self, lab: StormyLab, number: int) -> dict[str, Any]:
        """Insert a recording and its task; return the task's key."""
        return lab.insert_task(self._videos[number], facemap_params=self._params[number])

    def __len__(self) -> int:
        return len(self._videos)


def survive(lab: StormyLab, recordings: Recordings, events: Sequence[Event]) -> list[Played]:
    """Load recordings in a storm, and check that everything is as if the sun had shone.

    Parameters
    ----------
    lab : StormyLab
        Without tasks, and with the real worker.
    recordings : Recordings
    events : sequence of Event
        Of ways that the lab has.
    """
    backend = lab.database.backend
    if backend not in recordings.truth:
        recordings.truth[backend] = _learn(lab, recordings)
    truth = recordings.truth[backend]
    keys: list[tuple[int, dict[str, Any]]] = []
    campaign = Campaign(lab, events, lab.ways)
    arrivals = [
        (at_s, lambda number=number: keys.append((number, recordings.insert(lab, number))))
        for at_s, number in _ARRIVALS
    ]
    try:
        campaign.rage(arrivals, lambda: [key for _, key in keys])
    finally:
        campaign.calm()
    # one more, in calm weather: nothing is stuck, and what only a later worker or loader clears away is gone
    last = recordings.insert(lab, 0)
    lab.until(last, RunState.LOADED, 120)
    for number, key in (*keys, (0, last)):
        check_task(lab, key, truth[number])
    lab.check_clean()
    assert {run.state for run in lab.ledger.runs()} <= {RunState.LOADED, RunState.SUPERSEDED}
    return campaign.played


def check_task(lab: StormyLab, key: dict[str, Any], truth: Rows) -> None:
    """See that a task's rows are there once and right, and that the ledger tells its story without gaps."""
    run = lab.run_of(key)
    assert run is not None, lab.story()
    assert (run.state, run.wanted) == (RunState.LOADED, Wanted.RUN), lab.story()
    binding = lab.ledger.binding(PIPELINE, Kind.SVD, key)
    assert binding is not None
    assert (binding.state, binding.run_id) == (BindingState.PLANNED, run.run_id)
    attempts = lab.ledger.attempts(run.run_id)
    assert [attempt.attempt for attempt in attempts] == list(range(1, run.attempt + 1)), lab.story()
    assert all(attempt.finished is not None for attempt in attempts), lab.story()
    outcomes = [attempt.outcome for attempt in attempts]
    assert outcomes[-1] == "published", outcomes
    assert set(outcomes[:-1]) <= FAILURES, outcomes
    assert run.manifest_sha256 is not None
    assert manifest_verifies(lab.store, attempts[-1].folder, run.manifest_sha256)
    assert len(lab.lab.element.FacemapProcessing & key) == 1
    check_equal(rows_of(lab, key), truth)


def _learn(lab: StormyLab, recordings: Recordings) -> dict[int, Rows]:
    """Return what comes of every recording on a calm day."""
    programs = [lab.start(role) for role in ("controller", "loader")]
    keys = [recordings.insert(lab, number) for number in range(len(recordings))]
    truth = {}
    for number, key in enumerate(keys):
        lab.until(key, RunState.LOADED, 120)
        truth[number] = rows_of(lab, key)
    for program in programs:
        program.asked = True
        program.send("SIGTERM")
        program.process.wait(30)
        program.check_end()
    return truth


def _rois(recording: Recording) -> list[dict[str, Any]]:
    return recording.rois("pupil", "blink", "running", "whisker")
