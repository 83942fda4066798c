"""Bodies of the records' routes; the OpenAPI document is generated from them. `history` makes them from what is stored."""

from datetime import date
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class VerdictBody(BaseModel):
    """What the replay and the judge of an ended session showed. Null: not judged."""

    replay: str | None
    invariant_broken: str | None
    claims: int | None = Field(description="Statements of the agent that were checked.")
    unfounded: int | None = Field(description="Those that no result of a tool supports.")
    due: int | None
    reported: int | None


class SessionBody(BaseModel):
    """A recorded session."""

    id: str
    object: Literal["realtime.session"]
    agent: str | None
    model: str | None
    created_at: int = Field(description="Seconds since 1970.")
    closed_at: int | None
    close: dict[str, Any] | None = Field(description="`code` and `reason` of its end.")
    state: Literal["open", "ended"]
    duration_s: float | None
    turns: int
    has_audio: bool
    tool_calls: int | None
    verdict: VerdictBody | None


class ItemBody(BaseModel):
    """An item as the client knows it, with what was recorded beside it."""

    model_config = ConfigDict(extra="allow")

    id: str
    object: Literal["realtime.item"]
    type: str
    response_id: str | None = Field(description="The response that made it.")
    is_hidden: bool = Field(description="A call of the server's own tools, which the client does not see.")
    sent_ms: int = Field(description="How much of its audio was sent.")
    heard_ms: int | None = Field(description="How much was played; null: not known.")


class TurnBody(BaseModel):
    """The latency ledger of an answer: `agentvoicebox.turn` at its end (docs/reference/extensions.md)."""

    model_config = ConfigDict(extra="allow")

    id: str = Field(description="Id of the response.")
    object: Literal["agentvoicebox.turn"]
    total_ms: float = Field(description="From the caller's last voiced sample to the first output.")


class _Page(BaseModel):
    object: Literal["list"]
    first_id: str | None
    last_id: str | None = Field(description="For `after`, to get the next page.")
    has_more: bool


class SessionPage(_Page):
    """A page of sessions."""

    data: list[SessionBody]


class ItemPage(_Page):
    """A page of items."""

    data: list[ItemBody]


class TurnPage(_Page):
    """A page of answered turns."""

    data: list[TurnBody]


class UsageFigures(BaseModel):
    """What was used."""

    sessions: int
    connection_minutes: float
    audio_in_seconds: float
    audio_out_seconds: float
    input_tokens: int
    output_tokens: int


class DayUsage(UsageFigures):
    """What was used on a day (UTC)."""

    day: date


class UsageBody(BaseModel):
    """What was used in a span of days: the days with any usage, and their sum."""

    object: Literal["usage"]
    first: date = Field(alias="from")
    to: date
    data: list[DayUsage]
    total: UsageFigures
