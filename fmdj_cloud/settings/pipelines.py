"""The labs' pipelines."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, field_validator, model_validator

from fmdj_cloud.settings.base import Section

_URI = re.compile(r"s3://[^/]+(/.*)?|file://(/(?!\.{0,2}(/|$))[^/]+)+/?")


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
    stores: dict[str, str] = Field(
        default_factory=dict,
        description="Name of a DataJoint object store -> URI of its location, for models and results kept in one "
        "(default: the one without a name).",
    )
    projections: str | None = Field(
        None,
        description="Name of one of `stores`: tables of DataJoint 2 that we declare keep projections there, as "
        "`<blob@name>`. Empty: in the database. Tables that exist stay as they are.",
    )

    @field_validator("video_roots", "processed_root", "path_map", "stores")
    @classmethod
    def _uris(cls, value: Any) -> Any:
        uris = [value] if isinstance(value, str) else list(value.values()) if isinstance(value, dict) else value
        for uri in uris:
            if not _URI.fullmatch(uri):
                raise ValueError(f"{uri!r} is not a URI like s3://bucket/prefix or file:///folder")
        return value

    @model_validator(mode="after")
    def _known_store(self) -> PipelineSettings:
        if self.projections is not None and self.projections not in self.stores:
            known = ", ".join(self.stores) or "none"
            raise ValueError(f"projections is {self.projections!r}, which is none of the pipeline's stores ({known})")
        return self

    @property
    def folders(self) -> tuple[Path, ...]:
        """Folders of the ``file://`` URIs among the roots."""
        uris = (*self.video_roots, *self.path_map.values(), self.processed_root, *self.stores.values())
        return tuple(Path(uri.removeprefix("file://")) for uri in uris if uri.startswith("file://"))
