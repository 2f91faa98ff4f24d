"""How a recording is cut, and what commits may say."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from fmdj_cloud.contracts import Kind, ShardRange, Stage
from fmdj_cloud.contracts.shards import (
    BasisCommit,
    PartCommit,
    cut,
    filled,
    first_stage,
    next_stage,
    part_index,
    part_name,
    stage_letter,
)
from fmdj_cloud.names import job_name, run_id
from tests.support.shards.commits import a_basis, a_file, a_part


@given(st.integers(0, 100_000), st.integers(1, 300), st.integers(1, 5000))
def test_shards_cover_every_frame_once_and_are_cut_between_blocks(nframes: int, shards: int, block: int) -> None:
    ranges = cut(nframes, shards, block=block)
    assert len(ranges) == shards
    assert ranges[0].start == 0
    assert ranges[-1].stop == nframes
    assert all(one.stop == other.start for one, other in itertools.pairwise(ranges))
    assert all(one.stop % block == 0 or one.stop == nframes for one in ranges)
    blocks = [-(-one.frames // block) for one in ranges]
    assert max(blocks) - min(blocks) <= 1


@given(st.integers(0, 10_000), st.integers(1, 50), st.integers(1, 500))
def test_the_basis_commits_no_empty_shard_but_of_an_empty_recording(nframes: int, shards: int, block: int) -> None:
    kept = filled(cut(nframes, shards, block=block))
    assert all(one.frames for one in kept) or (nframes == 0 and len(kept) == 1)
    assert a_basis(nframes=nframes, block=block, shards=kept).shards == kept


def test_what_can_not_be_cut_is_refused() -> None:
    for numbers in ((-1, 1, 1), (1, 0, 1), (1, 1, 0)):
        with pytest.raises(ValueError, match="can't be cut"):
            cut(*numbers[:2], block=numbers[2])


def test_a_basis_with_gaps_or_edges_inside_a_block_is_none() -> None:
    for shards in (((0, 40), (50, 100)), ((0, 45), (45, 100)), ((0, 90),), ((0, 60), (50, 100))):
        with pytest.raises(ValidationError):
            a_basis(shards=[{"start": start, "stop": stop} for start, stop in shards])


def test_bases_of_equal_bytes_are_equal_whoever_committed_them() -> None:
    ours = a_basis()
    assert a_basis(nonce="other", attempt=2, timings_s={"svd": 3.0}).digest == ours.digest
    elsewhere = a_basis(files=(a_file("s3://lab/run/a1/b/basis.npz", b"basis", "basis"),), reused="s3://lab/run/a1")
    assert elsewhere.digest == ours.digest
    assert a_basis(data=b"other").digest != ours.digest
    assert a_basis(shards=(ShardRange(start=0, stop=100),)).digest != ours.digest


def test_commits_survive_json() -> None:
    basis, part = a_basis(), a_part(1, ShardRange(start=50, stop=100))
    assert BasisCommit.model_validate_json(basis.model_dump_json()) == basis
    assert PartCommit.model_validate_json(part.model_dump_json()) == part


@given(st.integers(0, 999))
def test_names_of_parts_are_read_back(index: int) -> None:
    assert part_index(part_name(index)) == index


@pytest.mark.parametrize("name", ["part-.json", "part-01.json", "part--1.json", "part-1.json.tmp", "x/part-1.json", ""])
def test_no_other_name_is_a_parts(name: str) -> None:
    assert part_index(name) is None


def test_stages_follow_each_other() -> None:
    assert first_stage(None, has_basis=True) is Stage.ALL
    assert first_stage(4, has_basis=True) is Stage.BASIS
    assert first_stage(4, has_basis=False) is Stage.PROJECT
    assert [next_stage(stage) for stage in Stage] == [None, Stage.PROJECT, Stage.MERGE, None]


@given(st.text("abcdefghij-0123456789", min_size=1, max_size=80), st.integers(1, 999), st.sampled_from(Stage))
def test_job_names_of_all_stages_leave_room_for_their_pods(instance: str, attempt: int, stage: Stage) -> None:
    run = run_id(Kind.IMPORT, "task", "content")
    name = job_name(run, attempt, instance, stage)
    assert len(name) <= 57
    assert len(f"{name}-255") <= 63  # the host name of a pod of an Indexed Job
    others = {job_name(run, attempt, instance, other) for other in Stage if other is not stage}
    assert name not in others
    assert name == job_name(run, attempt, instance) or name.endswith(f"-{stage_letter(stage)}")
