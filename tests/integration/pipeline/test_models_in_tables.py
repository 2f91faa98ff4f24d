"""Models of pose inference in the lab's tables: their files come back bit by bit, wherever they are kept."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import datajoint as dj
import pytest

from fmdj_cloud.contracts import ModelFile
from fmdj_cloud.errors import ConfigError, InputError
from fmdj_cloud.names import canonical_key
from fmdj_cloud.pipeline.attachments import Attachment, unwrap, wrap
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.element import open_element
from fmdj_cloud.pipeline.inference import declare_inference, open_inference
from fmdj_cloud.pipeline.models import add_model, newest_models, read_file, read_models

from .conftest import SUBJECT_KEY, WEIGHTS, Poses

pytestmark = pytest.mark.integration


def test_a_model_that_was_added_is_read_as_it_was(poses: Poses) -> None:
    made = poses.add_model(7, parts=("paw", "mouth", "tail"))
    found = read_models(poses.inference, [{"model_id": 7}, {"model_id": 8}], {})
    assert found == {canonical_key({"model_id": 7}): made}
    assert (made.key, made.name, made.body_parts) == ({"model_id": 7}, "net", ("mouth", "paw", "tail"))
    (file,) = made.files
    assert file == ModelFile(name="net.pt", size=len(WEIGHTS), sha256=hashlib.sha256(WEIGHTS).hexdigest())
    assert read_file(poses.inference, made, file) == Attachment("net.pt", WEIGHTS)
    assert newest_models(poses.inference, {}, 10) == [made]


@pytest.mark.parametrize("size", [0, 1, (4 << 20) - 7, (4 << 20) - 6, 5 << 20])
def test_files_of_any_size_come_back_bit_by_bit(poses: Poses, size: int) -> None:
    content = bytes(range(256)) * (size // 256 + 1)
    made = poses.add_model(weights=content[:size])
    assert read_file(poses.inference, made, made.files[0]).content == content[:size]


def test_what_datajoint_itself_attached_is_read(poses: Poses, tmp_path: Path) -> None:
    path = tmp_path / "réseau.pt"
    path.write_bytes(WEIGHTS)
    tables = poses.inference
    tables.FacemapModel.insert1({"model_id": 1, "model_name": "net"})
    tables.ModelFile.insert1({"model_id": 1, "model_file": str(path)})
    (model,) = newest_models(tables, {}, 1)
    assert model.files[0].name == "réseau.pt"
    assert read_file(tables, model, model.files[0]).content == WEIGHTS


@pytest.mark.parametrize("stored", [b"", b"no end of a name"])
def test_what_is_no_attachment_says_so(poses: Poses, stored: bytes) -> None:
    poses.add_model()
    table = poses.inference.ModelFile.full_table_name
    poses.world.database.execute(f"UPDATE {table} SET model_file = %s", (stored,))
    (model,) = newest_models(poses.inference, {}, 1)
    assert "holds no attachment" in model.files[0].problem
    with pytest.raises(InputError, match="There is no file in model_file of model_id=7"):
        read_file(poses.inference, model, model.files[0])


def test_a_file_that_is_too_large_or_gone_is_refused_in_one_sentence(poses: Poses) -> None:
    model = poses.add_model()
    with pytest.raises(InputError, match=r"net\.pt in model_file of model_id=7 has 0 MiB, more than"):
        read_file(poses.inference, model, model.files[0], max_bytes=10)
    poses.inference.ModelFile.delete(part_integrity="ignore", prompt=False)
    with pytest.raises(InputError, match=r"net\.pt of model model_id=7 was deleted"):
        read_file(poses.inference, model, model.files[0])


def test_a_model_is_added_wholly_or_not_at_all(poses: Poses) -> None:
    poses.add_model()
    before = newest_models(poses.inference, {}, 10)
    with pytest.raises(dj.errors.DuplicateError):
        add_model(poses.inference, 7, "other", Attachment("other.pt", b"x"), body_parts=("ear",))
    assert newest_models(poses.inference, {}, 10) == before
    assert len(poses.inference.BodyPart & {"body_part": "ear"}) == 0


REFERENCES: list[tuple[object, ModelFile | str]] = [
    ({"path": "n/a.pt", "store": "models", "size": 12}, ModelFile(name="a.pt", uri="s3://m/p/n/a.pt", size=12)),
    (
        {"path": "_hash/lab/abc", "store": "models", "size": 12, "hash": "abc", "schema": "lab"},
        ModelFile(name="abc", uri="s3://m/p/_hash/lab/abc", wrapped=True),
    ),
    ({"path": "a.pt", "store": None}, "lies in the object store 'default': add it to the pipeline's stores"),
    ({"path": "a.pt", "store": "other"}, "lies in the object store 'other'"),
    ({"path": "nets", "store": "models", "is_dir": True}, "is the folder nets, not a file"),
    ({"path": "../a.pt", "store": "models"}, "which is no path in a store"),
    ({"hash": "abc"}, "is kept in a way that can't be read"),
    ("text", "is kept in a way that can't be read"),
]
"""As DataJoint 2 writes them, and what is told of each: a file, or why it can't be had."""


def test_references_to_an_object_store_are_told(make_world, database_settings) -> None:
    world = make_world(SUBJECT_KEY)
    name = f"{database_settings.prefix}inference"
    tables = declare_inference(world.database, name, element=world.element)
    table = tables.ModelFile.full_table_name
    if world.database.backend == "postgresql":
        world.database.execute(f"ALTER TABLE {table} ALTER COLUMN model_file TYPE json USING '{{}}'::json")
        world.database.execute(f"COMMENT ON COLUMN {table}.model_file IS ':<filepath@models>:weights'")
    else:
        world.database.execute(f"ALTER TABLE {table} MODIFY model_file JSON NOT NULL COMMENT ':<filepath@models>:'")
    for number, (reference, _) in enumerate(REFERENCES):
        tables.FacemapModel.insert1({"model_id": number, "model_name": "net"})
        sql = f"INSERT INTO {table} (model_id, model_file) VALUES (%s, %s)"
        world.database.execute(sql, (number, json.dumps(reference)))
    other = Database(database_settings)
    opened = open_inference(other, name, element=open_element(other, world.element.schema))
    keys = [{"model_id": number} for number in range(len(REFERENCES))]
    found = read_models(opened, keys, {"models": "s3://m/p"})
    for key, (reference, expected) in zip(keys, REFERENCES, strict=True):
        (file,) = found[canonical_key(key)].files
        if isinstance(expected, str):
            assert expected in file.problem, reference
            assert file.uri == ""
        else:
            assert file == expected
    with pytest.raises(ConfigError, match="insert the model with DataJoint"):
        add_model(opened, 99, "net", Attachment("net.pt", WEIGHTS), body_parts=())
    other.close()


@pytest.mark.parametrize("name", ["", "a/b.pt", "a\\b.pt", "a\0b"])
def test_a_name_that_is_none_of_a_file_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no base name"):
        wrap(Attachment(name, b"x"))


def test_an_attachment_is_a_name_and_the_bytes_that_follow_it() -> None:
    attachment = Attachment("réseau.pt", b"\0\0bytes")
    assert unwrap(wrap(attachment)) == attachment
    assert unwrap(b"C:\\lab\\net.pt\0x") == Attachment("net.pt", b"x")
    with pytest.raises(ValueError, match="holds no file"):
        unwrap(b"net.pt")
