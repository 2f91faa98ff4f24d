"""What rows lack that should be there: regions, SVDs, components, signals, body parts. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from fmdj_cloud.audit.facts import FULL, PoseFacts, PoseTruth, SvdFacts, SvdTruth
from fmdj_cloud.audit.findings import Certainty, Finding, Repair

_RELOAD = "Reload the rows from their file with --repair, or delete the {result} row and have it loaded again."
_COMPUTE = "Delete the {result} row and set task_mode='trigger', so that it is computed again."
_MEANT = "Nothing, if it was left out on purpose; else delete the FacialSignal row and have it loaded again."
_SVD_KINDS = (FULL, "motion SVD")
TABLES = {"mot": "MotionSVD", "mov": "MovieSVD"}


def check_missing_svd(facts: SvdFacts, truth: SvdTruth | None, numbers: dict[int, int]) -> Iterator[Finding]:
    """Check ``missing`` of the rows of one FacialSignal.

    Parameters
    ----------
    facts : SvdFacts
    truth : SvdTruth or None
    numbers : dict
        roi_no of the rows -> roi_no of what they should be.
    """
    if not facts.regions:
        yield _missing("Region", truth, Certainty.CERTAIN, "The result has no region: no Region row is there.")
    elif truth is not None and truth.lacking is not None:
        yield from _regions(truth, truth.lacking, set(numbers.values()))
        yield from _svds(facts, truth, truth.lacking, numbers)
        yield from _ours(facts, truth)
    yield from _components(facts, truth, numbers)


def _regions(truth: SvdTruth, sure: Certainty, found: set[int]) -> Iterator[Finding]:
    for of_svd in (True, False):
        lacking = [one for one in truth.regions if one.number not in found and (one.kind in _SVD_KINDS) is of_svd]
        if lacking:
            # Other loaders may leave ROIs without an SVD out
            certainty = sure if of_svd or sure is Certainty.CERTAIN else Certainty.POSSIBLE
            shown = _listed(f"{one.number} ({one.kind})" for one in lacking)
            yield _missing("Region", truth, certainty, f"Region has no row of {shown}, which {_source(truth)}.")


def _svds(facts: SvdFacts, truth: SvdTruth, sure: Certainty, numbers: dict[int, int]) -> Iterator[Finding]:
    moving = {row.number for row in facts.regions if row.motion is not None and np.any(row.motion)}
    for basis, table in TABLES.items():
        lacking = [
            row.number
            for row in facts.regions
            if (basis, numbers[row.number]) in truth.svds
            and (basis, row.number) not in facts.svd
            and (truth.of_file or row.number in moving)  # where nothing moves there is nothing to decompose
        ]
        if lacking:
            # Element-facemap never asks Facemap for a movie SVD, whatever the task says
            certainty = sure if truth.of_file or basis == "mot" else Certainty.POSSIBLE
            sentence = f"{table} has no row of region {_listed(map(str, lacking))}, which {_source(truth)}."
            yield _missing(table, truth, certainty, sentence)


def _ours(facts: SvdFacts, truth: SvdTruth) -> Iterator[Finding]:
    if not truth.of_file:
        return
    if facts.summary is None and truth.lacking is not None:
        yield _missing("Summary", truth, truth.lacking, f"Summary has no row, which {_source(truth)}.")
    if truth.lacking is not Certainty.CERTAIN:
        return  # other loaders know no such tables
    for table, number in sorted(truth.signals - facts.signals):
        sentence = f"{table} has no row of region {number}, which {_source(truth)}."
        yield _missing(table, truth, Certainty.CERTAIN, sentence)


def _components(facts: SvdFacts, truth: SvdTruth | None, numbers: dict[int, int]) -> Iterator[Finding]:
    for (basis, number), table in facts.svd.items():
        name = TABLES[basis]
        if table.absent:
            shown = _listed(map(str, table.absent))
            sentence = f"{name} of region {number} lacks the components {shown} between others."
            yield _missing(name, truth, Certainty.CERTAIN, sentence)
            continue
        whole = 0 if truth is None else truth.components.get((basis, numbers.get(number, number)), 0)
        wanted = min(whole, truth.most or whole) if truth is not None else 0
        if table.count < wanted:
            yield Finding(
                check="missing",
                table=name,
                roi_no=number,
                certainty=Certainty.POSSIBLE,
                sentence=f"{name} of region {number} has {table.count} components, and its file {whole}.",
                remedy="Nothing, if fewer were asked for (load.max_components); else delete the FacialSignal row and "
                "have it loaded again.",
            )


def check_missing_parts(facts: PoseFacts, truth: PoseTruth | None) -> Iterator[Finding]:
    """Check ``missing`` of the rows of one FacemapInference: body parts.

    Parameters
    ----------
    facts : PoseFacts
    truth : PoseTruth or None
    """
    wanted = facts.declared
    if truth is not None and truth.parts:
        wanted = tuple(part for part in truth.parts if not facts.declared or part in facts.declared)
    lacking = [part for part in wanted if part not in facts.parts]
    if not lacking and facts.parts:
        return
    sure = Certainty.CERTAIN if truth is not None or not facts.parts else Certainty.LIKELY
    source = "their files have" if truth is not None else "the model declares"
    yield Finding(
        check="missing",
        table="BodyPartPosition",
        certainty=sure,
        sentence=f"BodyPartPosition has no row of {_listed(lacking)}, which {source}."
        if lacking
        else "The result has no points: no BodyPartPosition row is there.",
        remedy=(_COMPUTE if truth is None else _RELOAD).format(result="FacemapInference"),
        repair=Repair.NONE if truth is None else Repair.RELOAD,
    )


def _missing(table: str, truth: SvdTruth | None, certainty: Certainty, sentence: str) -> Finding:
    # What may be meant so isn't replaced: whoever misses it says so
    with_file = truth is not None and truth.of_file and certainty is not Certainty.POSSIBLE
    remedy = (_RELOAD if with_file else _COMPUTE).format(result="FacialSignal")
    return Finding(
        check="missing",
        table=table,
        certainty=certainty,
        sentence=sentence,
        remedy=_MEANT if certainty is Certainty.POSSIBLE else remedy,
        repair=Repair.RELOAD if with_file else Repair.NONE,
    )


def _source(truth: SvdTruth) -> str:
    return "its file has" if truth.of_file else "the task asks for"


def _listed(names: Iterable[str]) -> str:
    shown = list(names)
    return ", ".join(shown[:8]) + (" ..." if len(shown) > 8 else "")
