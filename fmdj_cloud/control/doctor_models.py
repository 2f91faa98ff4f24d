"""Can the pose models of a lab be had? The part of ``fmdj doctor`` that looks at FacemapModel."""

from __future__ import annotations

from collections.abc import Iterator

from fmdj_cloud.contracts import ModelRecord
from fmdj_cloud.control.finding import Finding, Verdict, judged
from fmdj_cloud.errors import FmdjError
from fmdj_cloud.names import display_key
from fmdj_cloud.pipeline.lab import Lab
from fmdj_cloud.pipeline.models import newest_models
from fmdj_cloud.storage import Store

_LOOKED_AT = 50


def diagnose_models(lab: Lab, store: Store) -> Iterator[Finding]:
    """Check that the newest models have body parts, and a file that can be read.

    Parameters
    ----------
    lab : Lab
    store : Store
        Asked for the files that lie in an object store.

    Yields
    ------
    Finding
        One for a lab with pose inference, none for others.
    """
    if lab.inference is None:
        return
    models = newest_models(lab.inference, lab.settings.stores, _LOOKED_AT)
    troubles = [trouble for model in models for trouble in _troubles(model, store)]
    number = "no model yet" if not models else f"{len(models)} model{'s' if len(models) > 1 else ''} with all they need"
    yield judged(
        f"models of {lab.name}",
        not troubles,
        " ".join(troubles) if troubles else f"{lab.inference.schema} has {number}.",
        "Insert what is missing into FacemapModel.BodyPart and FacemapModel.File; tasks with these models are refused.",
        Verdict.WARN,
    )


def _troubles(model: ModelRecord, store: Store) -> Iterator[str]:
    name = f"Model {display_key(model.key)}"
    if not model.body_parts:
        yield f"{name} has no body parts."
    if not model.files:
        yield f"{name} has no file."
    for file in model.files:
        if file.problem:
            yield file.problem
        elif file.uri:
            try:
                store.head(file.uri)
            except FmdjError as error:
                yield f"{name}: {error.sentence}"
