"""Where results come from: the run that computed them, with its versions and repairs, as far as that is known."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import Field

from fmdj_cloud import __version__
from fmdj_cloud.contracts import Frozen, Kind, Manifest, Origin, RunRecord, RunState, SignalOrigin
from fmdj_cloud.errors import StorageError
from fmdj_cloud.names import canonical_key
from fmdj_cloud.pipeline.lab import Lab
from fmdj_cloud.pipeline.ledger import Ledger
from fmdj_cloud.storage.base import Store
from fmdj_cloud.storage.manifests import parse_manifest, pinned_bytes

_ORIGINS = {
    Origin.FACEMAP: "Facemap's",
    Origin.REPAIRED: "Facemap's",
    Origin.TURBO: "fmdj-cloud's engine turbo",
    Origin.IMPORT: "a file of Facemap's that the lab had",
}
OWN_ENGINE = "fmdj "
"""What a row's version begins with where our engine turbo computed the result, not Facemap."""


class Source(Frozen):
    """Where the results of one task come from."""

    table: str
    """Class name of the task table."""
    task: str
    """Canonical key."""
    package_version: str = ""
    """Of Facemap, as the result's row says."""
    processed: str = ""
    """When, as the result's row says."""
    run_id: str = ""
    attempt: int = 0
    content_digest: str = ""
    manifest_sha256: str = ""
    """Empty where the rows aren't those of a run of ours."""
    manifest: Manifest | None = None
    """None where it can't be read any more."""
    parameters: dict[str, Any] = Field(default_factory=dict)
    problem: str = ""
    """What couldn't be found out, and why."""

    @property
    def signals(self) -> tuple[SignalOrigin, ...]:
        """Where each signal comes from, and what was repaired."""
        return () if self.manifest is None else self.manifest.signals

    def version(self, name: str) -> str:
        """Return a version that the manifest tells; of Facemap else what the row says.

        Parameters
        ----------
        name : str
            Of a package. ``facemap`` has a version only where Facemap itself computed: never for the engine turbo.
        """
        found = "" if self.manifest is None else self.manifest.versions.get(name, "")
        if name == "facemap" and not found and not self.package_version.startswith(OWN_ENGINE):
            return self.package_version
        return found

    @property
    def computed_by(self) -> str:
        """What computed the results, with its version, for people: empty where nothing tells."""
        facemap, ours = self.version("facemap"), "" if self.manifest is None else self.manifest.versions.get("fmdj", "")
        if any(signal.origin is Origin.TURBO for signal in self.signals):
            return f"fmdj-cloud's engine turbo {ours}".rstrip()
        if self.package_version.startswith(OWN_ENGINE):
            return f"fmdj-cloud's engine turbo {self.package_version.removeprefix(OWN_ENGINE)}"
        return f"Facemap {facemap}" if facemap else ""

    def repairs(self, roi_no: int, signal: str) -> str:
        """Return what was done to a signal, for its description: empty where nothing is known."""
        for origin in self.signals:
            if origin.roi_no == roi_no and origin.signal == signal:
                faults = f", repaired: {', '.join(origin.repairs)}" if origin.repairs else ""
                note = f" ({origin.note})" if origin.note else ""
                return f"Origin: {_ORIGINS[origin.origin]}{faults}{note}."
        return ""

    def as_dict(self) -> dict[str, Any]:
        """Return all of it for a file."""
        found: dict[str, Any] = {"task_table": self.table, "task": json.loads(self.task)}
        found |= {name: value for name, value in self._of_run().items() if value}
        if self.parameters:
            found["parameters"] = self.parameters
        if self.problem:
            found["problem"] = self.problem
        return found

    def _of_run(self) -> dict[str, Any]:
        said = self.model_dump(
            include={"package_version", "processed", "run_id", "attempt", "content_digest", "manifest_sha256"}
        )
        if self.manifest is not None:
            told = self.manifest.model_dump(mode="json", include={"versions", "device", "signals", "warnings"})
            said |= told | {"frames": [list(view.frames) for view in self.manifest.views]}
        return said


def find_source(
    lab: Lab, ledger: Ledger, store: Store, kind: Kind, key: Mapping[str, Any], parameters: dict[str, Any]
) -> Source:
    """Return where a task's results come from.

    Parameters
    ----------
    lab : Lab
    ledger : Ledger
    store : Store
        Asked for the manifest.
    kind : Kind
        Of the task table.
    key : Mapping
    parameters : dict
        Of the task, as JSON has it; empty where they can't be read.
    """
    said: dict[str, Any] = {"table": lab.tasks(kind).name, "task": canonical_key(key), "parameters": parameters}
    said |= _row_says(lab, kind, key)
    run = _loaded_run(lab, ledger, kind, key)
    if run is None:
        return Source(**said, problem="These rows are not those of a run in the ledger: somebody else wrote them.")
    said |= {
        "run_id": run.run_id,
        "attempt": run.attempt,
        "content_digest": run.content_digest,
        "manifest_sha256": run.manifest_sha256 or "",
    }
    manifest, problem = manifest_of(ledger, store, run)
    return Source(**said, manifest=manifest, problem=problem)


def document(pipeline: str, sources: tuple[Source, ...], notes: tuple[str, ...]) -> dict[str, Any]:
    """Return what a file says of its own making."""
    return {
        "exported_by": f"fmdj-cloud {__version__}",
        "pipeline": pipeline,
        "sources": [source.as_dict() for source in sources],
        "notes": list(notes),
    }


def _row_says(lab: Lab, kind: Kind, key: Mapping[str, Any]) -> dict[str, str]:
    if kind is Kind.POSE:
        if lab.inference is None:
            return {}
        table, columns = lab.inference.FacemapInference, {"processed": "inference_completion_time"}
    else:
        table = lab.element.FacemapProcessing
        columns = {"processed": "processing_time", "package_version": "package_version"}
    rows: list[dict[str, Any]] = (table & dict(key)).to_dicts()
    row = rows[0] if rows else {}
    return {name: str(row.get(column) or "") for name, column in columns.items()}


def _loaded_run(lab: Lab, ledger: Ledger, kind: Kind, key: Mapping[str, Any]) -> RunRecord | None:
    binding = ledger.binding(lab.name, kind, key)
    run = ledger.run(binding.run_id) if binding is not None and binding.run_id else None
    return run if run is not None and run.state is RunState.LOADED and run.manifest_sha256 else None


def manifest_of(ledger: Ledger, store: Store, run: RunRecord) -> tuple[Manifest | None, str]:
    """Return the manifest that a run has pinned, and what the problem is where it can't be read."""
    attempt = ledger.attempt(run.run_id, run.attempt)
    if attempt is None:
        return None, f"Attempt {run.attempt} of run {run.run_id} isn't in the ledger."
    try:
        data = pinned_bytes(store, attempt.folder, run.manifest_sha256 or "")
        manifest = None if data is None else parse_manifest(data)[0]
    except (StorageError, ValueError) as error:
        return None, f"The manifest of run {run.run_id} can't be read ({error}): versions and repairs aren't known."
    if manifest is None:
        return None, f"The manifest of run {run.run_id} is gone: versions and repairs aren't known."
    return manifest, ""
