"""Environment of a worker's container: settings without secrets, references to Secrets, caches, threads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fmdj_cloud.control.launchers.environment import settings_variables
from fmdj_cloud.control.launchers.kubernetes.volumes import SCRATCH
from fmdj_cloud.settings import ProfileSettings, Settings

POD_UID = "POD_UID"
_THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "OPENCV_FFMPEG_THREADS",
)
"""What the worker pins for its computing child; set here, so that its own imports don't start more either."""
_ABOUT_THE_POD = {
    "USER": "fmdj",  # no image knows every user id, and some libraries ask for a name
    "HOME": SCRATCH,
    "XDG_CACHE_HOME": f"{SCRATCH}/.cache",
    "MPLCONFIGDIR": f"{SCRATCH}/.cache/matplotlib",
    "NUMBA_CACHE_DIR": f"{SCRATCH}/.cache/numba",
    "TORCH_HOME": f"{SCRATCH}/.cache/torch",
}
"""Who it is, and where libraries keep what they like to keep: the root is read-only."""


def literal(text: str) -> str:
    """Return `text` as it must stand in ``args`` or ``env`` to arrive as it is: there ``$(NAME)`` is replaced."""
    return text.replace("$", "$$")


def build_environment(
    settings: Settings, profile: ProfileSettings, *, instance: str, threads: int
) -> list[dict[str, Any]]:
    """Return the variables of a worker's container.

    Parameters
    ----------
    settings : Settings
        The controller's.
    profile : ProfileSettings
    instance : str
    threads : int
        BLAS and numba threads of the attempt.
    """
    worker = settings.worker.model_copy(update={"scratch_dir": Path(SCRATCH)})
    told = settings.model_copy(update={"instance": instance, "worker": worker})
    values = {
        **settings_variables(told, secrets=False),
        **_ABOUT_THE_POD,
        **dict.fromkeys(_THREADS, str(threads)),
    }
    return [
        {"name": POD_UID, "valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}}},
        *({"name": name, "value": literal(value)} for name, value in values.items()),
        *(_from_secret(name, reference) for name, reference in profile.secret_env.items()),
    ]


def _from_secret(name: str, reference: str) -> dict[str, Any]:
    secret, _, key = reference.partition("/")
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}
