"""Limits of quality control: what flags outputs, and what keeps them from being loaded."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, model_validator

from fmdj_cloud.settings.base import Section

Limit = Annotated[float, Field(ge=0)] | None
_WARN = "More is flagged; empty is never."
_FAIL = "More isn't loaded until the check is accepted by name; empty is never."


class Threshold(Section):
    """What is flagged, and what isn't loaded."""

    warn: Limit = Field(None, description=_WARN)
    fail: Limit = Field(None, description=_FAIL)

    @model_validator(mode="after")
    def _in_order(self) -> Threshold:
        if self.warn is not None and self.fail is not None and self.warn > self.fail:
            raise ValueError(f"warn ({self.warn:g}) is above fail ({self.fail:g}): what isn't loaded is never flagged")
        return self


class RecordingFramesThreshold(Threshold):
    """Frames by which the result and the lab's own RecordingInfo differ; headers are often one or two off."""

    warn: Limit = Field(2, description=_WARN)


class NanThreshold(Threshold):
    """Share of the frames of a pupil trace that hold no number; other traces must hold numbers only."""

    fail: Limit = Field(0.5, description=_FAIL)


class FlatThreshold(Threshold):
    """Longest stretch without any change, as a share of a trace: 1 is one that never changes."""

    warn: Limit = Field(0.5, description=_WARN)
    fail: Limit = Field(0.99, description=_FAIL)


class TailThreshold(Threshold):
    """Zeros at a motion trace's end: more means that the video ended before its header said (F7)."""

    warn: Limit = Field(30, description=_WARN)
    fail: Limit = Field(30, description=_FAIL)


class NormThreshold(Threshold):
    """How far the norm of a mask is from 1: Facemap scales those of short recordings (F5)."""

    warn: Limit = Field(0.01, description=_WARN)


class SeamsThreshold(Threshold):
    """Share of the borders of Facemap's chunks of 500 frames where a trace jumps as it does nowhere around."""

    warn: Limit = Field(0.02, description=_WARN)


class PiecesThreshold(Threshold):
    """By how many standard errors traces run on less across those borders than elsewhere; by chance seldom 4."""

    warn: Limit = Field(4, description=_WARN)


class LostPupilThreshold(Threshold):
    """Share of the frames whose pupil area is no number, zero, or more than its ROI holds; an eye closes seldom."""

    warn: Limit = Field(0.1, description=_WARN)


class ClippingThreshold(Threshold):
    """How much of the motion lies on the edge of what was looked at: 1 is as much as anywhere else."""

    warn: Limit = Field(3, description=_WARN)


class PupilClippingThreshold(Threshold):
    """Share of the frames in which the pupil reaches the edge of its ROI."""

    warn: Limit = Field(0.1, description=_WARN)


class SaturationThreshold(Threshold):
    """Share of the mean frame that is always white (gray level 255): nothing can be seen to move there."""

    warn: Limit = Field(0.05, description=_WARN)


class DarknessThreshold(Threshold):
    """Share of the mean frame that is always black (gray level 0)."""

    warn: Limit = Field(0.5, description=_WARN)


class LowLikelihoodThreshold(Threshold):
    """Share of the frames in which a body part's likelihood is below a limit: it is hidden, or not recognised."""

    warn: Limit = Field(0.5, description=_WARN)
    below: Annotated[float, Field(gt=0, le=1)] = Field(
        0.3, description="That limit. A trained network is above 0.9 where it sees the part."
    )


class EmptyFramesThreshold(Threshold):
    """Share of the frames that hold no keypoints, since they can't be decoded or are of one gray level."""

    warn: Limit = Field(0, description=_WARN)


def _limits(kind: type[Threshold]) -> Any:
    return Field(kind(), description=kind.__doc__)


class QualitySettings(Section):
    """Quality control of outputs before they are loaded: a section per check, with its limits."""

    recording_frames: RecordingFramesThreshold = _limits(RecordingFramesThreshold)
    nan: NanThreshold = _limits(NanThreshold)
    flat: FlatThreshold = _limits(FlatThreshold)
    tail: TailThreshold = _limits(TailThreshold)
    norm: NormThreshold = _limits(NormThreshold)
    seams: SeamsThreshold = _limits(SeamsThreshold)
    pieces: PiecesThreshold = _limits(PiecesThreshold)
    lost_pupil: LostPupilThreshold = _limits(LostPupilThreshold)
    clipping: ClippingThreshold = _limits(ClippingThreshold)
    pupil_clipping: PupilClippingThreshold = _limits(PupilClippingThreshold)
    saturation: SaturationThreshold = _limits(SaturationThreshold)
    darkness: DarknessThreshold = _limits(DarknessThreshold)
    low_likelihood: LowLikelihoodThreshold = _limits(LowLikelihoodThreshold)
    empty_frames: EmptyFramesThreshold = _limits(EmptyFramesThreshold)
