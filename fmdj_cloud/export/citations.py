"""Whom to cite for results: the works behind what computed them, with the versions that did."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from fmdj_cloud.contracts import Frozen, Kind
from fmdj_cloud.export.provenance import Source

_DOI = "https://doi.org/"
_URL = "https://github.com/fmdj-cloud/fmdj-cloud"


class Work(Frozen):
    """An article, or a program.

    Attributes
    ----------
    name : str
        Its key in BibTeX.
    authors : tuple of str
        ``Family, Given``.
    journal : str
        Empty for a program.
    place : str
        Volume and pages; of a program, its versions.
    link : str
        Empty where there is none.
    volume, number, pages : str
        Of an article, for BibTeX.
    rrid : str
        Identifier of SciCrunch, which DataJoint asks to cite.
    """

    name: str
    authors: tuple[str, ...]
    title: str
    year: int | None = None
    journal: str = ""
    place: str = ""
    link: str = ""
    volume: str = ""
    number: str = ""
    pages: str = ""
    rrid: str = ""

    def text(self) -> str:
        """Return the reference as a list of references has it."""
        year = f" ({self.year})" if self.year else ""
        where = ", ".join(filter(None, (self.journal, self.place)))
        parts = [f"{'; '.join(self.authors)}{year}", self.title, where, self.link]
        return ". ".join(filter(None, [*parts, f"RRID:{self.rrid}" if self.rrid else ""]))

    def bibtex(self) -> str:
        """Return the reference as an entry for BibTeX."""
        fields = {
            "author": " and ".join(self.authors),
            "title": f"{{{self.title}}}",
            "year": str(self.year or ""),
            "journal": self.journal,
            "volume": self.volume,
            "number": self.number,
            "pages": self.pages.replace("-", "--"),
            "doi": self.link.removeprefix(_DOI) if self.link.startswith(_DOI) else "",
            "note": ", ".join(
                filter(None, ("" if self.volume else self.place, f"RRID:{self.rrid}" if self.rrid else ""))
            ),
            "url": self.link,
        }
        body = "".join(f"  {name} = {{{_for_tex(value)}}},\n" for name, value in fields.items() if value)
        return f"@{'article' if self.journal else 'software'}{{{self.name},\n{body}}}"


STRINGER = Work(
    name="stringer2019",
    authors=(
        "Stringer, Carsen",
        "Pachitariu, Marius",
        "Steinmetz, Nicholas",
        "Reddy, Charu Bai",
        "Carandini, Matteo",
        "Harris, Kenneth D.",
    ),
    title="Spontaneous behaviors drive multidimensional, brainwide activity",
    year=2019,
    journal="Science",
    place="364(6437), eaav7893",
    volume="364",
    number="6437",
    pages="eaav7893",
    link="https://doi.org/10.1126/science.aav7893",
)
SYEDA = Work(
    name="syeda2024",
    authors=(
        "Syeda, Atika",
        "Zhong, Lin",
        "Tung, Renee",
        "Long, Will",
        "Pachitariu, Marius",
        "Stringer, Carsen",
    ),
    title="Facemap: a framework for modeling neural activity based on orofacial tracking",
    year=2024,
    journal="Nature Neuroscience",
    place="27, 187-195",
    volume="27",
    number="1",
    pages="187-195",
    link="https://doi.org/10.1038/s41593-023-01490-6",
)
DATAJOINT = Work(
    name="yatsenko2015",
    authors=(
        "Yatsenko, Dimitri",
        "Reimer, Jacob",
        "Ecker, Alexander S.",
        "Walker, Edgar Y.",
        "Sinz, Fabian",
        "Berens, Philipp",
        "Hoenselaar, Andreas",
        "Cotton, R. James",
        "Siapas, Athanassios S.",
        "Tolias, Andreas S.",
    ),
    title="DataJoint: managing big scientific data using MATLAB or Python",
    year=2015,
    journal="bioRxiv",
    link="https://doi.org/10.1101/031658",
    rrid="SCR_014543",
)
ELEMENTS = Work(
    name="yatsenko2021",
    authors=(
        "Yatsenko, Dimitri",
        "Nguyen, Thinh",
        "Shen, Shan",
        "Gunalan, Kabilar",
        "Turner, Christopher A.",
        "Guzman, Raphael",
        "Sasaki, Maho",
        "Sitonic, Drew",
        "Reimer, Jacob",
        "Walker, Edgar Y.",
        "Tolias, Andreas S.",
    ),
    title="DataJoint Elements: Data Workflows for Neurophysiology",
    year=2021,
    journal="bioRxiv",
    link="https://doi.org/10.1101/2021.03.30.437358",
    rrid="SCR_021894",
)
ARTICLES = (STRINGER, SYEDA, DATAJOINT, ELEMENTS)
"""As CITATION.cff has them."""


class Cited(Frozen):
    """What to cite for some results.

    Attributes
    ----------
    results : int
        How many results that is for.
    versions : dict
        Of every program, the versions that computed them, in words; empty where nothing tells.
    works : tuple of Work
    notes : tuple of str
        What couldn't be found out.
    """

    results: int
    versions: dict[str, tuple[str, ...]]
    works: tuple[Work, ...]
    notes: tuple[str, ...] = ()


class Model(Frozen):
    """A pose model that results were computed with."""

    name: str
    sha256: str = ""
    """Of its file, where that is known."""


def citations(
    sources: Iterable[tuple[Kind, Source]], *, element: Iterable[str] = (), models: Iterable[Model] = ()
) -> Cited:
    """Return what to cite for results.

    Facemap's authors ask for Syeda et al. 2024 where Facemap is used, and for Stringer, Pachitariu et al. 2019 besides
    where its SVD or pupil tracking is.

    Parameters
    ----------
    sources : iterable of (Kind, Source)
        Of each result the kind of its task table, and where it comes from.
    element : iterable of str
        Versions of element-facemap whose tables hold them, as far as they are known.
    models : iterable of Model
        Whoever trained one may ask for more.
    """
    count, kinds, notes = 0, set[Kind](), list[str]()
    versions: dict[str, set[str]] = {"facemap": set(), "fmdj": set(), "torch": set()}
    for kind, source in sources:
        count += 1
        kinds.add(kind)
        if source.problem:
            notes.append(f"{source.table} {source.task}: {source.problem}")
        for name, found in versions.items():
            if name != "torch" or kind is Kind.POSE:
                found |= {source.version(name)} - {""}
    versions["element-facemap"] = set(element) - {""}
    known = {name: tuple(sorted(found)) for name, found in versions.items() if found}
    works = [*works_of(kinds, known).works]
    works += [_model(number, model) for number, model in enumerate(dict.fromkeys(models), 1)]
    return Cited(results=count, versions=known, works=tuple(works), notes=tuple(notes))


def works_of(kinds: Collection[Kind], versions: Mapping[str, tuple[str, ...]] | None = None) -> Cited:
    """Return the works that any result of some kinds stands on.

    Parameters
    ----------
    kinds : collection of Kind
        Of task tables.
    versions : Mapping, optional
        Of programs, where results tell them.
    """
    svd = [STRINGER] if Kind.SVD in kinds else []
    return Cited(results=0, versions={}, works=(SYEDA, *svd, _ourselves(versions or {}), DATAJOINT, ELEMENTS))


def _ourselves(versions: Mapping[str, tuple[str, ...]]) -> Work:
    found = versions.get("fmdj", ())
    return Work(
        name="fmdjcloud",
        authors=("The fmdj-cloud maintainers",),
        title="fmdj-cloud: Facemap results in a DataJoint database",
        place=f"Version {', '.join(found)}" if found else "",
        link=_URL,
    )


def _model(number: int, model: Model) -> Work:
    return Work(
        name=f"posemodel{number}",
        authors=("Those who trained it",),
        title=f"Pose model {model.name}",
        place=f"SHA-256 {model.sha256}" if model.sha256 else "",
    )


def _for_tex(value: str) -> str:
    for special in "&%#_":
        value = value.replace(special, f"\\{special}")
    return value
