"""Every setting, one tree.

Sources, first wins: arguments, ``FMDJ_*`` environment variables (``__`` between levels, as in
``FMDJ_CONTROLLER__MAX_ACTIVE``), files in the secrets directory ``FMDJ_SECRETS_DIR`` (named like the
variables, as in ``fmdj_database__password``), the YAML file named by ``FMDJ_CONFIG``. A name that starts
with ``FMDJ_`` and is no setting is refused, so that a typing error doesn't silently mean the default.

Database fields left empty come from DataJoint's own configuration (``DJ_HOST`` ..., ``datajoint.json``);
S3 credentials left empty come from the AWS chain.
"""

from __future__ import annotations

import os
from typing import Annotated

from pydantic import Field, model_validator
from pydantic_settings import (
    BaseSettings,
    NestedSecretsSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    YamlConfigSettingsSource,
)

from fmdj_cloud.errors import ConfigError
from fmdj_cloud.settings.controller import ControllerSettings, LocalSettings
from fmdj_cloud.settings.database import DatabaseSettings
from fmdj_cloud.settings.gc import GcSettings
from fmdj_cloud.settings.kubernetes import KubernetesSettings
from fmdj_cloud.settings.pipelines import PipelineSettings
from fmdj_cloud.settings.programs import LoadSettings, LogSettings, WorkerSettings
from fmdj_cloud.settings.serve import PageSettings, ServeSettings
from fmdj_cloud.settings.storage import StorageSettings


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
    kubernetes: KubernetesSettings = Field(default_factory=KubernetesSettings, description="Jobs on Kubernetes.")
    local: LocalSettings = Field(default_factory=LocalSettings, description="The local launcher.")
    worker: WorkerSettings = Field(default_factory=WorkerSettings, description="The worker.")
    load: LoadSettings = Field(default_factory=LoadSettings, description="The loader.")
    serve: ServeSettings = Field(default_factory=ServeSettings, description="Health and metrics over HTTP.")
    page: PageSettings = Field(default_factory=PageSettings, description="The status page.")
    gc: GcSettings = Field(default_factory=GcSettings, description="Housekeeping: `fmdj gc`.")
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
