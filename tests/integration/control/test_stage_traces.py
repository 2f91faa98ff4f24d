"""What a sharded run has left outside of the ledger is found again."""

from __future__ import annotations

import pytest

from fmdj_cloud.contracts import JobObservation, JobPhase, Kind, RunPlan, RunState, Stage, SvdParams, VideoRef
from fmdj_cloud.control.specs import build_spec, spec_bytes, spec_uri
from fmdj_cloud.control.traces import read_traces, recovered_plan, recovered_run
from fmdj_cloud.names import attempt_folder, job_name, run_id
from tests.support.shards.records import ESTIMATE, LIMITS, a_run

pytestmark = pytest.mark.integration
RUN = run_id(Kind.SVD, "t", "c" * 64)


@pytest.fixture
def spec_sha256(store, bucket):
    """The digest of the spec of a sharded attempt, which lies in the bucket."""
    video = VideoRef(uri=f"{bucket}/cam.avi", name="cam.avi", size=1)
    plan = RunPlan(videos=((video,),), svd=SvdParams(), limits=LIMITS, estimate=ESTIMATE, shards=4)
    run = a_run(run_id=RUN, output_dir=f"{bucket}/processed/facemap_0/{RUN}")
    data, sha256 = spec_bytes(build_spec(run, plan, 1, LIMITS))
    store.put_bytes(spec_uri(attempt_folder(run.output_dir, 1)), data)
    return sha256


def a_job(stage, sha256, phase):
    name = job_name(RUN, 1, "fmdj", stage)
    about = {"uid": stage.value, "spec_sha256": sha256, "phase": phase}
    return JobObservation(name=name, run_id=RUN, attempt=1, stage=stage, shards=4, pods=2, **about)


def test_the_attempt_is_at_the_last_stage_that_has_a_job(store, bucket, spec_sha256):
    jobs = [
        a_job(Stage.PROJECT, spec_sha256, JobPhase.RUNNING),
        a_job(Stage.BASIS, spec_sha256, JobPhase.ENDED),
    ]
    (trace,) = read_traces(store, f"{bucket}/processed", "lab", jobs)
    assert trace.newest.job == jobs[0]
    assert recovered_plan(trace).shards == 4
    assert recovered_run(trace, RunState.LAUNCHED, "p", ESTIMATE, 1).shards == 4
