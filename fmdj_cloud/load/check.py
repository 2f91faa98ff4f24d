"""Quality control of a signals.h5 file, before anything is written to the database.

What is about structure can't be overridden: rows couldn't be made. What is about numbers can be accepted by name. A
check with limits in ``load.quality`` flags what is above one, and keeps from being loaded what is above the other.

Checks of signals, by name:

``regions``     every region that the parameters ask for is there, with its kind, view and signals, and no other;
                imported regions are numbered without a gap and hold signals of their kind
``summary``     mean frame and mean motion are there and of one shape
``frames``      every trace has the frames that count, as the manifest and the videos have
``components``  masks, projections and singular values agree in number; no more than Facemap can yield
``nan``         no value is NaN or infinite; pupil traces may have a share of NaN (closed eye)
``norm``        masks have unit norm (F5 scales them)
``flat``        motion, projections and pupil area don't stand still for long, blink and running not all the time
``seams``       motion and projections don't jump at the borders of Facemap's chunks
``pieces``      motion and projections run on across these borders as they do elsewhere
``alignment``   motion isn't one frame early in the first chunk (F1)
``clipping``    there isn't much more motion on the edge of a region than in it
``tail``        motion doesn't end in zeros: a video that ends before its header says turns black (F7)
``lost_pupil``  the pupil's area is a number that its ROI can hold
``pupil_clipping``    the pupil keeps off the edge of its ROI
``saturation``, ``darkness``  the mean frame isn't white, or black, over much of it
``recording_frames``  the lab's RecordingInfo counts the same frames

Checks of keypoints:

``pose_view``     the view that is loaded has keypoints
``body_parts``    every view has those of the body parts that the task's model declares, and no other
``frames``        every body part has the frames that count, as the manifest and the videos have
``nan``           a point is no number only in frames whose likelihood is 0
``likelihood``    lies between 0 and 1
``low_likelihood``  isn't low in many frames
``likelihoods``   always passes: its sentence is the histogram
``flat``          not all body parts stay where they are; one that does for long is flagged
``empty_frames``  every frame holds points
``recording_frames``  as of signals
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Iterator

from fmdj_cloud.contracts import Manifest, QualityFinding, SvdParams, Verdict
from fmdj_cloud.errors import LoadError
from fmdj_cloud.load.picture_check import check_pictures, check_pupils, check_recorded
from fmdj_cloud.load.plausible import check_finite, check_flat, check_seams, check_tails
from fmdj_cloud.load.pose_check import check_body_parts, check_keypoint_frames, check_points, check_views
from fmdj_cloud.load.structure import (
    check_components,
    check_frames,
    check_imported_regions,
    check_regions,
    check_summary,
)
from fmdj_cloud.load.svd_check import check_svd
from fmdj_cloud.load.verdict import QualityError
from fmdj_cloud.settings import LoadSettings
from fmdj_cloud.signals_h5 import SignalsReader

ACCEPTABLE = frozenset(
    {
        *(
            "nan",
            "norm",
            "flat",
            "seams",
            "pieces",
            "clipping",
            "tail",
            "lost_pupil",
            "pupil_clipping",
            "saturation",
            "darkness",
        ),
        *("recording_frames", "likelihood", "low_likelihood", "empty_frames"),
    }
)
"""Checks that a person may override."""


def check_signals(
    signals: SignalsReader,
    manifest: Manifest,
    params: SvdParams | None,
    limits: LoadSettings,
    accept: Collection[str] = (),
    *,
    recorded: int | None = None,
) -> list[QualityFinding]:
    """Check a file; when its structure is wrong, its numbers aren't looked at.

    Parameters
    ----------
    signals : SignalsReader
    manifest : Manifest
    params : SvdParams or None
        As the spec gave them to the worker; None for imported outputs, which tell themselves what they hold.
    limits : LoadSettings
    accept : collection of str
        Names of checks that a person has overridden: what fails there is a warning.
    recorded : int, optional
        Frames that the lab's RecordingInfo says.

    Returns
    -------
    list of QualityFinding
        Passes too, so that what was checked can be shown.

    Raises
    ------
    LoadError
        If the file isn't laid out as :mod:`fmdj_cloud.signals_h5` says.
    """
    with _laid_out():
        regions = check_regions(signals, params) if params is not None else check_imported_regions(signals)
        checks = [*regions, *check_summary(signals)]
        if not failures(checks):
            checks += [*check_frames(signals, manifest), *check_components(signals)]
        if not failures(checks):
            quality = limits.quality
            checks += check_finite(signals, quality)
            checks += check_svd(signals, manifest, limits)
            checks += check_tails(signals, manifest, quality)
            checks += check_flat(signals, quality)
            checks += check_seams(signals, manifest, quality)
            checks += check_pupils(signals, quality)
            checks += check_pictures(signals, quality)
            checks += check_recorded(signals, recorded, quality)
    return _with_accepted(checks, accept)


def check_keypoints(
    signals: SignalsReader,
    manifest: Manifest,
    view: int,
    declared: Collection[str],
    limits: LoadSettings,
    accept: Collection[str] = (),
    *,
    recorded: int | None = None,
) -> list[QualityFinding]:
    """Check a file of keypoints; when its structure is wrong, its numbers aren't looked at.

    Parameters
    ----------
    signals : SignalsReader
    manifest : Manifest
    view : int
        The one that is loaded; the others are checked, too.
    declared : collection of str
        Body parts of the task's model.
    limits : LoadSettings
    accept : collection of str
        Names of checks that a person has overridden: what fails there is a warning.
    recorded : int, optional
        Frames that the lab's RecordingInfo says.

    Returns
    -------
    list of QualityFinding
        Passes too, so that what was checked can be shown.

    Raises
    ------
    LoadError
        If the file isn't laid out as :mod:`fmdj_cloud.signals_h5` says.
    """
    with _laid_out():
        checks = [*check_views(signals, view), *check_body_parts(signals, declared)]
        if not failures(checks):
            checks += check_keypoint_frames(signals, manifest)
        if not failures(checks):
            checks += check_points(signals, limits.quality)
            checks += check_recorded(signals, recorded, limits.quality)
    return _with_accepted(checks, accept)


def failures(checks: Iterable[QualityFinding]) -> list[QualityFinding]:
    """Return the checks that failed."""
    return [check for check in checks if check.verdict is Verdict.FAIL]


def require(checks: Iterable[QualityFinding]) -> None:
    """Raise if a check failed.

    Raises
    ------
    QualityError
        Its sentence is that of the first failed check, and says how many others failed.
    """
    findings = tuple(checks)
    failed = failures(findings)
    if not failed:
        return
    first = failed[0]
    remedy = (
        f" If the recording is meant to be so, accept the check `{first.check}`." if first.check in ACCEPTABLE else ""
    )
    others = f" Failed checks beside this one: {len(failed) - 1}." if len(failed) > 1 else ""
    raise QualityError(first.sentence + remedy + others, check=first.check, findings=findings)


@contextlib.contextmanager
def _laid_out() -> Iterator[None]:
    try:
        yield
    except (KeyError, OSError, ValueError) as error:  # what h5py raises for a part that is missing or malformed
        raise LoadError(f"signals.h5 isn't laid out as documented ({error}): compute the task again.") from error


def _with_accepted(checks: Iterable[QualityFinding], accept: Collection[str]) -> list[QualityFinding]:
    return [_accepted(check) if check.check in accept else check for check in checks]


def _accepted(check: QualityFinding) -> QualityFinding:
    if check.verdict is not Verdict.FAIL or check.check not in ACCEPTABLE:
        return check
    return check.model_copy(
        update={"verdict": Verdict.WARN, "accepted": True, "sentence": f"Accepted: {check.sentence}"}
    )
