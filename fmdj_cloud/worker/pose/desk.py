"""What only pose inference needs on the desk, and the parent's errands for it: the child knows no store."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fmdj_cloud.contracts import Kind, RunSpec
from fmdj_cloud.errors import ChangedError, FmdjError, InputMissingError, IntegrityError, ObjectMissingError
from fmdj_cloud.storage import uri as uris
from fmdj_cloud.storage.base import Store
from fmdj_cloud.worker.handover import Desk
from fmdj_cloud.worker.pose.parts import INFO_MAX_BYTES, data_of, part_infos, understood
from fmdj_cloud.worker.stop import Stop

log = logging.getLogger(__name__)

PARTS = "parts"
"""Folder of finished parts in a pod's folder."""
_PART = re.compile(rf"[^/]+/{PARTS}/part-[0-9]+\.json")
_LOOK_S = 0.5
_LAST_S = 5.0
"""How long the last parts are waited for when the computation is over."""


def model_path(desk: Desk) -> Path:
    """Return where the model lies."""
    return desk.folder / "model" / "model.pt"


def own_parts(desk: Desk) -> Path:
    """Return the folder of the parts that this attempt finishes."""
    return desk.folder / PARTS


def earlier_parts(desk: Desk) -> Path:
    """Return the folder of the parts that earlier attempts have finished."""
    return desk.folder / "earlier"


def fetch_for_pose(store: Store, spec: RunSpec, desk: Desk, *, stop: Stop, others: tuple[str, ...] = ()) -> None:
    """Download the model and finished parts of earlier attempts; nothing happens for a run of another kind.

    Parameters
    ----------
    store : Store
    spec : RunSpec
    desk : Desk
    stop : Stop
    others : tuple of str
        Attempt folders, beside those of earlier attempts, whose finished parts may be used.

    Raises
    ------
    InputMissingError
        If the model is gone.
    ChangedError
        If it was replaced since the run was planned.
    """
    if spec.kind is not Kind.POSE or spec.pose is None:
        return
    for folder in (model_path(desk).parent, own_parts(desk), earlier_parts(desk)):
        folder.mkdir()

    def progress(done: int, total: int) -> None:
        stop.check()

    try:
        store.download(spec.pose.model_uri, model_path(desk), sha256=spec.pose.model_sha256, progress=progress)
    except ObjectMissingError as error:
        raise InputMissingError(
            f"The model {spec.pose.model_uri} was there when the run was planned and is gone: put it back, then retry.",
            check="missing",
        ) from error
    except IntegrityError as error:
        raise ChangedError(
            f"The model {spec.pose.model_uri} isn't the one with which the run was planned: it is planned again."
        ) from error
    for folder_uri in (*others, *spec.resume_from):
        _fetch_parts(store, spec, folder_uri, earlier_parts(desk), stop)


@contextmanager
def parts_kept(store: Store, spec: RunSpec, nonce: str, desk: Desk) -> Iterator[None]:
    """Upload every part that the child finishes while it computes; nothing happens for a run of another kind.

    A store that is down for a while doesn't end the computation: what can't be uploaded is tried again.
    """
    if spec.kind is not Kind.POSE:
        yield
        return
    courier = _Courier(store, uris.join(spec.attempt_uri, nonce, PARTS), own_parts(desk))
    courier.start()
    try:
        yield
    finally:
        courier.close()


class _Courier:
    def __init__(self, store: Store, folder_uri: str, folder: Path) -> None:
        self._store = store
        self._folder_uri = folder_uri
        self._folder = folder
        self._sent: set[Path] = set()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="courier", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._end.set()
        self._thread.join(_LAST_S)

    def _run(self) -> None:
        while not self._end.wait(_LOOK_S):
            self._send()
        self._send()

    def _send(self) -> None:
        for info in part_infos(self._folder):
            if info in self._sent:
                continue
            data = data_of(info)
            try:
                self._store.upload(data, uris.join(self._folder_uri, data.name))
                self._store.upload(info, uris.join(self._folder_uri, info.name))  # last: it makes the part count
            except FmdjError as error:
                log.warning("a finished part can't be kept yet: %s", error.sentence)
                return
            self._sent.add(info)


def _fetch_parts(store: Store, spec: RunSpec, folder_uri: str, folder: Path, stop: Stop) -> None:
    base = len(folder_uri.rstrip("/")) + 1
    described = [info.uri for info in store.list(folder_uri) if _PART.fullmatch(info.uri[base:])]
    for uri in described:
        stop.check()
        target = folder / f"part-{len(part_infos(folder))}.json"
        try:
            data = store.get_bytes(uri, max_bytes=INFO_MAX_BYTES)
            info = understood(data, spec.content_digest)
            if info is None:
                log.warning("%s isn't a part of this run: it is computed again", uri)
                continue
            store.download(f"{uri.removesuffix('.json')}.npy", data_of(target), sha256=info.sha256)
        except (ObjectMissingError, IntegrityError) as error:
            log.warning("a part of an earlier attempt can't be used: %s", error.sentence)
            continue
        target.write_bytes(data)
