"""Citations name the model, the Element's version and what DataJoint asks for."""

from __future__ import annotations

import pytest

from fmdj_cloud.cli.cite import cite
from fmdj_cloud.contracts import Kind
from fmdj_cloud.errors import UsageError
from fmdj_cloud.export.citations import DATAJOINT, SYEDA, Model, citations, works_of
from fmdj_cloud.export.provenance import Source


def test_models_and_the_element_are_named_once_each() -> None:
    source = Source(table="FacemapInferenceTask", task="{}", package_version="1.0.8")
    model = Model(name="my_mice #2", sha256="ab" * 32)
    cited = citations([(Kind.POSE, source)] * 2, element=["0.3.0", "0.3.0", ""], models=[model, model])
    assert cited.versions == {"facemap": ("1.0.8",), "element-facemap": ("0.3.0",)}
    (work,) = [work for work in cited.works if "my_mice" in work.title]
    assert work.text() == f"Those who trained it. Pose model my_mice #2. SHA-256 {'ab' * 32}"
    assert r"title = {{Pose model my\_mice \#2}}" in work.bibtex()


def test_results_of_our_own_engine_tell_no_version_of_facemap() -> None:
    source = Source(table="FacemapTask", task="{}", package_version="fmdj 0.1.0")
    assert citations([(Kind.SVD, source)]).versions == {}


def test_a_session_that_nobody_names_is_asked_for() -> None:
    with pytest.raises(UsageError, match="Say which session"):
        cite(session=True)


def test_articles_have_their_fields_and_datajoint_its_identifier() -> None:
    entry = SYEDA.bibtex()
    for field in ("volume = {27}", "number = {1}", "pages = {187--195}", "doi = {10.1038/s41593-023-01490-6}"):
        assert field in entry
    assert "note" not in entry
    assert DATAJOINT.text().endswith("RRID:SCR_014543")
    assert r"note = {RRID:SCR\_014543}" in DATAJOINT.bibtex()


def test_without_results_the_works_of_a_kind_are_named() -> None:
    assert {work.name for work in works_of((Kind.POSE,)).works} == {
        *("syeda2024", "fmdjcloud", "yatsenko2015", "yatsenko2021"),
    }
    assert "stringer2019" in {work.name for work in works_of((Kind.SVD, Kind.POSE)).works}
