"""What the programs tell over HTTP: health, metrics, and the status page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from fmdj_cloud.settings.base import Section


class ServeSettings(Section):
    """Health and metrics of controller and loader over HTTP; nothing can be changed there."""

    host: str = Field("", description="Address listened on; empty is all, as the probes of a pod need.")
    port: Annotated[int, Field(ge=0, lt=65536)] = Field(
        0, description="Port, of its own for each program on a machine; 0 is off. The chart takes 8080."
    )
    silent_s: Annotated[float, Field(gt=0)] = Field(
        900,
        description="A main loop that hasn't shown itself for so long is stuck, seconds: `/healthz` says so and "
        "Kubernetes starts the program anew. Loading one run may take minutes.",
    )
    recent_s: Annotated[float, Field(gt=0)] = Field(
        120, description="`/readyz` wants an answer of the database that is no older, seconds."
    )


class PageSettings(Section):
    """The status page of `fmdj serve`; nothing can be changed there."""

    host: str = Field(
        "127.0.0.1",
        description="Address listened on; empty is all. Whoever reaches the page sees every run: it asks for no "
        "password.",
    )
    port: Annotated[int, Field(ge=0, lt=65536)] = Field(8090, description="Port; 0 takes any free one.")
    hosts: tuple[str, ...] = Field(
        (),
        description="Names that the page may be asked for by, in the Host header; empty is any, or this machine's own "
        "names where it listens on these alone.",
    )
    refresh_s: Annotated[float, Field(gt=0)] = Field(
        5, description="Everybody sees the same look at database and object store, which is so old at most, seconds."
    )
    clients_max: Annotated[int, Field(ge=0)] = Field(
        100, description="Pages that are kept up to date at a time; others are loaded anew every half a minute."
    )
    rows: Annotated[int, Field(ge=1, le=500)] = Field(50, description="Runs on one page of a list.")
    log_kib: Annotated[int, Field(ge=1, le=65536)] = Field(
        1024, description="What is shown of a log at most, its end, KiB."
    )
    picture_mib: Annotated[int, Field(ge=0)] = Field(
        1024, description="Outputs are fetched for pictures up to this size, MiB; 0 shows none."
    )
    workdir: Path | None = Field(None, description="Where outputs are kept while they are drawn; empty is temporary.")
    price_core_h: Annotated[float, Field(ge=0)] | None = Field(
        None, description="Price of a core for an hour; with it the page says what runs cost, about."
    )
    price_gib_h: Annotated[float, Field(ge=0)] = Field(0, description="Price of a GiB of memory for an hour.")
    price_gpu_h: Annotated[float, Field(ge=0)] = Field(0, description="Price of a GPU for an hour.")
    currency: Annotated[str, Field(max_length=8)] = Field("USD", description="Of the prices.")
