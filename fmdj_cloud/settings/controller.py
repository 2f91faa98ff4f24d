"""The controller, its retries and the local launcher."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from fmdj_cloud.contracts import SHARDS_MAX, Basis, Engine
from fmdj_cloud.settings.base import Section


class RetrySettings(Section):
    """How often each class of failure is tried again, and how long after."""

    storage: Annotated[int, Field(ge=0)] = Field(
        7, description="Retries after `storage`: with their pauses they outlast an outage of a quarter of an hour."
    )
    memory: Annotated[int, Field(ge=0)] = Field(3, description="Retries after `memory`, each with more.")
    disk: Annotated[int, Field(ge=0)] = Field(3, description="Retries after `disk`, each with more.")
    gpu: Annotated[int, Field(ge=0)] = Field(3, description="Retries after `gpu`, elsewhere.")
    disrupted: Annotated[int, Field(ge=0)] = Field(50, description="Retries after `disrupted`: not the run's fault.")
    vanished: Annotated[int, Field(ge=0)] = Field(3, description="Retries after `vanished`.")
    crash: Annotated[int, Field(ge=0)] = Field(2, description="Retries after `crash`.")
    budget: Annotated[int, Field(ge=0)] = Field(1, description="Retries after `budget`, with double the time.")
    changed: Annotated[int, Field(ge=0)] = Field(5, description="New plans after inputs changed, per binding.")
    backoff_s: Annotated[float, Field(ge=0)] = Field(10, description="Wait before the first retry, seconds.")
    backoff_max_s: Annotated[float, Field(ge=0)] = Field(600, description="Longest wait before a retry, seconds.")
    memory_factor: Annotated[float, Field(gt=1)] = Field(1.6, description="Growth of memory after `memory`.")
    disk_factor: Annotated[float, Field(gt=1)] = Field(2.0, description="Growth of scratch after `disk`.")


class ControllerSettings(Section):
    """The controller."""

    launcher: Literal["local", "kubernetes"] = Field("local", description="Where attempts run.")
    trigger: Literal["all", "facemapruns"] = Field(
        "all", description="Whether all pending tasks are computed, or only those that a FacemapRun selects."
    )
    interval_s: Annotated[float, Field(gt=0)] = Field(5, description="Pause between passes, seconds.")
    max_active: Annotated[int, Field(ge=1)] = Field(
        1, description="Attempts, or shards of one, that may run at a time on this machine."
    )
    plan_batch: Annotated[int, Field(ge=1)] = Field(100, description="Tasks planned in one pass at most.")
    first_start_limit: Annotated[int, Field(ge=0)] = Field(
        20, description="More pending tasks than this at first sight of a pipeline are held until `fmdj release`."
    )
    engine: Engine = Field(
        Engine.TURBO, description="SVD engine of new pipelines; stored with each when it is first seen."
    )
    basis: Basis = Field(
        Basis.EXACT, description="How the engine turbo makes the basis of new pipelines; `facemap` is to compare."
    )
    inputs_wait_h: Annotated[float, Field(gt=0)] = Field(
        72, description="How long a missing input is waited for, hours: a weekend of uploads."
    )
    inputs_look_s: Annotated[float, Field(gt=0)] = Field(60, description="First look again for one, seconds.")
    inputs_look_max_s: Annotated[float, Field(gt=0)] = Field(1800, description="Longest pause between looks, seconds.")
    recheck_per_pass: Annotated[int, Field(ge=0)] = Field(
        50, description="Unfinished runs whose task row is compared again in each pass (slow rotation)."
    )
    min_budget_s: Annotated[float, Field(gt=0)] = Field(
        6 * 3600, description="Least time budget of an attempt, seconds; else four times the estimate."
    )
    memory_cap_mib: Annotated[int, Field(gt=0)] = Field(65536, description="Most memory an attempt may get, MiB.")
    scratch_cap_mib: Annotated[int, Field(gt=0)] = Field(1048576, description="Most scratch it may get, MiB.")
    pose_gpu: Annotated[int, Field(ge=0, le=1)] = Field(
        0, description="GPUs of a pose run on this machine (local launcher, `populate()`); 0 computes on the CPU."
    )
    shards: Annotated[int, Field(ge=1, le=SHARDS_MAX)] | Literal["auto"] | None = Field(
        None,
        description="Into how many pieces a long recording is cut, for as many pods; `auto` goes by the estimate. "
        "Empty computes in one piece. The numbers are the same.",
    )
    shard_minutes: Annotated[float, Field(gt=0)] = Field(
        15, description="With `auto`, a shard takes about so long, minutes: much longer than a pod takes to start."
    )
    shards_max: Annotated[int, Field(ge=1, le=SHARDS_MAX)] = Field(16, description="Shards of `auto` at most.")
    shard_retries: Annotated[int, Field(ge=0, le=20)] = Field(
        3, description="How often one shard is computed again before its whole attempt is."
    )
    reuse: bool = Field(
        True, description="Whether outputs of another task with equal videos and parameters are taken, not computed."
    )
    courtesy: bool = Field(
        True,
        description="Whether runs are reserved in the job tables that labs use for `populate(reserve_jobs=True)`, "
        "where there are any, and what others have reserved there is left to them.",
    )
    courtesy_renew_s: Annotated[float, Field(gt=0)] = Field(
        300, description="Reservations are renewed so often, seconds: labs clear away what is hours old."
    )
    courtesy_wait_s: Annotated[float, Field(ge=0)] = Field(
        600, description="How long whoever made FacemapProcessing is given for FacialSignal, seconds; 0 for not at all."
    )
    lease_s: Annotated[float, Field(gt=0)] = Field(30, description="Leadership lasts so long, seconds.")
    renew_s: Annotated[float, Field(gt=0)] = Field(10, description="and is renewed so often, seconds.")
    populate_beat_s: Annotated[float, Field(gt=0)] = Field(
        15, description="`populate()` shows so often that it still runs a task, seconds."
    )
    populate_silent_s: Annotated[float, Field(gt=0)] = Field(
        300, description="A task whose `populate()` hasn't shown itself for so long is free again; equal everywhere."
    )
    retry: RetrySettings = Field(default_factory=RetrySettings, description="Retries by failure class.")

    @property
    def claimed_only(self) -> bool:
        """Whether only tasks that a FacemapRun selects are planned."""
        return self.trigger == "facemapruns"

    @model_validator(mode="after")
    def _trigger(self) -> ControllerSettings:
        if self.claimed_only and self.launcher != "kubernetes":
            raise ValueError("trigger=facemapruns needs launcher=kubernetes: FacemapRuns are Kubernetes' objects")
        return self

    @model_validator(mode="after")
    def _lease(self) -> ControllerSettings:
        if self.renew_s >= self.lease_s:
            raise ValueError(f"renew_s={self.renew_s} must be less than lease_s={self.lease_s}")
        if self.populate_beat_s * 4 > self.populate_silent_s:
            raise ValueError(f"populate_silent_s={self.populate_silent_s} must be 4 x populate_beat_s or more")
        return self


class LocalSettings(Section):
    """The local launcher."""

    state_dir: Path = Field(
        Path("~/.local/state/fmdj"), description="Where supervisors keep locks and exits; one per ledger."
    )
    stop_grace_s: Annotated[float, Field(gt=0)] = Field(
        15, description="From SIGTERM to SIGKILL, seconds; the worker needs up to 10 to stop by itself."
    )
