"""What a report says of one result beside its pictures: pure."""

from __future__ import annotations

from collections.abc import Iterator

from fmdj_cloud.contracts import Manifest
from fmdj_cloud.report.results import Result


def provenance(result: Result) -> tuple[tuple[str, str], ...]:
    """Return what is known of the making of a result, as names and values."""
    return tuple((name, value) for name, value in _provenance(result) if value)


def _provenance(result: Result) -> Iterator[tuple[str, str]]:
    lab = result.choice.lab
    yield "pipeline", lab.name
    yield "table", f"{lab.element.schema}.{result.choice.tasks.result_name}"
    run = result.run
    if run is not None:
        yield "run", run.run_id
        yield "state", run.state.value if result.is_loaded else f"{run.state.value}: {run.sentence or 'not loaded'}"
        yield "attempt", str(run.attempt)
        yield "content digest", run.content_digest
        yield "manifest, SHA-256", run.manifest_sha256 or ""
    if result.attempt is not None:
        yield "folder", result.attempt.folder
    for name, value in result.row_says.items():
        yield f"row's {name}", value
    if result.manifest is not None:
        yield from _manifest(result.manifest)
    model = result.task.model
    if model is not None:
        yield "pose model", model.name


def _manifest(manifest: Manifest) -> Iterator[tuple[str, str]]:
    yield "did", manifest.kind.value
    yield "reused from", manifest.reused_from
    yield "device", f"{manifest.device}, {manifest.threads} threads"
    for name, version in manifest.versions.items():
        yield f"version of {name}", version
    yield "started, finished", f"{manifest.started:%Y-%m-%d %H:%M:%S}, {manifest.finished:%Y-%m-%d %H:%M:%S}"
    for number, view in enumerate(manifest.views):
        frames = " + ".join(map(str, view.frames))
        yield f"view {number}", f"{view.width} × {view.height} pixels, {frames} frames, {view.fps:g} frames/s"


def origins(manifest: Manifest | None) -> tuple[tuple[str, str, str, str], ...]:
    """Return signal, region, origin and what was done to it, of every signal."""
    if manifest is None:
        return ()
    return tuple(
        (
            one.signal,
            "" if one.roi_no is None else str(one.roi_no),
            one.origin.value,
            "; ".join(filter(None, (f"repaired: {', '.join(one.repairs)}" if one.repairs else "", one.note))),
        )
        for one in manifest.signals
    )
