"""A file says which Facemap computed, and of a result of our own engine not that Facemap did."""

from __future__ import annotations

import pytest

from fmdj_cloud.contracts import Kind, Manifest, Origin, SignalOrigin
from fmdj_cloud.export.citations import citations
from fmdj_cloud.export.provenance import Source


def source(package_version: str, origin: Origin | None = None, **versions: str) -> Source:
    manifest = None
    if origin is not None:
        signals = (SignalOrigin(signal="motion", roi_no=0, origin=origin),)
        manifest = Manifest.model_construct(versions=versions, signals=signals)
    return Source.model_construct(
        table="FacemapTask", task="{}", package_version=package_version, manifest=manifest, problem=""
    )


@pytest.mark.parametrize(
    ("found", "facemap", "by"),
    [
        (source("1.0.8", Origin.FACEMAP, facemap="1.0.8", fmdj="0.2.0"), "1.0.8", "Facemap 1.0.8"),
        (source("fmdj 0.2.0", Origin.TURBO, fmdj="0.2.0"), "", "fmdj-cloud's engine turbo 0.2.0"),
        (source("fmdj 0.2.0"), "", "fmdj-cloud's engine turbo 0.2.0"),  # the manifest is gone
        (source("1.0.8"), "1.0.8", "Facemap 1.0.8"),
        (source("", Origin.IMPORT, fmdj="0.2.0"), "", ""),
    ],
)
def test_what_computed_is_told_honestly(found: Source, facemap: str, by: str) -> None:
    assert (found.version("facemap"), found.computed_by) == (facemap, by)
    assert citations([(Kind.SVD, found)]).versions.get("facemap", ()) == ((facemap,) if facemap else ())
