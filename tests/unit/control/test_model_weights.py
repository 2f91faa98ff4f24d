"""Which file of a model holds its weights: the one that is called so, or the only one that can."""

from __future__ import annotations

import pytest

from fmdj_cloud.contracts import ModelFile, ModelRecord
from fmdj_cloud.control.models import weights_of
from fmdj_cloud.errors import InputError


def model(*names: str, **fields) -> ModelRecord:
    files = tuple(ModelFile(file_id=number, name=name, size=9, **fields) for number, name in enumerate(names))
    return ModelRecord(key={"model_id": 7}, name="net", body_parts=("mouth",), files=files)


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (("weights",), "weights"),
        (("net.pt", "old.pt"), "net.pt"),
        (("net", "old.pt", "other.pt"), "net"),
        (("facemap_model_params.pth", "facemap_model_state.pt"), "facemap_model_state.pt"),
        (("facemap_model_params.pth", "state.pth", "notes.txt"), "state.pth"),
        (("A.PT", "readme.md"), "A.PT"),
    ],
)
def test_the_weights_among_the_files(names, chosen):
    assert weights_of(model(*names)).name == chosen


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ((), r"Model 'net' \(model_id=7\) has no file"),
        (("a.pt", "b.pt"), r"2 files \(a.pt, b.pt\) and none is called net.pt"),
        (("a.txt", "b.txt"), "2 files"),
        (("net.pt", "net.pth", "a.pt", "b.pth"), "4 files"),
    ],
)
def test_what_can_t_be_told_is_refused(names, words):
    with pytest.raises(InputError, match=words) as refused:
        weights_of(model(*names))
    assert refused.value.check == "model"


def test_weights_whose_bytes_can_t_be_had_are_refused_with_their_own_sentence():
    with pytest.raises(InputError, match=r"^It lies elsewhere\.$") as refused:
        weights_of(model("net.pt", problem="It lies elsewhere."))
    assert refused.value.check == "model"


@pytest.mark.parametrize(("size", "words"), [(0, "empty"), (200 << 20, "200 MiB")])
def test_weights_of_an_impossible_size_are_refused(size, words):
    record = model("net.pt")
    sized = record.model_copy(update={"files": (record.files[0].model_copy(update={"size": size}),)})
    with pytest.raises(InputError, match=words):
        weights_of(sized)
