"""Model files: weights and nothing else."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch

from fmdj_cloud.errors import InputError
from fmdj_cloud.worker.pose.model import build, facemap_home, facemap_parts, read_model
from tests.support.pose import models

PARTS = facemap_parts()


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> Path:
    return models.save(tmp_path_factory.mktemp("model") / "model.pt")


@pytest.fixture
def state(good) -> dict[str, torch.Tensor]:
    return torch.load(good, weights_only=True)


def refused(path: Path, declared: tuple[str, ...] = PARTS) -> str:
    with pytest.raises(InputError) as caught:
        read_model(path, declared)
    assert caught.value.check == "model"
    assert caught.value.sentence.startswith("The task's model ")
    assert caught.value.sentence.count(". ") == 0
    return caught.value.sentence


def test_channels_come_from_the_weights(good):
    model = read_model(good, tuple(sorted(PARTS)))
    assert model.channels == models.SMALL
    assert model.body_parts == PARTS  # as the network's outputs are, whatever the order they are declared in
    network = build(model)
    assert not network.training
    torch.testing.assert_close(network.state_dict(), models.network().state_dict())


def test_facemap_finds_what_it_would_download(good, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "restored in the end")
    facemap_home(tmp_path, read_model(good, PARTS))
    program = (
        "import urllib.request; urllib.request.urlretrieve = None\n"
        "from facemap.pose import model_loader\n"
        "import torch; print(torch.load(model_loader.get_model_params_path(), weights_only=True))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], env={"HOME": str(tmp_path)}, capture_output=True, text=True, check=True
    )
    assert ran.stdout.endswith("{'params': {'channels': [8, 8, 12, 16, 16]}}\n")


def test_a_missing_body_part(good):
    assert "declared with 14, paw missing" in refused(good, tuple(part for part in PARTS if part != "paw"))


def test_an_unknown_body_part(good):
    assert "tail unknown to it" in refused(good, (*PARTS, "tail"))


def test_another_number_of_outputs(tmp_path):
    path = tmp_path / "four.pt"
    torch.save(models.network(parts=4).state_dict(), path)
    assert "finds 4 body parts" in refused(path, PARTS[:4])


def test_channels_that_dont_fit_each_other(state, tmp_path):
    state["Conv.conv2.conv.conv_0.2.weight"] = torch.zeros(12, 9, 3, 3)
    path = tmp_path / "wrong.pt"
    torch.save(state, path)
    assert "has channels that don't fit each other (Conv.conv2.conv.conv_0.2.weight is (12, 9, 3, 3)" in refused(path)


@pytest.mark.parametrize("keep", [0, 1, 100, 0.5, 0.99])
def test_a_truncated_file(good, tmp_path, keep):
    path, data = tmp_path / "cut.pt", good.read_bytes()
    path.write_bytes(data[: keep if isinstance(keep, int) else int(len(data) * keep)])
    assert "can't be read as a file of torch" in refused(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([torch.zeros(3)], "holds a list where the weights"),
        ({}, "holds a dict where the weights"),
        ({"weights": 3}, "holds 'weights', which is no weight"),
        ({"conv.weight": torch.zeros(3)}, "holds the weights of another network"),
    ],
)
def test_what_isnt_a_state_dict(tmp_path, content, said):
    path = tmp_path / "other.pt"
    torch.save(content, path)
    assert said in refused(path)


def test_weights_that_are_missing_or_too_many(state, tmp_path):
    path = tmp_path / "less.pt"
    torch.save({name: value for name, value in state.items() if name != "Conv2_1x1.conv2.bias"}, path)
    assert "lacks Conv2_1x1.conv2.bias" in refused(path)
    torch.save({**state, "more": torch.zeros(1)}, path)
    assert "has more, which" in refused(path)


def test_weights_that_are_no_numbers(state, tmp_path):
    state["Conv2_1x1.conv2.bias"][0] = float("nan")
    path = tmp_path / "nan.pt"
    torch.save(state, path)
    assert "weights in Conv2_1x1.conv2.bias that are no numbers" in refused(path)


def test_a_small_file_that_unpacks_to_a_large_one(state, tmp_path):
    large, packed = tmp_path / "large.pt", tmp_path / "packed.pt"
    torch.save({**state, "more": torch.zeros(1_000_000)}, large)
    with zipfile.ZipFile(large) as plain, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as small:
        for entry in plain.infolist():
            small.writestr(entry.filename, plain.read(entry))
    assert "unpacks to more bytes" in refused(packed)
    assert "has more, which" in refused(large)


def test_a_small_file_that_claims_a_large_network(state, tmp_path):
    state["Conv2_1x1.conv0.weight"] = torch.zeros(1).expand(1 << 20, 1 << 20)
    path = tmp_path / "bomb.pt"
    torch.save(state, path)
    assert path.stat().st_size < 1 << 20
    assert "claims more numbers" in refused(path)


@pytest.mark.parametrize("protocol", ["zip", "legacy"])
def test_a_program_isnt_run(tmp_path, protocol):
    class Program:
        def __reduce__(self):
            return (Path.write_text, (tmp_path / "proof", "ran"))

    path = tmp_path / "hostile.pt"
    torch.save({"Conv2_1x1.conv0.weight": Program()}, path, _use_new_zipfile_serialization=protocol == "zip")
    assert "could run as a program" in refused(path)
    assert not (tmp_path / "proof").exists()


def test_a_whole_network_instead_of_its_weights(tmp_path):
    path = tmp_path / "module.pt"
    torch.save(models.network(), path)
    assert "holds more than weights" in refused(path)
