"""The rows of FacemapTask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fmdj_cloud.contracts import Kind
from fmdj_cloud.pipeline.codec import decode_parameters
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.element import Element
from fmdj_cloud.pipeline.ledger import Ledger
from fmdj_cloud.pipeline.tasks import UNREADABLE, Content, Key, Tasks
from fmdj_cloud.settings import PipelineSettings

_BLOB = "facemap_params"


class SvdTasks(Tasks):
    """The FacemapTask rows of one pipeline; done when they have a FacialSignal.

    Parameters
    ----------
    database : Database
    element : Element
    ledger : Ledger
    pipeline : PipelineSettings
    claimed_only : bool
        Whether only tasks that belong to a FacemapRun are pending.
    """

    kind = Kind.SVD
    name = "FacemapTask"
    result_name = "FacialSignal"
    output_dir = "facemap_output_dir"
    wanted = (_BLOB, "do_mot_svd", "do_mov_svd", "task_mode")

    def __init__(
        self,
        database: Database,
        element: Element,
        ledger: Ledger,
        pipeline: PipelineSettings,
        *,
        claimed_only: bool = False,
    ) -> None:
        super().__init__(
            *(database, element, ledger, pipeline.name, element.FacemapTask, element.FacialSignal),
            claimed_only=claimed_only,
        )

    def _contents(self, rows: Sequence[tuple[Key, Mapping[str, Any]]]) -> list[Content]:
        return [self._content(key, row) for key, row in rows]

    def _content(self, key: Key, row: Mapping[str, Any]) -> Content:
        raw = row[_BLOB]
        flags = {"do_mot_svd": bool(row["do_mot_svd"]), "do_mov_svd": bool(row["do_mov_svd"])}
        digested = {**flags, "task_mode": row["task_mode"]}
        fields = {**flags, "task_id": key["facemap_task_id"]}
        try:
            params = decode_parameters(self.table.heading[_BLOB], raw)
        except Exception as error:  # a damaged blob raises anything, and must stop no other task
            # Its bytes stand for it, so that an edit is seen
            damaged = raw.tobytes() if isinstance(raw, memoryview) else bytes(raw)
            return self._unreadable(fields, digested | {_BLOB: damaged}, f"{_BLOB} can't be read: {error}", key)
        if isinstance(params, np.ndarray) and params.shape == ():  # as numpy loads a _proc.npy
            params = params.item()
        digested[_BLOB] = params
        if not isinstance(params, Mapping):
            kind = type(params).__name__
            problem = f"{_BLOB} is of type {kind}, not a dict of Facemap's arguments or a whole _proc.npy dict"
            return self._unreadable(fields, digested, problem, key)
        fields["params"] = {str(name): value for name, value in params.items()}
        return Content(fields, digested)

    def _unreadable(self, fields: dict[str, Any], digested: dict[str, Any], problem: str, key: Key) -> Content:
        # A name that no parser knows: whoever overlooks the problem computes nothing with defaults
        return Content(fields | {"params": {UNREADABLE: None}, "params_problem": self._again(problem, key)}, digested)
