"""Bodies of the routes that mint secrets, as OpenAPI describes them. `admission.secret_bodies` reads and checks them."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from agentvoicebox.http_server.described import schema_named
from agentvoicebox.tenancy.client_secrets import LEAST_S, MOST_S, MOST_SESSIONS, USUAL_S
from agentvoicebox.wire.session_shapes import RealtimeSession, SessionChange, TranscriptionSession


class ExpiresAfter(BaseModel):
    """How long a secret can open sessions."""

    model_config = ConfigDict(extra="forbid")

    anchor: Literal["created_at"] = "created_at"
    seconds: int = Field(default=USUAL_S, ge=LEAST_S, le=MOST_S)


class SecretAsked(BaseModel):
    """A secret to mint; an empty body asks for the defaults."""

    model_config = ConfigDict(extra="forbid")

    expires_after: ExpiresAfter | None = None
    session: dict[str, Any] | None = Field(default=None, json_schema_extra=schema_named(SessionChange))
    max_concurrent_sessions: int = Field(
        default=1, ge=1, le=MOST_SESSIONS, description="An extension: how many sessions it may have open at a time."
    )


class SecretBody(BaseModel):
    """A new secret, for a browser."""

    value: str = Field(description="The secret, `ek_…`; it is not shown again.")
    expires_at: int = Field(description="Seconds since 1970.")
    session: dict[str, Any] = Field(json_schema_extra=schema_named(RealtimeSession, TranscriptionSession))


class BetaSecret(BaseModel):
    """A new secret."""

    value: str
    expires_at: int


class BetaSessionAsked(BaseModel):
    """A session in the retired beta's flat spelling."""

    model_config = ConfigDict(extra="allow")


class BetaSessionBody(BaseModel):
    """A session in the retired beta's flat spelling, with its secret."""

    model_config = ConfigDict(extra="allow")

    id: str
    object: str
    expires_at: int
    client_secret: BetaSecret
