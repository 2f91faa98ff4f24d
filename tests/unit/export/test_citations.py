"""Whom to cite: the works of CITATION.cff, and the versions that results tell."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from fmdj_cloud.contracts import Kind
from fmdj_cloud.export.citations import ARTICLES, STRINGER, SYEDA, citations
from fmdj_cloud.export.provenance import Source
from tests.support.docs.pages import ROOT

CFF = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))


def source(version: str = "1.0.8", **more: Any) -> Source:
    return Source(table="FacemapTask", task="{}", package_version=version, **more)


def test_articles_are_those_of_the_citation_file() -> None:
    told = [
        (
            tuple(f"{author['family-names']}, {author['given-names']}" for author in one["authors"]),
            one["title"],
            one["year"],
            one["journal"],
            f"https://doi.org/{one['doi']}",
        )
        for one in CFF["references"]
    ]
    assert [(work.authors, work.title, work.year, work.journal, work.link) for work in ARTICLES] == told


@pytest.mark.parametrize(("kinds", "wanted"), [([Kind.SVD], True), ([Kind.POSE], False), ([Kind.SVD, Kind.POSE], True)])
def test_the_article_on_svd_is_for_svd(kinds: list[Kind], wanted: bool) -> None:
    works = citations([(kind, source()) for kind in kinds]).works
    assert SYEDA in works
    assert (STRINGER in works) is wanted


def test_versions_are_those_that_computed_and_each_is_told_once() -> None:
    cited = citations([(Kind.SVD, source("1.0.8")), (Kind.SVD, source("1.0.7")), (Kind.SVD, source("1.0.8"))])
    assert cited.results == 3
    assert cited.versions == {"facemap": ("1.0.7", "1.0.8")}


def test_what_is_not_known_is_said() -> None:
    cited = citations([(Kind.SVD, source("", problem="Somebody else wrote them."))])
    assert cited.versions == {}
    assert cited.notes == ("FacemapTask {}: Somebody else wrote them.",)


def test_references_can_be_read_and_put_into_bibtex() -> None:
    assert SYEDA.text().startswith("Syeda, Atika; Zhong, Lin; ")
    assert SYEDA.text().endswith(
        "(2024). Facemap: a framework for modeling neural activity based on orofacial tracking. "
        "Nature Neuroscience, 27, 187-195. https://doi.org/10.1038/s41593-023-01490-6"
    )
    assert SYEDA.bibtex().startswith("@article{syeda2024,\n  author = {Syeda, Atika and Zhong, Lin and ")
    (ours,) = (work for work in citations([(Kind.POSE, source())]).works if not work.journal)
    assert ours.bibtex().startswith("@software{fmdjcloud,\n")
