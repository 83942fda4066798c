"""How a recorded call about parcels came out, from the outcomes of its tool calls. Needs no words of the call."""

import re
from collections.abc import Sequence

import msgspec

from agentvoicebox.interactions.interaction import Interaction, ToolUse
from agentvoicebox.kits.evaluation import RecordedOutcome
from agentvoicebox_delivery.parcels import track

FOUND, CONFIRMED = "found", "confirmed and found"
NOT_FOUND, REFUSED = "not found", "number refused by the caller"
UNAVAILABLE, HANDED_OVER, NO_NUMBER = "tracking unavailable", "handed over", "no number"
OUTCOMES = (FOUND, CONFIRMED, HANDED_OVER, NOT_FOUND, REFUSED, NO_NUMBER, UNAVAILABLE)
GOOD_OUTCOMES = frozenset({FOUND, CONFIRMED})

HAND_OVER_TOOLS = frozenset(
    {"hand_over", "hand_over_to_person", "transfer", "transfer_call", "call_back", "request_callback"}
)
_ASKS_BACK = (track.CONFIRM, track.AMBIGUOUS)
_OUTAGES = (track.UNAVAILABLE, track.ERROR, "FAILED")

_REFUSAL = re.compile(
    r"\bi(?:'m| am)? (?:can't|cannot|can not|can only|only speak|don't (?:know|have)|do not (?:know|have)|not able|unable)\b"
)
_RESULT = re.compile(r"\b(?:reach|look up) (?:the|a|your|parcels)\b|\bmake out the number\b")  # sentences of the tool


def outcome_of(interaction: Interaction) -> RecordedOutcome:
    """See KitEvaluation.outcome. A try is a number that was looked up; a read-back with its "yes" is one try."""
    uses = [use for use in interaction.tool_calls if use.name not in HAND_OVER_TOOLS]
    if any(use.name in HAND_OVER_TOOLS and use.code not in _OUTAGES for use in interaction.tool_calls):
        return RecordedOutcome(HANDED_OVER, _tries(uses))
    codes = [use.code for use in uses]
    if track.FOUND in codes:
        was_asked = any(_asks_about(use, _id_found(uses)) for use in uses)
        return RecordedOutcome(CONFIRMED if was_asked else FOUND, _tries(uses))
    known = [code for code in codes if code in (track.NOT_FOUND, *_ASKS_BACK, *_OUTAGES)]
    if not known:
        return RecordedOutcome(NO_NUMBER)
    last = known[-1]
    return RecordedOutcome(NOT_FOUND if last == track.NOT_FOUND else REFUSED if last in _ASKS_BACK else UNAVAILABLE)


def refuses(line: str) -> bool:
    """See KitEvaluation.refuses."""
    return any(
        _REFUSAL.search(sentence) and not _RESULT.search(sentence)
        for sentence in re.split(r"[.!?;]", line.lower().replace("\u2019", "'"))
    )


def _tries(uses: Sequence[ToolUse]) -> int | None:
    """Look-ups until the first parcel was found, without those that asked back about that very parcel."""
    found = next((place for place, use in enumerate(uses) if use.code == track.FOUND), None)
    if found is None:
        return None
    found_id = _id_found(uses)
    return 1 + sum(use.code not in _OUTAGES and not _asks_about(use, found_id) for use in uses[:found])


def _id_found(uses: Sequence[ToolUse]) -> object:
    return next((_data(use).get("tracking_id") for use in uses if use.code == track.FOUND), None)


def _asks_about(use: ToolUse, tracking_id: object) -> bool:
    data = _data(use)
    numbers = data.get("candidates")
    asked = [data.get("tracking_id"), *(numbers if isinstance(numbers, list) else ())]
    return use.code in _ASKS_BACK and tracking_id is not None and tracking_id in asked


def _data(use: ToolUse) -> dict[str, object]:
    try:
        output = msgspec.json.decode(use.output.encode()) if use.output else {}
    except msgspec.DecodeError:
        return {}
    data = output.get("data") if isinstance(output, dict) else None
    return data if isinstance(data, dict) else {}
