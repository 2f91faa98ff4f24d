"""A spec is the same bytes whoever builds it, holds what the attempt needs, and no credentials."""

from __future__ import annotations

import json

from fmdj_cloud.contracts import Estimate, RunPlan, RunSpec, SvdParams, VideoRef
from fmdj_cloud.control.specs import build_spec, spec_bytes, spec_uri

PLAN_ESTIMATE = Estimate(frames=1, height=1, width=1, seconds=1, memory_mib=1, scratch_mib=1, source="header")


def build(run, limits, attempt=2):
    plan = RunPlan(
        videos=((VideoRef(uri="s3://lab/ä b.avi", name="ä b.avi", size=3, etag="e"),),),
        svd=SvdParams(sbin=4),
        limits=limits,
        estimate=PLAN_ESTIMATE,
    )
    return build_spec(run, plan, attempt, limits.model_copy(update={"memory_mib": 4096}))


def test_the_same_bytes_every_time(make_run, make_limits):
    first, again = (spec_bytes(build(make_run(), make_limits())) for _ in range(2))
    assert first == again
    assert len(first[1]) == 64


def test_it_reads_back_as_it_was(make_run, make_limits):
    spec = build(make_run(), make_limits())
    assert RunSpec.model_validate_json(spec_bytes(spec)[0]) == spec
    assert spec.limits.memory_mib == 4096
    assert spec.attempt_uri.endswith("/a2")
    assert spec_uri(spec.attempt_uri).endswith("/a2/spec.json")


def test_the_state_of_a_run_is_no_part_of_it(make_run, make_limits):
    other = make_run(priority=9, sentence="It failed.", failures={"crash": 1})
    assert spec_bytes(build(make_run(), make_limits())) == spec_bytes(build(other, make_limits()))


def test_only_known_fields_are_in_it(make_run, make_limits):
    assert set(json.loads(spec_bytes(build(make_run(), make_limits()))[0])) == set(RunSpec.model_fields)


def test_an_attempt_may_use_the_parts_of_those_before_it(make_run, make_limits):
    folder = make_run().output_dir
    assert build(make_run(), make_limits(), attempt=1).resume_from == ()
    assert build(make_run(), make_limits(), attempt=3).resume_from == (f"{folder}/a2", f"{folder}/a1")


def test_of_very_many_attempts_the_newest_are_looked_at(make_run, make_limits):
    folders = build(make_run(), make_limits(), attempt=900).resume_from
    assert len(folders) == 50
    assert folders[0].endswith("/a899")
