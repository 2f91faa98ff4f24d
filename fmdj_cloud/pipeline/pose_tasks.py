"""The rows of FacemapInferenceTask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fmdj_cloud.contracts import Kind, ModelRecord
from fmdj_cloud.names import canonical_key
from fmdj_cloud.pipeline.codec import decode_parameters
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.element import Element
from fmdj_cloud.pipeline.inference import MODEL_ID, Inference
from fmdj_cloud.pipeline.ledger import Ledger
from fmdj_cloud.pipeline.models import read_models
from fmdj_cloud.pipeline.tasks import Content, Key, Tasks
from fmdj_cloud.settings import PipelineSettings

_BLOB = "bbox"


class PoseTasks(Tasks):
    """The FacemapInferenceTask rows of one pipeline; done when they have a FacemapInference.

    Parameters
    ----------
    database : Database
    element : Element
        Whose recordings they are about.
    inference : Inference
    ledger : Ledger
    pipeline : PipelineSettings
    claimed_only : bool
        Whether only tasks that belong to a FacemapRun are pending.
    """

    kind = Kind.POSE
    name = "FacemapInferenceTask"
    result_name = "FacemapInference"
    wanted = (_BLOB, "task_mode")

    def __init__(
        self,
        database: Database,
        element: Element,
        inference: Inference,
        ledger: Ledger,
        pipeline: PipelineSettings,
        *,
        claimed_only: bool = False,
    ) -> None:
        self.output_dir = inference.output_dir
        self._inference = inference
        self._stores = dict(pipeline.stores)
        super().__init__(
            *(database, element, ledger, pipeline.name, inference.FacemapInferenceTask, inference.FacemapInference),
            claimed_only=claimed_only,
        )

    def _contents(self, rows: Sequence[tuple[Key, Mapping[str, Any]]]) -> list[Content]:
        names = self._inference.FacemapModel.primary_key
        keys = [{name: key[name] for name in names} for key, _ in rows]
        distinct = list({canonical_key(key): key for key in keys}.values())
        models = read_models(self._inference, distinct, self._stores)
        return [
            self._content(key, row, models.get(canonical_key(model)))
            for (key, row), model in zip(rows, keys, strict=True)
        ]

    def _content(self, key: Key, row: Mapping[str, Any], model: ModelRecord | None) -> Content:
        raw = row[_BLOB]
        fields: dict[str, Any] = {"task_id": int(key[MODEL_ID]), "model": model}
        found = None if model is None else [list(model.body_parts), [file.model_dump() for file in model.files]]
        digested = {"task_mode": row["task_mode"], "model": found}
        try:
            bbox = decode_parameters(self.table.heading[_BLOB], raw)
        except Exception as error:  # a damaged blob raises anything, and must stop no other task
            # Its bytes stand for it, so that an edit is seen
            damaged = raw.tobytes() if isinstance(raw, memoryview) else bytes(raw)
            problem = self._again(f"{_BLOB} can't be read: {error}", key)
            return Content(fields | {"params_problem": problem}, digested | {_BLOB: damaged})
        return Content(fields | {"bbox": bbox}, digested | {_BLOB: bbox})
