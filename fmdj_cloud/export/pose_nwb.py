"""FacemapInference -> NWB, by the extension ndx-pose: a PoseEstimation of the view whose points were loaded."""

from __future__ import annotations

from typing import Any

import numpy as np
from ndx_pose import PoseEstimation, PoseEstimationSeries, Skeleton, Skeletons
from pynwb import ProcessingModule
from pynwb.device import Device
from pynwb.image import ImageSeries

from fmdj_cloud.errors import InputError
from fmdj_cloud.export.head import object_name
from fmdj_cloud.export.iterators import trace
from fmdj_cloud.export.provenance import Source
from fmdj_cloud.export.timing import Timing
from fmdj_cloud.pipeline.inference import Inference
from fmdj_cloud.pipeline.kept import KeptBlobs
from fmdj_cloud.pipeline.result_rows import Array, Rows

_FRAME = "(x, y) in pixels from the upper left corner of the video's frame; x to the right, y down."
_CONFIDENCE = "Likelihood of the point, 0 to 1, as Facemap's network gives it; 0 and no number where it saw no frame."


class PoseExport:
    """The results of one FacemapInferenceTask.

    Parameters
    ----------
    inference : Inference
    key : dict

    Attributes
    ----------
    nframes : int
    body_parts : tuple of str
        In the order of their names.

    Raises
    ------
    InputError
        If the rows hold no points.
    """

    def __init__(self, inference: Inference, key: dict[str, Any], kept: KeptBlobs) -> None:
        self._rows = Rows(inference.database, inference.BodyPartPosition, key, kept)
        self.body_parts = tuple(sorted(str(row["body_part"]) for row in self._rows.all("body_part")))
        if not self.body_parts:
            raise InputError(f"{self._rows!r} holds no points: there is nothing to export.", check="export")
        (model,) = (
            inference.FacemapModel & {name: key[name] for name in inference.FacemapModel.primary_key}
        ).to_dicts()
        self._model = str(model["model_name"])
        first = self._rows.one("x_pos", body_part=self.body_parts[0])
        self.nframes = 0 if first is None else int(np.asarray(first["x_pos"]).size)

    def add_to(
        self,
        behavior: ProcessingModule,
        timing: Timing,
        source: Source,
        *,
        view: int,
        video: ImageSeries | None,
        device: Device | None,
    ) -> None:
        """Add everything to a processing module; arrays are fetched when the file is written.

        Parameters
        ----------
        behavior : ProcessingModule
        timing : Timing
        source : Source
        view : int
            Of the points.
        video : ImageSeries or None
            Of that view, in the same file.
        device : Device or None
            The camera, in the same file.
        """
        skeleton = Skeleton(name="FacemapSkeleton", nodes=list(self.body_parts))
        behavior.add(Skeletons(name="Skeletons", skeletons=[skeleton]))
        version = source.version("facemap")
        behavior.add(
            PoseEstimation(
                name="PoseEstimation",
                pose_estimation_series=[self._series(part, timing) for part in self.body_parts],
                description=f"Points of the face in view {view}, found by the network of the model {self._model}.",
                scorer=self._model,
                source_software="Facemap",
                skeleton=skeleton,
                **({"source_software_version": version} if version else {}),
                **({"source_video": video} if video is not None else {}),
                **({"device": device} if device is not None else {}),
            )
        )

    def _series(self, part: str, timing: Timing) -> PoseEstimationSeries:
        def points() -> Array:
            row = self._rows.one("x_pos", "y_pos", body_part=part) or {"x_pos": None, "y_pos": None}
            of = {"body_part": part}
            return np.stack([self._rows.trace(row[name], name, self.nframes, (), of) for name in row], axis=1)

        def likelihood() -> Array:
            return self._rows.array("likelihood", self.nframes, body_part=part)

        return PoseEstimationSeries(
            name=object_name(part),
            data=trace(points, (self.nframes, 2), "float32"),
            confidence=trace(likelihood, (self.nframes,), "float32"),
            confidence_definition=_CONFIDENCE,
            reference_frame=_FRAME,
            unit="pixels",
            description=f"Where {part} is in every frame.",
            rate=timing.rate,
            starting_time=timing.starting_time,
        )
