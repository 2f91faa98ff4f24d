"""Which file of a pose model holds its weights, and where workers find it. It is never opened here."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from fmdj_cloud.contracts import ModelFile, ModelRecord
from fmdj_cloud.errors import ChangedError, InputError, LostRaceError, ObjectMissingError, PreconditionError
from fmdj_cloud.names import display_key
from fmdj_cloud.pipeline.lab import Lab
from fmdj_cloud.pipeline.models import MODEL_MAX_BYTES, read_file
from fmdj_cloud.settings import PipelineSettings
from fmdj_cloud.storage import uri as uris
from fmdj_cloud.storage.base import ObjectInfo, Store

ReadAttachment = Callable[[ModelRecord, ModelFile], bytes]
MODELS_FOLDER = ".fmdj/models"
"""Where attachments are exported to, relative to the processed root."""
_SLICE_BYTES = 16 << 20
_NAME_MAX_BYTES = 4096
"""Of an attachment's name, which stands before its bytes."""
_MIB = 1 << 20


@dataclass(frozen=True)
class ModelRef:
    """Weights that a worker can fetch.

    Attributes
    ----------
    uri : str
    sha256 : str
    size : int
        Bytes.
    """

    uri: str
    sha256: str
    size: int


def weights_of(model: ModelRecord) -> ModelFile:
    """Return the file of a model that holds its weights: pure.

    A model may have several, such as the parameters that Facemap keeps beside them: the one that is called after the
    model counts, then the only ``.pt``, then the only ``.pth`` that isn't called parameters.

    Raises
    ------
    InputError
        If there is none, or it can't be told, or its bytes can't be had (check ``model``).
    """
    called = f"Model {model.name!r} ({display_key(model.key)})"
    if not model.files:
        raise _refused(f"{called} has no file: insert its weights into FacemapModel.File")
    chosen = next((found for found in _choices(model) if len(found) == 1), None)
    if chosen is None:
        there = ", ".join(sorted(file.name or "(unreadable)" for file in model.files))
        raise _refused(
            f"{called} has {len(model.files)} files ({there}) and none is called {model.name}.pt or is the only .pt: "
            "leave only the weights in FacemapModel.File, or name them after the model"
        )
    (file,) = chosen
    if file.problem:
        raise InputError(file.problem, check="model")
    _check_size(file.name, file.size)
    return file


def _choices(model: ModelRecord) -> Iterator[list[ModelFile]]:
    yield list(model.files)
    yield [file for file in model.files if PurePosixPath(file.name).stem == model.name]
    yield [file for file in model.files if _suffix(file) == ".pt"]
    yield [file for file in model.files if _suffix(file) == ".pth" and "params" not in file.name.lower()]


def _suffix(file: ModelFile) -> str:
    return PurePosixPath(file.name).suffix.lower()


class Models:
    """Finds the weights of models, and puts those that lie in the database where workers reach them.

    Parameters
    ----------
    store : Store
    pipeline : PipelineSettings
    read : callable
        Returns the bytes of an attachment.
    export : bool
        Whether attachments are put into the store; without it a plan stays on paper.
    """

    def __init__(self, store: Store, pipeline: PipelineSettings, read: ReadAttachment, *, export: bool) -> None:
        self._store = store
        self._root = pipeline.processed_root
        self._read = read
        self._export = export

    def ref(self, model: ModelRecord) -> ModelRef:
        """Return where a model's weights lie, and which they are.

        An attachment is exported once, to ``<processed root>/.fmdj/models/<sha256>.pt``. An object stays where it
        is, unless it isn't the weights alone.

        Raises
        ------
        InputError
            Check ``model``: as :func:`weights_of`, or if an object isn't there or is too large.
        LostRaceError
            If the weights are being replaced at this moment.
        """
        file = weights_of(model)
        if not file.uri:
            return self._attachment(model, file)
        found = self._head(file)
        if file.wrapped:
            return self._unwrapped(found)
        sha256 = file.sha256 or found.sha256 or self._digest(found)
        return ModelRef(found.uri, sha256, found.size)

    def _attachment(self, model: ModelRecord, file: ModelFile) -> ModelRef:
        if file.sha256 and file.size is not None:
            ref = self._place(file.sha256, file.size)
            if not self._export or self._is_there(ref):
                return ref
        try:
            data = self._read(model, file)
        except ChangedError as error:
            raise LostRaceError(error.sentence) from error
        _check_size(file.name, len(data))
        ref = self._place(hashlib.sha256(data).hexdigest(), len(data))
        if file.sha256 and ref.sha256 != file.sha256:
            raise LostRaceError(
                f"The file {file.name} of model {model.name!r} was replaced at this moment: look again."
            )
        self._put(ref, data)
        return ref

    def _unwrapped(self, found: ObjectInfo) -> ModelRef:
        """Return the weights in an object that holds a name, NUL and them, as DataJoint stores attachments."""
        data = b"".join(self._slices(found))
        start = data.find(b"\0", 0, _NAME_MAX_BYTES) + 1
        if start == 0:
            raise _refused(f"{found.uri} isn't an attachment of DataJoint (a name, NUL and a file): insert it again")
        weights = data[start:]
        _check_size(found.uri, len(weights))
        ref = self._place(hashlib.sha256(weights).hexdigest(), len(weights))
        self._put(ref, weights)
        return ref

    def _place(self, sha256: str, size: int) -> ModelRef:
        return ModelRef(uris.join(self._root, MODELS_FOLDER, f"{sha256}.pt"), sha256, size)

    def _put(self, ref: ModelRef, data: bytes) -> None:
        if self._export and not self._is_there(ref):
            self._store.put_bytes(ref.uri, data)

    def _is_there(self, ref: ModelRef) -> bool:
        """Whether an export is there and whole; one that was damaged is written anew."""
        try:
            found = self._store.head(ref.uri)
        except ObjectMissingError:
            return False
        return found.size == ref.size and (found.sha256 or self._digest(found)) == ref.sha256

    def _head(self, file: ModelFile) -> ObjectInfo:
        try:
            found = self._store.head(file.uri)
        except ObjectMissingError as error:
            raise _refused(
                f"The model's file {file.uri} isn't in the object store: put it back, or insert it again"
            ) from error
        _check_size(file.uri, found.size)
        return found

    def _digest(self, found: ObjectInfo) -> str:
        digest = hashlib.sha256()
        for piece in self._slices(found):
            digest.update(piece)
        return digest.hexdigest()

    def _slices(self, found: ObjectInfo) -> Iterator[bytes]:
        try:
            for start in range(0, found.size, _SLICE_BYTES):
                piece = (start, min(start + _SLICE_BYTES, found.size))
                yield self._store.get_bytes(found.uri, max_bytes=_SLICE_BYTES, if_match=found.etag, byte_range=piece)
        except PreconditionError as error:
            raise LostRaceError(f"The model's file {found.uri} was replaced at this moment: look again.") from error


def models_of(lab: Lab, store: Store, *, export: bool) -> Models | None:
    """Return what finds the weights of a lab's models; None where the lab has none.

    Parameters
    ----------
    lab : Lab
    store : Store
    export : bool
        As of :class:`Models`.
    """
    inference = lab.inference
    if inference is None:
        return None

    def read(model: ModelRecord, file: ModelFile) -> bytes:
        return read_file(inference, model, file).content

    return Models(store, lab.settings, read, export=export)


def _check_size(name: str, size: int | None) -> None:
    if size == 0:
        raise _refused(f"The model's file {name} is empty: insert it again")
    if size is not None and size > MODEL_MAX_BYTES:
        raise _refused(
            f"The model's file {name} has {size // _MIB} MiB and a model at most {MODEL_MAX_BYTES // _MIB}: insert the "
            "weights alone"
        )


def _refused(sentence: str) -> InputError:
    return InputError(f"{sentence}.", check="model")
