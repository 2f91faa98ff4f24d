"""How many attempts may exist at a time, and how much one may get: by profile on Kubernetes, else by machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from fmdj_cloud.contracts import Kind, RunRecord
from fmdj_cloud.settings import ControllerSettings, Settings


@dataclass(frozen=True)
class Bounds:
    """What an attempt gets at least and at most; sizes in MiB."""

    memory_max_mib: int
    scratch_max_mib: int
    memory_min_mib: int = 0
    scratch_min_mib: int = 0
    gpu: int = 0


class Profiles(Protocol):
    """What bounds runs."""

    def of(self, run: RunRecord) -> str:
        """Return the name of the profile that a run takes."""
        ...

    def max_active(self, profile: str) -> int:
        """Return how many attempts of a profile may exist at a time."""
        ...

    def bounds(self, run: RunRecord) -> Bounds:
        """Return what an attempt of a run may get."""
        ...


class Machine:
    """One profile for all runs: the machine that the controller runs on.

    Parameters
    ----------
    settings : ControllerSettings
    """

    def __init__(self, settings: ControllerSettings) -> None:
        self._settings = settings

    def of(self, run: RunRecord) -> str:
        """See :meth:`Profiles.of`."""
        return ""

    def max_active(self, profile: str) -> int:
        """See :meth:`Profiles.max_active`."""
        return self._settings.max_active

    def bounds(self, run: RunRecord) -> Bounds:
        """See :meth:`Profiles.bounds`."""
        return Bounds(
            memory_max_mib=self._settings.memory_cap_mib,
            scratch_max_mib=self._settings.scratch_cap_mib,
            gpu=self._settings.pose_gpu if run.kind is Kind.POSE else 0,
        )


class KubernetesProfiles:
    """The profiles in ``kubernetes.profiles``.

    A run that asks for a profile that there isn't is launched all the same: that fails, and says why.

    Parameters
    ----------
    settings : Settings
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def of(self, run: RunRecord) -> str:
        """See :meth:`Profiles.of`."""
        kubernetes = self._settings.kubernetes
        missing = run.profile and run.profile not in kubernetes.profiles
        return run.profile if missing else kubernetes.profile_for(run.kind, run.profile)[0]

    def max_active(self, profile: str) -> int:
        """See :meth:`Profiles.max_active`."""
        found = self._settings.kubernetes.profiles.get(profile)
        return found.max_active if found is not None else 1

    def bounds(self, run: RunRecord) -> Bounds:
        """See :meth:`Profiles.bounds`."""
        controller = self._settings.controller
        profile = self._settings.kubernetes.profiles.get(self.of(run))
        if profile is None:
            return Machine(controller).bounds(run)
        return Bounds(
            memory_min_mib=profile.memory_min_mib,
            memory_max_mib=min(profile.memory_max_mib, controller.memory_cap_mib),
            scratch_min_mib=profile.scratch_min_mib,
            scratch_max_mib=min(profile.scratch_max_mib, controller.scratch_cap_mib),
            gpu=profile.gpu,
        )


def gpus_for(settings: Settings, kind: Kind) -> int:
    """Return the GPUs that a run of a kind gets, unless a FacemapRun names another profile."""
    if settings.controller.launcher == "kubernetes":
        return settings.kubernetes.profile_for(kind)[1].gpu
    return settings.controller.pose_gpu if kind is Kind.POSE else 0


def profiles_of(settings: Settings) -> Profiles:
    """Return the profiles of an installation."""
    if settings.controller.launcher == "kubernetes":
        return KubernetesProfiles(settings)
    return Machine(settings.controller)
