"""Every setting, one tree.

Sources, first wins: arguments, ``FMDJ_*`` environment variables (``__`` between levels, as in
``FMDJ_CONTROLLER__MAX_ACTIVE``), files in the secrets directory ``FMDJ_SECRETS_DIR`` (named like the
variables, as in ``fmdj_database__password``), the YAML file named by ``FMDJ_CONFIG``. A name that starts
with ``FMDJ_`` and is no setting is refused, so that a typing error doesn't silently mean the default.

Database fields left empty come from DataJoint's own configuration (``DJ_HOST`` ..., ``datajoint.json``);
S3 credentials left empty come from the AWS chain.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    NestedSecretsSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    YamlConfigSettingsSource,
)

from fmdj_cloud.contracts import Engine
from fmdj_cloud.errors import ConfigError

_URI = re.compile(r"s3://[^/]+(/.*)?|file://(/(?!\.{0,2}(/|$))[^/]+)+/?")


class Section(BaseModel):
    """Base of all sections: unknown settings are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class DatabaseSettings(Section):
    """How to reach the database; what is empty comes from DataJoint's configuration."""

    backend: Literal["mysql", "postgresql"] | None = Field(None, description="Kind of server.")
    host: str | None = Field(None, description="Host name, or the socket directory of PostgreSQL.")
    port: Annotated[int, Field(gt=0, lt=65536)] | None = Field(None, description="Port.")
    user: str | None = Field(None, description="User.")
    password: SecretStr | None = Field(None, description="Password.")
    name: str | None = Field(None, description="Database name (PostgreSQL only).")
    use_tls: bool | None = Field(None, description="TLS required (true), off (false) or tried first (empty).")
    prefix: Annotated[str, Field(pattern=r"^[a-z0-9_]*$")] = Field(
        "", description="Prefix of our own schema `<prefix>fmdj`, where a lab's rights go by prefix."
    )
    idle_transaction_s: Annotated[int, Field(ge=1)] = Field(
        60,
        description="The server ends a transaction of ours in which nothing happens for so long, seconds: a program "
        "that hangs, or a machine that is gone, must not keep a lab's rows locked (PostgreSQL, MariaDB).",
    )

    @property
    def ledger_schema(self) -> str:
        """Name of our own schema."""
        return f"{self.prefix}fmdj"


class S3Settings(Section):
    """How to reach the object store."""

    endpoint_url: str | None = Field(None, description="Endpoint of an S3-compatible store; empty is AWS.")
    region: str | None = Field(None, description="Region; empty asks the AWS chain.")
    addressing_style: Literal["auto", "path", "virtual"] = Field(
        "auto", description="Bucket in the path or in the host name; most on-prem stores need `path`."
    )
    profile: str | None = Field(None, description="Profile of the AWS configuration.")
    access_key_id: SecretStr | None = Field(None, description="Key id; empty asks the AWS chain, which refreshes.")
    secret_access_key: SecretStr | None = Field(None, description="Secret key.")
    session_token: SecretStr | None = Field(None, description="Session token of temporary credentials.")
    request_checksum_calculation: Literal["when_supported", "when_required"] = Field(
        "when_supported", description="Checksums on requests; some S3-compatible stores need `when_required`."
    )
    response_checksum_validation: Literal["when_supported", "when_required"] = Field(
        "when_supported", description="Validation of checksums on responses; likewise."
    )
    verify_etag: bool = Field(
        True, description="Compare an ETag that looks like an MD5 with the bytes; off for stores where it isn't one."
    )
    part_size_mib: Annotated[int, Field(ge=5, le=5120)] = Field(
        16, description="Part of a transfer, MiB. Memory of a transfer is at most part size x concurrency."
    )
    concurrency: Annotated[int, Field(ge=1, le=64)] = Field(
        8, description="Parallel parts of a transfer: 8 fill a 10 Gbit/s link without starving the decoder."
    )
    max_attempts: Annotated[int, Field(ge=1, le=20)] = Field(
        8, description="Tries of one request, with backoff: a store that restarts is back within these."
    )
    connect_timeout_s: Annotated[float, Field(gt=0)] = Field(10, description="Time to connect, seconds.")
    read_timeout_s: Annotated[float, Field(gt=0)] = Field(60, description="Silence on a connection, seconds.")
    ca_bundle: Path | None = Field(None, description="PEM file of a private certificate authority.")


class FileSettings(Section):
    """Folders that every machine mounts under the same path: NFS, a shared volume."""

    roots: tuple[Path, ...] = Field(
        (), description="Folders that `file://` URIs may lie in; empty takes the folders that the pipelines name."
    )
    inodes: bool = Field(
        True, description="A file with another inode is another file; off for mounts that number them anew."
    )
    concurrency: Annotated[int, Field(ge=1, le=64)] = Field(
        4, description="Parallel reads of one file: a file server answers several sooner than one."
    )

    @field_validator("roots")
    @classmethod
    def _absolute(cls, roots: tuple[Path, ...]) -> tuple[Path, ...]:
        for root in roots:
            if not root.is_absolute() or ".." in root.parts or root == Path("/"):
                raise ValueError(f"{root} is not an absolute path of a folder below /")
        return roots


class StorageSettings(Section):
    """The object stores."""

    s3: S3Settings = Field(default_factory=S3Settings, description="The `s3://` store.")
    file: FileSettings = Field(default_factory=FileSettings, description="The `file://` store.")


class PipelineSettings(Section):
    """One lab's Element schemas with their roots."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,23}$")] = Field(description="Name, part of digests.")
    behavior_schema: str = Field(description="Database schema of facial_behavior_estimation.")
    inference_schema: str | None = Field(None, description="Database schema of facemap_inference, if any.")
    video_roots: tuple[str, ...] = Field(description="URIs that file_path is relative to; the first match wins.")
    path_map: dict[str, str] = Field(
        default_factory=dict, description="Lab path prefix -> URI, for file paths stored as a lab mounts them."
    )
    processed_root: str = Field(description="URI under which outputs are published.")

    @field_validator("video_roots", "processed_root", "path_map")
    @classmethod
    def _uris(cls, value: Any) -> Any:
        uris = [value] if isinstance(value, str) else list(value.values()) if isinstance(value, dict) else value
        for uri in uris:
            if not _URI.fullmatch(uri):
                raise ValueError(f"{uri!r} is not a URI like s3://bucket/prefix or file:///folder")
        return value

    @property
    def folders(self) -> tuple[Path, ...]:
        """Folders of the ``file://`` URIs among the roots."""
        uris = (*self.video_roots, *self.path_map.values(), self.processed_root)
        return tuple(Path(uri.removeprefix("file://")) for uri in uris if uri.startswith("file://"))


class RetrySettings(Section):
    """How often each class of failure is tried again, and how long after."""

    storage: Annotated[int, Field(ge=0)] = Field(5, description="Retries after `storage`: outages pass.")
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

    launcher: Literal["local"] = Field("local", description="Where attempts run.")
    interval_s: Annotated[float, Field(gt=0)] = Field(5, description="Pause between passes, seconds.")
    max_active: Annotated[int, Field(ge=1)] = Field(1, description="Attempts that may run at a time.")
    plan_batch: Annotated[int, Field(ge=1)] = Field(100, description="Tasks planned in one pass at most.")
    first_start_limit: Annotated[int, Field(ge=0)] = Field(
        20, description="More pending tasks than this at first sight of a pipeline are held until `fmdj release`."
    )
    engine: Literal[Engine.FACEMAP] = Field(Engine.FACEMAP, description="SVD engine of new pipelines.")
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
    lease_s: Annotated[float, Field(gt=0)] = Field(30, description="Leadership lasts so long, seconds.")
    renew_s: Annotated[float, Field(gt=0)] = Field(10, description="and is renewed so often, seconds.")
    populate_beat_s: Annotated[float, Field(gt=0)] = Field(
        15, description="`populate()` shows so often that it still runs a task, seconds."
    )
    populate_silent_s: Annotated[float, Field(gt=0)] = Field(
        300, description="A task whose `populate()` hasn't shown itself for so long is free again; equal everywhere."
    )
    retry: RetrySettings = Field(default_factory=RetrySettings, description="Retries by failure class.")

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
    allow_unknown_facemap: bool = Field(False, description="Run a Facemap version whose faults aren't known.")
    progress_s: Annotated[float, Field(gt=0)] = Field(15, description="Between writes of progress.json, seconds.")
    log_upload_s: Annotated[float, Field(gt=0)] = Field(60, description="Between uploads of run.log, seconds.")


class LoadSettings(Section):
    """The loader and its quality checks."""

    interval_s: Annotated[float, Field(gt=0)] = Field(5, description="Pause between looks, seconds.")
    workdir: Path | None = Field(None, description="Where signals.h5 is kept while it is read; empty is temporary.")
    slice_mib: Annotated[int, Field(ge=1)] = Field(32, description="Rows are built and sent in slices of so many MiB.")
    min_variance: Annotated[float, Field(ge=0)] = Field(
        0.0, description="A motion or pupil trace whose variance isn't above this is flat."
    )
    max_tail_zeros: Annotated[int, Field(ge=0)] = Field(
        30, description="Zeros at a motion trace's end: more means the video ended before its header said (F7)."
    )
    max_nan_fraction: Annotated[float, Field(ge=0, le=1)] = Field(
        0.5, description="Frames of a pupil trace that may be NaN (closed eye); other traces have none."
    )


class LogSettings(Section):
    """Logs."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Least level written.")
    format: Literal["text", "json"] = Field("text", description="One event per line, for people or for machines.")


class Settings(BaseSettings):
    """All settings."""

    model_config = SettingsConfigDict(
        env_prefix="FMDJ_", env_nested_delimiter="__", extra="forbid", frozen=True, hide_input_in_errors=True
    )

    instance: Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$")] = Field(
        "fmdj", description="Name of this installation; labels its Jobs."
    )
    database: DatabaseSettings = Field(default_factory=DatabaseSettings, description="The database.")
    storage: StorageSettings = Field(default_factory=StorageSettings, description="The object stores.")
    pipelines: tuple[PipelineSettings, ...] = Field((), description="The labs' pipelines.")
    controller: ControllerSettings = Field(default_factory=ControllerSettings, description="The controller.")
    local: LocalSettings = Field(default_factory=LocalSettings, description="The local launcher.")
    worker: WorkerSettings = Field(default_factory=WorkerSettings, description="The worker.")
    load: LoadSettings = Field(default_factory=LoadSettings, description="The loader.")
    log: LogSettings = Field(default_factory=LogSettings, description="Logs.")

    @model_validator(mode="after")
    def _unique_pipelines(self) -> Settings:
        names = [pipeline.name for pipeline in self.pipelines]
        if len(set(names)) != len(names):
            raise ValueError(f"pipelines have the same name: {', '.join(names)}")
        return self

    @model_validator(mode="after")
    def _file_roots(self) -> Settings:
        folders = dict.fromkeys(folder for pipeline in self.pipelines for folder in pipeline.folders)
        roots = self.storage.file.roots
        for folder in folders if roots else ():
            if not any(folder.is_relative_to(root) for root in roots):
                raise ValueError(f"file://{folder} lies in none of storage.file.roots: add its folder there")
        if folders and not roots:  # the storage section alone goes to workers, and they must know
            file = self.storage.file.model_copy(update={"roots": tuple(folders)})
            object.__setattr__(self, "storage", self.storage.model_copy(update={"file": file}))
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the sources in order: arguments, environment, secrets directory, YAML file."""
        sources = [init_settings, env_settings]
        if secrets := os.environ.get("FMDJ_SECRETS_DIR"):
            sources.append(NestedSecretsSettingsSource(file_secret_settings, secrets_dir=secrets))
        if config := os.environ.get("FMDJ_CONFIG"):
            sources.append(YamlConfigSettingsSource(settings_cls, yaml_file=config))
        return tuple(sources)

    def pipeline(self, name: str) -> PipelineSettings:
        """Return the pipeline called `name`.

        Raises
        ------
        ConfigError
            If there is none.
        """
        for pipeline in self.pipelines:
            if pipeline.name == name:
                return pipeline
        known = ", ".join(p.name for p in self.pipelines) or "none"
        raise ConfigError(f"There is no pipeline {name!r} in the settings (known: {known}).")


_BESIDE = ("FMDJ_CONFIG", "FMDJ_SECRETS_DIR")
"""Variables that say where settings are; ``FMDJ_TEST_*`` is the tests' own."""


def refuse_unknown_names(names: Iterable[str]) -> None:
    """Refuse names of variables or secret files that start with ``FMDJ_`` and are no setting.

    Parameters
    ----------
    names : iterable of str
        Names in any case; what doesn't start with ``FMDJ_`` is somebody else's.

    Raises
    ------
    ConfigError
        The sentence names each, with the setting that is most like it.
    """
    known = _variables(Settings, "FMDJ_")
    problems = []
    for name in sorted(names):
        upper = name.upper()
        if not upper.startswith("FMDJ_") or upper in (*known, *_BESIDE) or upper.startswith("FMDJ_TEST_"):
            continue
        like = difflib.get_close_matches(upper, [*known, *_BESIDE], n=1)
        problems.append(f"{name} is not a setting" + (f" (did you mean {like[0]}?)" if like else ""))
    if problems:
        raise ConfigError(f"{'; '.join(problems)}: correct or unset it.")


def _variables(section: type[BaseModel], prefix: str) -> list[str]:
    names = []
    for name, field in section.model_fields.items():
        variable = f"{prefix}{name.upper()}"
        names.append(variable)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            names += _variables(field.annotation, f"{variable}__")
    return names


def load_settings(**overrides: Any) -> Settings:
    """Read the settings from their sources.

    Parameters
    ----------
    **overrides : Any
        Sections or values that win over every source.

    Raises
    ------
    ConfigError
        If a setting is unknown or has a wrong value; the sentence names each.
    """
    config = os.environ.get("FMDJ_CONFIG")
    if config and not Path(config).is_file():
        raise ConfigError(f"FMDJ_CONFIG={config} is not a file: point it at the YAML file with the settings.")
    secrets = os.environ.get("FMDJ_SECRETS_DIR")
    if secrets and not Path(secrets).is_dir():
        raise ConfigError(f"FMDJ_SECRETS_DIR={secrets} is not a folder: point it at the folder with the secrets.")
    refuse_unknown_names([*os.environ, *(os.listdir(secrets) if secrets else ())])
    try:
        return Settings(**overrides)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'settings'}: {e['msg']}" for e in error.errors())
        raise ConfigError(f"The settings are wrong: {problems}.") from error
    except Exception as error:  # a YAML or environment source that can't be parsed raises its own types
        where = f" of FMDJ_CONFIG={config}" if config else ""
        raise ConfigError(
            f"The settings{where} can't be read ({' '.join(str(error).split())}): correct the file or the variables."
        ) from error
