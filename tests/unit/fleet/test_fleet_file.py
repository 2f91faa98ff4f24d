"""The file of ``fmdj plan --fleet``: what is wrong in it is named."""

from __future__ import annotations

import pytest
import yaml

from fmdj_cloud.control.fleet.file import Fleet, example, read_fleet
from fmdj_cloud.errors import ConfigError


def written(tmp_path, **changes):
    told = yaml.safe_load(example()) | changes
    path = tmp_path / "fleet.yaml"
    path.write_text(yaml.safe_dump(told))
    return path


def test_the_example_is_a_file_and_explains_every_field():
    fleet = Fleet.model_validate(yaml.safe_load(example()))
    told = yaml.safe_load(example())
    assert set(told) == set(Fleet.model_fields)
    for model, given in (
        (fleet.recordings[0], told["recordings"][0]),
        (fleet.nodes[0], told["nodes"][0]),
        (fleet.pods, told["pods"]),
        (fleet.spot, told["spot"]),
        (fleet.loaders, told["loaders"]),
    ):
        assert set(given) == set(type(model).model_fields)


def test_most_of_it_may_be_left_out(tmp_path):
    path = tmp_path / "fleet.yaml"
    path.write_text(
        "recordings: [{name: a, number: 1, minutes: 1}]\nnodes: [{name: n, number: 1, cpu: 8, memory_gib: 32}]"
    )
    assert read_fleet(path).recordings[0].frames == 1800


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"recordings": []}, "recordings"),
        ({"pods": {"cpu": 1, "speedup": 3}}, "speedup=3.0 is more than the 1 cores"),
        ({"pods": {"cpus": 1}}, "pods.cpus"),
        ({"nodes": [{"name": "n", "number": 0, "cpu": 1, "memory_gib": 1}]}, "nodes.0.number"),
        ({"nodes": [{"name": "n", "number": 1, "cpu": 1, "memory_gib": 1}] * 2}, "the same name"),
        ({"recordings": [{"name": "a", "number": 1, "minutes": 1, "kind": "import"}]}, "recordings.0.kind"),
    ],
)
def test_what_is_impossible_is_named(tmp_path, changes, words):
    with pytest.raises(ConfigError, match=words) as caught:
        read_fleet(written(tmp_path, **changes))
    assert "fleet.yaml is wrong" in caught.value.sentence


@pytest.mark.parametrize("content", [b"a: [", b"\xff\xfe\x00", b"just text", b"", b"# " + b"x" * (1 << 20)])
def test_what_is_no_such_file_is_refused_in_one_sentence(tmp_path, content):
    path = tmp_path / "fleet.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"fleet\.yaml"):
        read_fleet(path)


def test_a_file_that_is_not_there_names_the_example(tmp_path):
    with pytest.raises(ConfigError, match="--fleet-example"):
        read_fleet(tmp_path / "none.yaml")
