"""What the programs tell over HTTP: health and metrics."""

from __future__ import annotations

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
