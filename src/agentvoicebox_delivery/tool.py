"""The look-up of parcels as a tool, for all protocols.

Decides how arguments are read: many spellings of the key, an id as a number, several readings of one id. `parcels.track` makes
the answer; `sources.look_up` finds the parcels.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, date, datetime
from typing import Any

import msgspec
import structlog

from agentvoicebox.clock import SystemClock
from agentvoicebox.errors import AgentVoiceBoxError
from agentvoicebox.tools.definition import TOOL_TIMEOUT, TOOL_UNAVAILABLE, Definition, Outcome, Tool, ToolContext
from agentvoicebox.tools.schema import Misfit
from agentvoicebox_delivery.numbers import inquiry
from agentvoicebox_delivery.numbers.tracking import MOST_CANDIDATES, Candidate
from agentvoicebox_delivery.parcels import tool_schema, track
from agentvoicebox_delivery.parcels.reply import STALE_AFTER_S
from agentvoicebox_delivery.parcels.shipment import Shipment
from agentvoicebox_delivery.sources import budget

DEADLINE_S = 1.0  # fallback: a look-up has its own budget of 0.5 s (requirement B2.4)
MOST_CHARACTERS = 512  # of one spoken id; the longest number, spelled in words, has about 250
MOST_REFUSED = 8
EXACT_BELOW = 1 << 53  # a sender in JavaScript has rounded whole numbers from here on
UNRELIABLE = "not exact"  # the problem of such a number

# Complete names, without case, underscores and hyphens, the most specific first; `call_id` or `caller_number` must not match.
ID_KEYS = (
    "trackingid", "trackingnumber", "trackingcode", "trackingno", "tracking", "shipmentid", "shipmentnumber", "parcelid",
    "parcelnumber", "packageid", "packagenumber", "id", "number",
)  # fmt: skip

STATUS = {
    track.FOUND: "success",
    track.NOT_FOUND: "not_found",
    track.INVALID_ID: "invalid",
    track.INVALID_ARGUMENTS: "invalid",
    track.CONFIRM: "confirm",
    track.AMBIGUOUS: "ambiguous",
    track.UNAVAILABLE: "unavailable",
    track.ERROR: "error",
}

Find = Callable[[str, list[Candidate]], Awaitable[budget.Answer]]
"""(tenant id, candidates, best first) → the answer."""

Near = Callable[[str, inquiry.Keys], Awaitable[Sequence[Shipment]]]
"""(tenant id, beginnings and endings of numbers) → parcels. Raises AgentVoiceBoxError."""

_log = structlog.get_logger(__name__)


def _normalise(given: dict[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    for key, value in given.items():
        plain.setdefault("".join(c for c in key.lower() if c not in "_- "), value)
    more = plain.get("candidates")
    texts = [_text(plain.get(key)) for key in ID_KEYS]
    texts = [
        next((text for text in texts if text), ""),
        *map(_text, more[:MOST_CANDIDATES] if isinstance(more, list) else []),
    ]
    readings = list(dict.fromkeys(text for text in texts if text))[:MOST_CANDIDATES]
    if not readings:
        if any(_is_rounded(plain.get(key)) for key in ID_KEYS):
            raise Misfit(tool_schema.ID, UNRELIABLE)
        return {}
    normalised: dict[str, Any] = {"tracking_id": readings[0], "candidates": readings}
    for key, most in ((inquiry.HEARD, inquiry.MOST_HEARINGS), (inquiry.REFUSED, MOST_REFUSED)):
        if isinstance(plain.get(key), list):
            normalised[key] = [text for text in map(_text, plain[key][-most:]) if text]
    if ending := _text(plain.get(inquiry.ENDING)):
        normalised[inquiry.ENDING] = ending
    return normalised


def _text(value: Any) -> str:
    """An id as text; "" for an invalid one, and for a number whose last digits may be lost. A text keeps its leading zeros."""
    if isinstance(value, str):
        return value[:MOST_CHARACTERS] if value.strip() else ""
    is_number = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < EXACT_BELOW
    return str(value) if is_number else ""


def _is_rounded(value: Any) -> bool:
    """Whether a number is too large to have all its digits (`9400111206206406260787` becomes `9.400111206206406e+21`)."""
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= EXACT_BELOW


def _misfit(fault: Misfit) -> Outcome:
    return _outcome(track.unreliable_number() if fault.problem == UNRELIABLE else track.invalid_id())


def _outcome(found: track.LookupOutcome) -> Outcome:
    is_error = found.code in (track.ERROR, track.UNAVAILABLE)
    return Outcome(found.code, found.as_json(), found.speech, dict(found.data), is_error, _status(found))


def _status(found: track.LookupOutcome) -> str:
    """The status in one word (requirement B1.4)."""
    age_s = found.data.get("age_s")
    if found.code == track.FOUND and isinstance(age_s, int | float) and age_s >= STALE_AFTER_S:
        return "stale"
    return STATUS.get(found.code, "error")


def _failed(code: str) -> Outcome:
    """The outcome for a failure of the platform, in this agent's wording."""
    is_away = code in (TOOL_TIMEOUT, TOOL_UNAVAILABLE)
    return _outcome(track.unavailable() if is_away else track.error())


DEFINITION = Definition(
    name=tool_schema.NAME,
    description=tool_schema.DESCRIPTION,
    arguments=tool_schema.Arguments,
    is_read_only=True,
    timeout_s=DEADLINE_S,
    normalise=_normalise,
    misfit=_misfit,
    unreadable=lambda: _outcome(track.invalid_arguments()),
    failed=_failed,
    codes=frozenset(STATUS),
)


def day_of(wall_s: float) -> date:
    """The UTC day of a Unix time."""
    return datetime.fromtimestamp(wall_s, UTC).date()


def _today() -> date:
    return day_of(SystemClock().wall_s())


def delivery_status(find: Find, near: Near | None = None, *, today: Callable[[], date | None] = _today) -> Tool:
    """The tool with a source of parcels.

    Args:
        find: looks up exact numbers.
        near: looks up similar numbers, for misheard ones; None if the source can't.
        today: the day on which the answer is spoken; None where it is unknown. Read once for each call of the tool.
    """

    async def answer_spoken(question: inquiry.Inquiry, tenant_id: str) -> track.LookupOutcome:
        asked = list(question.asked)
        answer = await find(tenant_id, asked) if asked else budget.Answer(budget.AnswerSource.FETCHED, ())
        if answer.shipments is None:
            return budget.outcome(asked, answer, today=today())
        alike = None
        if near is not None:
            try:
                async with asyncio.timeout(budget.BUDGET_S):
                    alike = await near(tenant_id, question.keys())
            except (TimeoutError, AgentVoiceBoxError) as error:
                _log.warning(
                    "no look-up of similar numbers", error=type(error).__name__
                )  # then the number is confirmed first
        return question.outcome(answer.shipments, alike, today=today(), age_s=answer.age_s)

    async def run(arguments: tool_schema.Arguments, context: ToolContext) -> Outcome:
        question = inquiry.Inquiry.of(msgspec.to_builtins(arguments))
        asked = track.wanted(arguments.candidates or arguments.tracking_id)
        if not asked and question is None:
            return _outcome(track.invalid_id())
        try:
            if question is not None:
                return _outcome(await answer_spoken(question, context.tenant_id))
            return _outcome(budget.outcome(asked, await find(context.tenant_id, asked), today=today()))
        except AgentVoiceBoxError as error:
            _log.warning("look-up failed", code=error.code)
            return _outcome(track.unavailable() if error.retryable else track.error())
        except Exception as error:
            _log.error("unexpected error in a look-up", error=type(error).__name__)
            return _outcome(track.error())

    return Tool(DEFINITION, run)
