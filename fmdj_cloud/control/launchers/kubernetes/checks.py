"""What a Job can't be made from: settings with which no worker could ever work, found before there is a Job."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from fmdj_cloud.contracts import JobRequest
from fmdj_cloud.control.launchers.kubernetes.volumes import mount_of
from fmdj_cloud.errors import ConfigError
from fmdj_cloud.settings import ProfileSettings, S3Settings, Settings
from fmdj_cloud.settings.kubernetes import MountSettings

_CREDENTIALS = ("access_key_id", "secret_access_key", "session_token")
_KEYS = ("AWS_ACCESS_KEY_ID", "FMDJ_STORAGE__S3__ACCESS_KEY_ID")
_FILES = ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE")


def profile_of(request: JobRequest, settings: Settings) -> tuple[str, ProfileSettings]:
    """Return name and settings of the profile that a request takes.

    Raises
    ------
    ConfigError
        If there is none of that name, it has no image, or the attempt needs more than it gives.
    """
    profiles = settings.kubernetes.profiles
    try:
        name, profile = settings.kubernetes.profile_for(request.kind, request.profile)
    except KeyError as error:
        known = ", ".join(sorted(profiles)) or "none"
        raise ConfigError(
            f"There is no profile {request.profile!r} in kubernetes.profiles (known: {known}): add it, or ask for "
            "another."
        ) from error
    where = f"kubernetes.profiles.{name}"
    if not profile.image:
        raise ConfigError(f"{where}.image is empty: name the worker image that {request.kind.value} runs use.")
    asked = (
        ("MiB of memory", request.limits.memory_mib, "memory_max_mib", profile.memory_max_mib),
        ("MiB of scratch disk", request.limits.scratch_mib, "scratch_max_mib", profile.scratch_max_mib),
        ("GPU(s)", request.limits.gpu, "gpu", profile.gpu),
    )
    for what, needed, setting, given in asked:
        if needed > given:
            raise ConfigError(
                f"The attempt needs {needed} {what} and {where}.{setting} is {given}: raise it, or use a profile "
                "that gives more."
            )
    return name, profile


def check_storage(request: JobRequest, name: str, profile: ProfileSettings, settings: Settings) -> None:
    """Refuse settings with which a worker can't reach the object store or the shared folder.

    Parameters
    ----------
    request : JobRequest
    name : str
        Of the profile.
    profile : ProfileSettings
    settings : Settings

    Raises
    ------
    ConfigError
    """
    _check_credentials(settings.storage.s3, name, profile)
    mounts = settings.kubernetes.mounts
    bundle = settings.storage.s3.ca_bundle
    if bundle is not None and mount_of(PurePosixPath(bundle), mounts) is None:
        raise ConfigError(
            f"storage.s3.ca_bundle={bundle} lies in none of kubernetes.mounts ({_paths(mounts)}), so workers don't "
            "have it: mount a ConfigMap or Secret with the file there."
        )
    for folder, whose in _folders(request, settings).items():
        mount = mount_of(PurePosixPath(folder), mounts)
        if mount is None:
            raise ConfigError(
                f"file://{folder} ({whose}) lies in none of kubernetes.mounts ({_paths(mounts)}), so workers don't "
                "have it: mount the shared folder at the same path."
            )
        if mount.readable_only and whose == "processed_root":
            raise ConfigError(
                f"file://{folder} ({whose}) lies in the mount {mount.path}, which workers can only read: let them "
                "write there, or use another folder."
            )


def _folders(request: JobRequest, settings: Settings) -> dict[Path, str]:
    """Return the shared folders that a run may touch, each with the setting that names it."""
    for pipeline in settings.pipelines:
        if pipeline.name == request.pipeline:
            folders = dict.fromkeys(pipeline.folders, f"a root of the pipeline {pipeline.name}")
            outputs = Path(pipeline.processed_root.removeprefix("file://"))
            return {**folders, outputs: "processed_root"} if outputs in folders else folders
    return dict.fromkeys(settings.storage.file.roots, "storage.file.roots")


def _check_credentials(s3: S3Settings, name: str, profile: ProfileSettings) -> None:
    """Refuse credentials that only the controller has: they never go into a manifest, which many may read."""
    variables = {variable.upper() for variable in profile.secret_env}
    where = f"kubernetes.profiles.{name}"
    known = [f"storage.s3.{field}" for field in _CREDENTIALS if getattr(s3, field) is not None]
    if known and profile.service_account is None and variables.isdisjoint((*_KEYS, *_FILES)):
        raise ConfigError(
            f"{', '.join(known)} can't be handed to workers in clear, since many may read a Job: let "
            f"{where}.secret_env name a Secret for AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or "
            f"{where}.service_account an account with a workload identity."
        )
    if s3.profile is not None and variables.isdisjoint(_FILES):
        raise ConfigError(
            f"storage.s3.profile={s3.profile} is of an AWS configuration that workers don't have: leave it empty and "
            f"use {where}.secret_env or {where}.service_account."
        )


def _paths(mounts: Sequence[MountSettings]) -> str:
    return ", ".join(mount.path for mount in mounts) or "there are none"
