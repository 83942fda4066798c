"""The delivery agent's part in `agentvoicebox eval`. Implements kits.evaluation.KitEvaluation."""

import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import msgspec

from agentvoicebox.interactions.interaction import Interaction, ToolUse
from agentvoicebox.interactions.judge import UnsupportedClause
from agentvoicebox.kits.evaluation import RecordedOutcome, RunTool
from agentvoicebox.settings import Settings
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox_delivery import tool
from agentvoicebox_delivery.evals import backends, promises
from agentvoicebox_delivery.evals.facts import facts_of, plain, without_days
from agentvoicebox_delivery.evals.outcomes import GOOD_OUTCOMES, OUTCOMES, outcome_of, refuses
from agentvoicebox_delivery.grounding.statements import STATES
from agentvoicebox_delivery.numbers.readback import ending
from agentvoicebox_delivery.parcels import tool_schema, track
from agentvoicebox_delivery.parcels.shipment import ShipmentStatus
from agentvoicebox_delivery.parcels.tool_result import read
from agentvoicebox_delivery.settings import DeliverySettings
from agentvoicebox_delivery.sources.catalogue import Catalogue

ALIASES = ("track_shipment", "track")  # names in recordings of any deployment


class ExpectedParcel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An `[[expect.facts]]` table: the facts about a parcel that the agent must state.

    Attributes:
        number: the complete tracking number; the agent must say its ending.
        status: the state, as spelled in the catalogue (`out_for_delivery`).
        arrives_in_days: counted from the day of the call; None if no day is expected.
    """

    number: str
    status: ShipmentStatus
    arrives_in_days: int | None = None


class DeliveryEvaluation:
    """See kits.evaluation.KitEvaluation."""

    scenarios = Path(__file__).with_name("scenarios")
    agent = "delivery"
    language_model = "dialogue"
    failures = frozenset({track.UNAVAILABLE, track.ERROR})
    rest_route = "/v1/track"
    outcomes: tuple[str, ...] = OUTCOMES
    good_outcomes: frozenset[str] = GOOD_OUTCOMES

    def __init__(self) -> None:
        # An unavailable backend of a scenario is in the report, so a warning would only repeat it.
        logging.getLogger(tool.__name__).setLevel(logging.ERROR)

    def backend(self, name: str, today: date) -> RunTool:
        """See KitEvaluation."""
        return backends.tool_core(backends.backend(name, today), today)

    def recorded(self, use: ToolUse) -> RunTool:
        """See KitEvaluation."""
        return backends.tool_core(backends.recorded(use), read(use.output).today if use.output else None)

    def live(self, settings: Settings) -> AbstractAsyncContextManager[RunTool]:
        """See KitEvaluation: the catalogue of AVB_POSTGRES_URL."""
        return _catalogue(settings)

    def tool_name(self, name: str) -> str:
        """See KitEvaluation. Older recordings of REST calls have no name; they are look-ups."""
        return tool_schema.NAME if not name or name in ALIASES else name

    def result_facts(self, data: Mapping[str, Any], today: date, *, with_days: bool) -> dict[str, object]:
        """See KitEvaluation: number, status, carrier, place, and the days until arrival."""
        facts: dict[str, object] = {
            name: data.get(name) for name in ("tracking_id", "status", "carrier", "candidates") if name in data
        }
        event = data.get("last_event")
        if isinstance(event, dict):
            facts["place"] = event.get("location")
        if with_days and isinstance(data.get("eta"), str):
            facts["day of arrival"] = (date.fromisoformat(data["eta"][:10]) - today).days
        return facts

    def stated_facts(
        self, lines: Sequence[str], today: date, results: Sequence[ToolUse] = (), *, with_days: bool = True
    ) -> frozenset[str]:
        """See KitEvaluation."""
        facts = facts_of(lines, today, names=names_in(results))
        return facts if with_days else without_days(facts)

    def fact_fault(self, fact: Mapping[str, Any]) -> str:
        """See KitEvaluation."""
        try:
            msgspec.convert(dict(fact), ExpectedParcel)
        except msgspec.ValidationError as error:
            return str(error)
        return ""

    def outcome(self, interaction: Interaction) -> RecordedOutcome:
        """See KitEvaluation."""
        return outcome_of(interaction)

    def unkept_promises(self, interaction: Interaction) -> Sequence[UnsupportedClause]:
        """See KitEvaluation."""
        return promises.unkept(interaction)

    def refuses(self, line: str) -> bool:
        """See KitEvaluation."""
        return refuses(line)

    def unmet(self, fact: Mapping[str, Any], lines: Sequence[str], today: date, *, with_days: bool) -> str:
        """See KitEvaluation."""
        expected = msgspec.convert(dict(fact), ExpectedParcel)
        stated = facts_of(lines, today)
        states = [name for name, (_, is_true_in, _) in STATES.items() if expected.status in is_true_in]
        if not any(f"state: {name}" in stated for name in states):
            return f"the agent did not state that {expected.number} is {expected.status}"
        if plain(ending(expected.number)) not in plain(" ".join(lines)):
            return f"the agent did not state the number ({expected.number})"
        days = expected.arrives_in_days
        if with_days and days is not None and f"day: {days:+d}" not in stated:
            return f"the agent did not state that {expected.number} arrives in {days} days"
        return ""


def names_in(results: Sequence[ToolUse]) -> list[str]:
    """Places and carriers in tool results."""
    names: set[str] = set()
    for use in results:
        try:
            output = msgspec.json.decode(use.output.encode()) if use.output else {}
        except msgspec.DecodeError:
            continue
        data = output.get("data") if isinstance(output, dict) else None
        if isinstance(data, dict):
            event = data.get("last_event")
            place = event.get("location") if isinstance(event, dict) else None
            names |= {name for name in (data.get("carrier"), place) if isinstance(name, str)}
    return sorted(names)


@asynccontextmanager
async def _catalogue(settings: Settings) -> AsyncIterator[RunTool]:
    DeliverySettings.of(settings)
    postgres = await Postgres.open(settings.postgres_url)
    try:
        yield backends.tool_core(Catalogue(postgres), datetime.now(UTC).date())
    finally:
        await postgres.close()
