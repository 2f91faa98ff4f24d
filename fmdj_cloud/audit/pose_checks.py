"""Faults in the rows of FacemapInference, against their files and against themselves: pure."""

from __future__ import annotations

from collections.abc import Iterator

from fmdj_cloud.audit.facts import PoseFacts, PoseTruth
from fmdj_cloud.audit.findings import Certainty, Finding, Repair
from fmdj_cloud.audit.missing_checks import check_missing_parts
from fmdj_cloud.audit.recording_checks import check_duration, check_length

_RELOAD = "Reload the rows from their files with --repair, or delete the FacemapInference row and have it loaded again."
_COMPUTE = "Delete the FacemapInference row and set task_mode='trigger', so that it is computed again."
_CLOSE = 0.01
_SLOW_S = 10.0
"""Seconds a frame, far beyond what the network takes on any machine."""
POSITIONS = "BodyPartPosition"


def check_pose(facts: PoseFacts, truth: PoseTruth | None) -> list[Finding]:
    """Return all that is wrong with the rows of one FacemapInference.

    Parameters
    ----------
    facts : PoseFacts
    truth : PoseTruth or None
        What the files say; None where they are gone.
    """
    return [
        *check_duration(facts.recording),
        *check_missing_parts(facts, truth),
        *_lengths(facts, truth),
        *_points(facts),
        *_run_duration(facts, truth),
    ]


def _lengths(facts: PoseFacts, truth: PoseTruth | None) -> Iterator[Finding]:
    lengths = {length for part in facts.parts.values() for length in part}
    repair, remedy = (Repair.RELOAD, _RELOAD) if truth is not None else (Repair.NONE, _COMPUTE)
    if len(lengths) > 1:
        shown = ", ".join(map(str, sorted(lengths)))
        yield Finding(
            check="length",
            table=POSITIONS,
            certainty=Certainty.CERTAIN,
            sentence=f"Body parts have traces of {shown} frames; all must have as many.",
            remedy=remedy,
            repair=repair,
        )
        return
    nframes = None if truth is None else truth.nframes
    for length in lengths:
        yield from check_length(length, facts.recording, nframes, POSITIONS, None, _RELOAD)
        if facts.total_frames != length:
            yield Finding(
                check="length",
                table="FacemapInference",
                certainty=Certainty.CERTAIN,
                sentence=f"total_frame_count is {facts.total_frames} and the traces have {length} frames.",
                remedy=remedy,
                repair=repair,
            )


def _points(facts: PoseFacts) -> Iterator[Finding]:
    for names, check, sure, what in (
        (facts.swapped, "axis", Certainty.CERTAIN, "have x and y changed over"),
        (tuple(set(facts.differing) - set(facts.swapped)), "values", Certainty.LIKELY, "aren't the files'"),
    ):
        if names:
            yield Finding(
                check=check,
                table=POSITIONS,
                certainty=sure,
                sentence=f"The points of {', '.join(sorted(names))} {what}.",
                remedy=_RELOAD,
                repair=Repair.RELOAD,
            )


def _run_duration(facts: PoseFacts, truth: PoseTruth | None) -> Iterator[Finding]:
    frames, found = facts.total_frames, facts.duration_s
    if not frames or found <= 0:
        return
    right = truth.seconds if truth is not None else 0.0
    if right > 0:
        wrong = frames * (frames / right)
        if abs(found - wrong) <= _CLOSE * wrong and abs(found - right) > _CLOSE * right + 1:
            yield _duration(
                Certainty.CERTAIN, f"frames x frames per second; it took {right:g} s", Repair.RELOAD, _RELOAD
            )
    elif facts.recording.fps and abs(found - frames * facts.recording.fps) <= 1e-4 * found:
        yield _duration(Certainty.LIKELY, "frames x fps of the recording", Repair.NONE, "Correct it by hand.")
    elif found / frames > _SLOW_S:
        yield _duration(
            Certainty.POSSIBLE,
            f"{found / frames:.0f} s a frame: perhaps frames x frames per second",
            Repair.NONE,
            "Correct it by hand.",
        )


def _duration(certainty: Certainty, what: str, repair: Repair, remedy: str) -> Finding:
    return Finding(
        check="duration",
        table="FacemapInference",
        certainty=certainty,
        sentence=f"inference_run_duration is {what}.",
        remedy=remedy,
        repair=repair,
    )
