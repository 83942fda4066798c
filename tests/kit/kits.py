"""The delivery kit, as tests of the platform use a kit: loaded by its entry point."""

from agentvoicebox.agents import Agents
from agentvoicebox.evals.kit_choice import KitChoice
from agentvoicebox.kits.migrate import migrate_all
from agentvoicebox.kits.recording import redactor
from agentvoicebox.kits.registry import load_kits
from agentvoicebox_delivery.numbers.tracking import Candidate
from agentvoicebox_delivery.sources.budget import Answer
from agentvoicebox_delivery.sources.cache import CachedShipments
from agentvoicebox_delivery.tool import Find

DELIVERY = load_kits(("delivery",))
CHOICE = KitChoice(DELIVERY)
AGENTS = Agents(kits=DELIVERY)
REDACTOR = redactor(DELIVERY)
without_words = REDACTOR.without_words


def look_up(cache: CachedShipments) -> Find:
    """How the delivery tool finds parcels behind a cache, within the time budget."""

    async def find(tenant_id: str, asked: list[Candidate]) -> Answer:
        return await cache.find_within(tenant_id, [each.tracking_id for each in asked])

    return find


async def migrate(postgres_url: str) -> None:
    """The tables of the platform and of the delivery kit."""
    await migrate_all(postgres_url, DELIVERY)
