"""Bodies of the probes, of the agents and voices, and of an open session; the OpenAPI document is generated from them."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class ReadyBody(BaseModel):
    """Whether calls can be taken. The internal port tells why."""

    status: Literal["ready", "degraded", "not ready", "leaving"]


class ModelBody(BaseModel):
    """An agent that can be called."""

    id: str = Field(description="Its name: `model` of a session.")
    object: Literal["model"]
    created: int
    owned_by: str


class ModelList(BaseModel):
    """All agents that can be called."""

    object: Literal["list"]
    data: list[ModelBody]


class VoiceBody(BaseModel):
    """A voice that a session or a speech request may ask for."""

    name: str
    engine: str
    language: str = Field(description="As `en-US`.")
    description: str


class VoiceList(BaseModel):
    """All voices."""

    object: Literal["list"]
    data: list[VoiceBody]


class OpenSessionBody(BaseModel):
    """An open session, as the store knows it."""

    model_config = ConfigDict(extra="allow")

    id: str
    object: Literal["realtime.session"]
    agent: str = Field(description="Name of its agent.")
    model: str = Field(description="As the client asked for it.")
    opened_s: str = Field(description="When it began: seconds since 1970, as text.")
