"""How to reach the database."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, SecretStr

from fmdj_cloud.settings.base import Section


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
