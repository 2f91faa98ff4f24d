"""What reloading rows from a file would lose, since the file doesn't have it: pure."""

from __future__ import annotations

from collections.abc import Iterator

from fmdj_cloud.audit.facts import PoseFacts, PoseTruth, RegionRow, SvdFacts, SvdTruth
from fmdj_cloud.audit.missing_checks import TABLES
from fmdj_cloud.audit.recording_checks import agrees
from fmdj_cloud.audit.svd_checks import numbers_in_truth


def lost_svd(facts: SvdFacts, truth: SvdTruth) -> Iterator[str]:
    """Yield what of a FacialSignal's rows a file lacks.

    Parameters
    ----------
    facts : SvdFacts
    truth : SvdTruth
        Of the file.
    """
    numbers = numbers_in_truth(facts.regions, truth)
    wanted = {one.number for one in truth.regions}
    for row in facts.regions:
        if numbers[row.number] not in wanted and not _is_placeholder(row, facts):
            yield f"region {row.number}"
    for (basis, number), table in facts.svd.items():
        if numbers.get(number) not in wanted:
            continue  # it is lost with its region
        count = truth.components.get((basis, numbers[number]), 0)
        # An SVD that the file has as another region's, or in the other table, is no loss, nor are rows that are frames
        if not count and not table.alike:
            yield f"the {TABLES[basis]} of region {number}"
        elif 0 < count < table.count and table.projections == {(truth.nframes,)}:
            yield f"components of the {TABLES[basis]} of region {number}"
    for name, number in sorted(facts.signals):
        # Ours are numbered as in the file, whatever the lab's regions are; running stays where the file has none
        if name != "Running" and not {(name, number), (name, numbers.get(number, number))} & truth.signals:
            yield f"the {name} of region {number}"
    longest = max((len(row.motion) for row in facts.regions if row.motion is not None), default=0)
    yield from _frames(facts.recording.nframes is not None and agrees(facts.recording, longest), longest, truth.nframes)


def lost_pose(facts: PoseFacts, truth: PoseTruth) -> Iterator[str]:
    """Yield what of a FacemapInference's rows a file lacks.

    Parameters
    ----------
    facts : PoseFacts
    truth : PoseTruth
    """
    yield from (f"the points of {part}" for part in facts.parts if part not in truth.parts)
    longest = max((length for lengths in facts.parts.values() for length in lengths), default=0)
    yield from _frames(agrees(facts.recording, longest), longest, truth.nframes)


def _frames(told: bool, longest: int, nframes: int | None) -> Iterator[str]:
    """Yield frames that RecordingInfo counts and the file doesn't have; others may be what is wrong with the rows."""
    if told and nframes is not None and longest > nframes:
        yield f"{longest - nframes} frames"


def _is_placeholder(row: RegionRow, facts: SvdFacts) -> bool:
    """Tell whether a region is empty, as Facemap's full frame is where it wasn't asked for."""
    return row.motion is None and not any((basis, row.number) in facts.svd for basis in TABLES)
