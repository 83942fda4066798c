"""Simulated sources of parcels, and the tool over them: the known world of a scenario or a replay."""

from collections.abc import Iterable, Sequence
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


def tool_core(shipments: Shipments) -> RunTool:
    """The tool over a source of parcels, without cache and time budget."""

    async def find(tenant_id: str, asked: list[Candidate]) -> Answer:
        found = await shipments.find(tenant_id, [each.tracking_id for each in asked])
        return Answer(AnswerSource.FETCHED, tuple(found))

    async def near(tenant_id: str, keys: Keys) -> list[Shipment]:
        return (
            await shipments.find_near(tenant_id, keys.beginnings, keys.endings) if isinstance(shipments, Fixed) else []
        )

    registry = Registry([delivery_status(find, near)])

    async def run(name: str, arguments: str) -> str:
        return (await registry.run(name, arguments, ToolContext(DEFAULT_TENANT))).output

    return run


class Fixed:
    """Knows these parcels. Implements ports.shipments, as does Failing.

    Args:
        shipments: what is there.
        decoys: numbers that only a look-up of numbers alike comes upon.
    """

    def __init__(self, shipments: Iterable[Shipment], decoys: Iterable[str] = ()) -> None:
        self._shipments = {each.tracking_id: each for each in shipments}
        self._decoys = [Shipment(each, ShipmentStatus.IN_TRANSIT) for each in decoys]

    async def find(self, tenant_id: str, tracking_ids: Sequence[str]) -> list[Shipment]:
        """See ports.shipments."""
        return [self._shipments[each] for each in tracking_ids if each in self._shipments]

    async def find_near(self, tenant_id: str, beginnings: Sequence[str], endings: Sequence[str]) -> list[Shipment]:
        """See ports.shipments.NearShipments; it is a small world, so all of it comes back."""
        return [*self._shipments.values(), *self._decoys]


class Failing:
    """Always fails, in one way.

    Args:
        is_away: as if the backend couldn't be reached; else as if it answered nonsense.
    """

    def __init__(self, *, is_away: bool = True) -> None:
        self._is_away = is_away

    async def find(self, tenant_id: str, tracking_ids: Sequence[str]) -> list[Shipment]:
        """See ports.shipments. Raises StorageLost or BadProviderAnswer."""
        if self._is_away:
            raise StorageLost("the backend is away, as the scenario has it")
        raise BadProviderAnswer("the backend answers nonsense, as it did")


def backend(name: str, today: date) -> Shipments:
    """The world of a scenario: `up` (the demo parcels as they stand today) or `down`."""
    return Failing() if name == "down" else Fixed(parcels(today))


def recorded(use: ToolUse) -> Shipments:
    """The backend as it must have answered for a call of a tool to come out as it did.

    Raises:
        ValueError: the outcome tells nothing of it.
    """
    result = read(use.output) if use.output else None
    match use.code:
        case track.FOUND if result and result.shipment:
            return Fixed([result.shipment])
        case track.CONFIRM | track.AMBIGUOUS if result:
            # Their state was not told, so any state gives the same outcome.
            ids = result.choices or (result.tracking_id,)
            return Fixed((Shipment(each, ShipmentStatus.IN_TRANSIT) for each in ids), _decoys(use, ids))
        case track.NOT_FOUND | track.INVALID_ID | track.INVALID_ARGUMENTS | track.UNKNOWN_TOOL:
            return Fixed([])
        case track.UNAVAILABLE:
            return Failing()
        case track.ERROR:
            return Failing(is_away=False)
    raise ValueError(f"an outcome {use.code or 'without a code'} tells nothing of the backend")


def _decoys(use: ToolUse, ids: Sequence[str]) -> list[str]:
    """A number that was plainly heard is only confirmed because of a neighbour; which one, the outcome does not tell."""
    try:
        question = Inquiry.of(msgspec.json.decode(use.arguments, type=dict[str, object]))
    except (msgspec.DecodeError, msgspec.ValidationError):
        return []
    is_plain = question is not None and question.exact_match(ids) == ids[0]
    return [ids[0] + ids[0][-1]] if is_plain else []
