"""Simulated sources of parcels for scenarios and replays, and the tool that uses them."""

from collections.abc import Collection, Iterable, Sequence
from datetime import date

import msgspec

from agentvoicebox.errors import BadProviderAnswer, StorageLost
from agentvoicebox.ids import DEFAULT_TENANT
from agentvoicebox.interactions.interaction import ToolUse
from agentvoicebox.kits.evaluation import RunTool
from agentvoicebox.tools.definition import ToolContext
from agentvoicebox.tools.registry import Registry
from agentvoicebox_delivery.numbers.inquiry import Inquiry, Keys
from agentvoicebox_delivery.numbers.tracking import Candidate
from agentvoicebox_delivery.parcels import track
from agentvoicebox_delivery.parcels.port import Shipments
from agentvoicebox_delivery.parcels.shipment import Shipment, ShipmentStatus
from agentvoicebox_delivery.parcels.tool_result import read
from agentvoicebox_delivery.sources.budget import Answer, AnswerSource
from agentvoicebox_delivery.sources.demo_data import parcels
from agentvoicebox_delivery.tool import delivery_status


def tool_core(shipments: Shipments, today: date | None) -> RunTool:
    """The tool with a source of parcels, without cache and time budget, as it answers on `today`."""

    async def find(tenant_id: str, asked: list[Candidate]) -> Answer:
        found = await shipments.find(tenant_id, [each.tracking_id for each in asked])
        return Answer(AnswerSource.FETCHED, tuple(found))

    async def near(tenant_id: str, keys: Keys) -> list[Shipment]:
        return (
            await shipments.find_near(tenant_id, keys.beginnings, keys.endings, keys.ids)
            if isinstance(shipments, Fixed)
            else []
        )

    registry = Registry([delivery_status(find, near, today=lambda: today)])

    async def run(name: str, arguments: str) -> str:
        return (await registry.run(name, arguments, ToolContext(DEFAULT_TENANT))).output

    return run


class Fixed:
    """A source with fixed parcels. Implements parcels.port.Shipments.

    Args:
        shipments: its parcels.
        decoys: numbers that only the look-up of similar numbers finds.
    """

    def __init__(self, shipments: Iterable[Shipment], decoys: Iterable[str] = ()) -> None:
        self._shipments = {each.tracking_id: each for each in shipments}
        self._decoys = [Shipment(each, ShipmentStatus.IN_TRANSIT) for each in decoys]

    async def find(self, tenant_id: str, tracking_ids: Sequence[str]) -> list[Shipment]:
        """See parcels.port."""
        return [self._shipments[each] for each in tracking_ids if each in self._shipments]

    async def find_near(
        self, tenant_id: str, beginnings: Sequence[str], endings: Sequence[str], ids: Collection[str] = ()
    ) -> list[Shipment]:
        """All parcels and decoys, because there are only a few."""
        return [*self._shipments.values(), *self._decoys]


class Failing:
    """A source that always fails. Implements parcels.port.Shipments.

    Args:
        is_away: fail as if the backend can't be reached; otherwise as if its answers are invalid.
    """

    def __init__(self, *, is_away: bool = True) -> None:
        self._is_away = is_away

    async def find(self, tenant_id: str, tracking_ids: Sequence[str]) -> list[Shipment]:
        """See parcels.port. Raises StorageLost or BadProviderAnswer."""
        if self._is_away:
            raise StorageLost("the simulated backend is unavailable")
        raise BadProviderAnswer("the simulated backend's answer is invalid")


def backend(name: str, today: date) -> Shipments:
    """The backend of a scenario: `up` (the demo parcels as of `today`) or `down`."""
    return Failing() if name == "down" else Fixed(parcels(today))


def recorded(use: ToolUse) -> Shipments:
    """A backend that gives a tool call its recorded outcome.

    Raises:
        ValueError: the outcome does not determine the backend's answer.
    """
    result = read(use.output) if use.output else None
    match use.code:
        case track.FOUND if result and result.shipment:
            return Fixed([result.shipment])
        case track.CONFIRM | track.AMBIGUOUS if result:
            # The outcome has no state, so any state gives the same outcome.
            ids = result.choices or (result.tracking_id,)
            return Fixed((Shipment(each, ShipmentStatus.IN_TRANSIT) for each in ids), _decoys(use, ids))
        case track.NOT_FOUND | track.INVALID_ID | track.INVALID_ARGUMENTS | track.UNKNOWN_TOOL:
            return Fixed([])
        case track.UNAVAILABLE:
            return Failing()
        case track.ERROR:
            return Failing(is_away=False)
    raise ValueError(f"the outcome {use.code or 'without a code'} does not determine the backend's answer")


def _decoys(use: ToolUse, ids: Sequence[str]) -> list[str]:
    """A clearly heard number needs a confirmation only if a similar number exists; the outcome does not say which one."""
    try:
        question = Inquiry.of(msgspec.json.decode(use.arguments, type=dict[str, object]))
    except (msgspec.DecodeError, msgspec.ValidationError):
        return []
    is_plain = question is not None and question.exact_match(ids) == ids[0]
    return [ids[0] + ids[0][-1]] if is_plain else []
