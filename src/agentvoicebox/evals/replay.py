"""Any past interaction once more, in process: the engine's effects byte for byte, and each tool call's outcome.

Decides what "the same" is. Needs no server. What is asked of a running server is in `replay_live`.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any, Literal

import msgspec

from agentvoicebox.engine.inputs import Opened
from agentvoicebox.engine.invariants import Invariants, InvariantViolation
from agentvoicebox.evals.backends import MakeTool, recorded, tool_core
from agentvoicebox.interactions.interaction import Interaction, ToolUse
from agentvoicebox.interactions.rerun import DIGEST_HEX, NotALog, digest, masked_digest, rerun
from agentvoicebox.ports.shipments import Shipments

Verdict = Literal["same", "different", "impossible"]


class Replay(msgspec.Struct, frozen=True, kw_only=True):
    """One replay of one interaction.

    Attributes:
        what: `effects`, `tool`, `lines` or `webhook`.
        verdict: `impossible` when the recording lacks what it needs; `why` says which.
        why: what differs, "" when nothing does.
    """

    call_id: str
    what: str
    verdict: Verdict
    why: str = ""
    scenario: str = ""


def verdict(interaction: Interaction, what: str, verdict: Verdict, why: str = "") -> Replay:
    """A replay's outcome, with the ids of its interaction."""
    return Replay(call_id=interaction.call_id, what=what, verdict=verdict, why=why, scenario=interaction.scenario)


def replay_effects(interaction: Interaction) -> Replay | None:
    """The engine over the interaction's log again; None for one without a log (a webhook).

    With words: each step's effects must be those of the call, byte for byte. Without: their masked form must be. The laws
    of a conversation are checked on the way.
    """
    if not interaction.log:
        return None
    if not interaction.is_whole:
        return verdict(interaction, "effects", "impossible", "the log is not whole")
    expected = [interaction.digests[at : at + DIGEST_HEX] for at in range(0, len(interaction.digests), DIGEST_HEX)]
    if len(expected) != len(interaction.log):
        why = f"{len(interaction.log)} inputs, but digests of {len(expected)} steps"
        return verdict(interaction, "effects", "different", why)
    of_step = digest if interaction.has_words else masked_digest
    laws = Invariants()
    try:
        for number, step in enumerate(rerun(interaction.log)):
            if of_step(step.effects).hex() != expected[number]:
                kind = type(step.given).__name__
                why = f"other effects from input {number} on ({kind} at {step.now_s:.3f} s)"
                return verdict(interaction, "effects", "different", why)
            given = None if isinstance(step.given, Opened) else step.given
            laws.check(step.engine, given, step.effects, step.now_s)
    except InvariantViolation as broken:
        if str(broken).partition(":")[0] != interaction.laws_broken:
            return verdict(interaction, "effects", "different", f"a law is broken: {broken}")
    except NotALog as error:
        return verdict(interaction, "effects", "impossible", str(error))
    return verdict(interaction, "effects", "same")


async def replay_tools(
    interaction: Interaction, *, make_tool: MakeTool = tool_core, shipments: Shipments | None = None
) -> list[Replay]:
    """Each tool call of the interaction again, through the tool core; outcome and facts must be the same.

    Args:
        interaction: with words, or its ids find nothing.
        make_tool: the tool core over a source of parcels.
        shipments: a real source; None: the answer that the backend gave then, as far as the outcome tells it.
    """
    return [await _replay_tool(interaction, use, make_tool, shipments) for use in interaction.tool_calls]


async def _replay_tool(
    interaction: Interaction, use: ToolUse, make_tool: MakeTool, shipments: Shipments | None
) -> Replay:
    if not interaction.has_words:
        return verdict(interaction, "tool", "impossible", "ids are masked (AVB_RECORD_WORDS keeps them)")
    if use.is_client:
        return verdict(interaction, "tool", "impossible", "the client ran it")
    if use.code == "FAILED":
        return verdict(interaction, "tool", "impossible", "it never answered")
    try:
        source = shipments or recorded(use)
    except ValueError as error:
        return verdict(interaction, "tool", "impossible", str(error))
    name = use.name or "get_delivery_status"
    output = await make_tool(source)(_own_name(name), use.arguments)
    differs = different(use, output, day_of(interaction), compares_speech=shipments is None)
    return verdict(interaction, "tool", "different" if differs else "same", differs)


def _own_name(name: str) -> str:
    """Dashboards know the look-up under names of their own."""
    return "get_delivery_status" if name in ("track_shipment", "track") else name


def different(
    use: ToolUse,
    output: str,
    then: date,
    *,
    compares_speech: bool = True,
    now: date | None = None,
    compares_days: bool = True,
) -> str:
    """What differs between a recorded tool call and an answer to the same call now; "" for nothing.

    Args:
        use: as recorded.
        output: the answer now, JSON.
        then: the day of the recording.
        compares_speech: the sentence, too, must be the same to the letter.
        now: the day of the answer; days are compared by their distance. None: the same day as then.
        compares_days: False where days may have moved.
    """
    before, after = _object(use.output), _object(output)
    came_to = [each.get("code") or each.get("error") or "no code" for each in (before, after)]
    if came_to[0] != came_to[1]:
        return f"{came_to[0]} then, {came_to[1]} now"
    old = _facts(before.get("data"), then, compares_days)
    new = _facts(after.get("data"), now or then, compares_days)
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            return f"{name} is not the same"
    has_age = isinstance(before.get("data"), dict) and "age_s" in before["data"]
    if compares_speech and not has_age and before.get("speech") != after.get("speech"):
        return "the sentence is not the same"
    return ""


def _object(text: str) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(text.encode()) if text else {}
    except msgspec.DecodeError:
        value = {}
    return value if isinstance(value, dict) else {}


def _facts(data: object, today: date, compares_days: bool) -> dict[str, object]:
    """The facts that must be the same: number, status, carrier, place, and the days counted from today."""
    if not isinstance(data, dict):
        return {}
    facts: dict[str, object] = {
        name: data.get(name) for name in ("tracking_id", "status", "carrier", "candidates") if name in data
    }
    event = data.get("last_event")
    if isinstance(event, dict):
        facts["place"] = event.get("location")
    if compares_days and isinstance(data.get("eta"), str):
        facts["day of arrival"] = (date.fromisoformat(str(data["eta"])[:10]) - today).days
    return facts


def day_of(interaction: Interaction) -> date:
    """The day of an interaction, in UTC."""
    return datetime.fromtimestamp(interaction.began_s, UTC).date()


async def replay_all(
    interactions: Sequence[Interaction], *, make_tool: MakeTool = tool_core, shipments: Shipments | None = None
) -> list[Replay]:
    """Every replay that needs no server."""
    replays: list[Replay] = []
    for interaction in interactions:
        effects = replay_effects(interaction)
        replays += [effects] if effects else []
        replays += await replay_tools(interaction, make_tool=make_tool, shipments=shipments)
    return replays
