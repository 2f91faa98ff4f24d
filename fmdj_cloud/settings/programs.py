"""Worker, loader and logs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from fmdj_cloud.contracts import Precision
from fmdj_cloud.settings.base import Section
from fmdj_cloud.settings.quality import QualitySettings


class WorkerSettings(Section):
    """The worker."""

    scratch_dir: Path | None = Field(None, description="Scratch disk; empty is the temporary directory.")
    threads: Annotated[int, Field(ge=1)] = Field(
        1, description="BLAS and numba threads: results depend on it in the 4th digit, so it is pinned and recorded."
    )
    max_missing_frames: Annotated[int, Field(ge=0)] = Field(
        2, description="Frames a header may claim beyond the decodable ones; cameras stopped by hand lose one or two."
    )
    max_view_mismatch_frames: Annotated[int, Field(ge=0)] = Field(
        0, description="Frames by which simultaneous views may differ: none, since a shift would go unseen."
    )
    max_bad_frames: Annotated[int, Field(ge=0)] = Field(
        100,
        description="Frames of a view that pose inference may leave empty (NaN, likelihood 0): damaged or of one gray "
        "level, as before the lamp is switched on.",
    )
    pose_precision: Precision = Field(
        Precision.FP32, description="What the pose network computes in; less than fp32 is faster and moves points."
    )
    part_s: Annotated[float, Field(gt=0)] = Field(
        60, description="Pose inference keeps what it has so often, seconds: the next attempt goes on from there."
    )
    allow_unknown_facemap: bool = Field(False, description="Run a Facemap version whose faults aren't known.")
    progress_s: Annotated[float, Field(gt=0)] = Field(15, description="Between writes of progress.json, seconds.")
    log_upload_s: Annotated[float, Field(gt=0)] = Field(60, description="Between uploads of run.log, seconds.")


class LoadSettings(Section):
    """The loader and its quality checks."""

    interval_s: Annotated[float, Field(gt=0)] = Field(5, description="Pause between looks, seconds.")
    workdir: Path | None = Field(None, description="Where signals.h5 is kept while it is read; empty is temporary.")
    missing_wait_s: Annotated[float, Field(ge=0)] = Field(
        300,
        description="How long outputs are waited for that the manifest names and the store doesn't show, seconds: one "
        "that copies its objects to another site may show the manifest first.",
    )
    slice_mib: Annotated[int, Field(ge=1)] = Field(
        2,
        description="Rows are built and sent in slices of so many MiB, of eight components at least; a load takes "
        "twelve times that, and 600 bytes per frame. Larger slices are slower.",
    )
    max_components: Annotated[int, Field(ge=1)] | None = Field(
        None, description="Components of every region's SVD that are loaded, the first ones; empty is all (500)."
    )
    quality: QualitySettings = Field(QualitySettings(), description=QualitySettings.__doc__)


class LogSettings(Section):
    """Logs."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Least level written.")
    format: Literal["text", "json"] = Field("text", description="One event per line, for people or for machines.")
