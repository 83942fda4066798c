"""The delivery agent as an agent kit: what the platform needs to serve, ground, judge, evaluate and demonstrate it."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from agentvoicebox.clock import SystemClock
from agentvoicebox.ids import DEFAULT_TENANT
from agentvoicebox.interactions.judge import InteractionJudge
from agentvoicebox.kits.agent_kit import AgentKit
from agentvoicebox.kits.database import KitDatabase
from agentvoicebox.kits.demo import KitDemo
from agentvoicebox.kits.evaluation import KitEvaluation
from agentvoicebox.kits.services import KitContext, KitServices
from agentvoicebox.ports.language_model import Llm
from agentvoicebox.settings import Settings
from agentvoicebox.turns.agent_evidence import AgentEvidence
from agentvoicebox_delivery.dialogue import line_tools
from agentvoicebox_delivery.hand_over_tool import HAND_OVER, hand_over_to
from agentvoicebox_delivery.numbers.tracking import is_tracking_id, normalize
from agentvoicebox_delivery.parcel_evidence import ParcelEvidence
from agentvoicebox_delivery.parcels import tool_schema
from agentvoicebox_delivery.settings import DeliverySettings
from agentvoicebox_delivery.tool import DEFINITION, day_of, delivery_status

if TYPE_CHECKING:
    from fastapi import APIRouter

    from agentvoicebox.storage.postgres import Postgres


class DeliveryKit(AgentKit):
    """See agentvoicebox.kits.agent_kit.AgentKit."""

    name = "delivery"
    tools = (DEFINITION, HAND_OVER)
    agents = Path(__file__).with_name("agents")
    client_tools = line_tools.NAMES
    fact_keys = frozenset({"eta", "carrier"})
    settings = DeliverySettings

    def serve(self, settings: Settings, context: KitContext) -> AbstractAsyncContextManager[KitServices]:
        """See AgentKit."""
        return _serve(settings, context)

    def needs_postgres(self, settings: Settings) -> bool:
        """See AgentKit: for the catalogue; Sanity is called over HTTP."""
        return DeliverySettings.of(settings).shipments == "catalogue"

    def language_models(self) -> Mapping[str, Llm]:
        """See AgentKit."""
        from agentvoicebox_delivery.language_models.dialogue import DialogueLlm

        return {"dialogue": DialogueLlm()}

    def grounded(self, llm: Llm) -> Llm:
        """See AgentKit. Agents that can't look up parcels pass unchanged."""
        from agentvoicebox_delivery.language_models.grounded import GroundedLlm

        return GroundedLlm(llm, SystemClock().wall_s)

    def prepared_lines(self) -> Sequence[str]:
        """See AgentKit: what it says first in most of its answers without a parcel."""
        from agentvoicebox_delivery.dialogue import phrases

        return (
            phrases.ASK, phrases.GREETED, phrases.GREETED_NEED, phrases.WHAT_COMES_NEXT, phrases.ANYTHING_ELSE,
            phrases.TAKE_YOUR_TIME, phrases.GOODBYE, phrases.AFTER_MISS[0],
        )  # fmt: skip

    def identifier(self, text: str) -> str | None:
        """See AgentKit: a tracking number alone, without words around it."""
        compact = normalize(text)
        has_words = any(len(word) > 1 and word.isalpha() for word in text.split()) and " " in text.strip()
        return compact if is_tracking_id(compact) and not has_words else None

    def turn_evidence(self) -> AgentEvidence:
        """See AgentKit."""
        return ParcelEvidence()

    def judge(self) -> InteractionJudge:
        """See AgentKit."""
        from agentvoicebox_delivery.judge import ParcelJudge

        return ParcelJudge()

    def database(self) -> KitDatabase:
        """See AgentKit: the table of shipments."""
        return KitDatabase(Path(__file__).parent / "database" / "revisions", _seed)

    def evaluation(self) -> KitEvaluation:
        """See AgentKit."""
        from agentvoicebox_delivery.evals.evaluation import DeliveryEvaluation

        return DeliveryEvaluation()

    def demo(self) -> KitDemo:
        """See AgentKit."""
        from agentvoicebox_delivery.demo import DeliveryDemo

        return DeliveryDemo()


@asynccontextmanager
async def _serve(settings: Settings, context: KitContext) -> AsyncIterator[KitServices]:
    from agentvoicebox_delivery.routes import notice_routes, track_route
    from agentvoicebox_delivery.sources.look_up import open_look_up
    from agentvoicebox_delivery.sources.metrics import LookUpMetrics

    def internal() -> "APIRouter":
        from agentvoicebox_delivery.internal_routes import internal_router

        return internal_router(look_up)

    own = DeliverySettings.of(settings)
    metrics = LookUpMetrics(context.metrics)
    async with open_look_up(own, settings.postgres_url, metrics, context.clock, context.breakers) as (look_up, near):
        yield KitServices(
            tools=(
                delivery_status(look_up.find, near, today=lambda: day_of(context.clock.wall_s())),
                hand_over_to(own.hand_over_to),
            ),
            aliases=dict.fromkeys(own.tool_names, tool_schema.NAME),
            # A worker does not wait for Sanity: without it, callers get the last known answer or a sentence that says so.
            check=look_up.source_check if own.shipments == "catalogue" else None,
            dependencies=(look_up,),
            tool_routes=(track_route(),),
            notice_routes=notice_routes(look_up, own.sanity_webhook_secret),
            internal=internal,
        )


async def _seed(settings: Settings, postgres: "Postgres") -> None:
    """Insert the demo parcels into the catalogue of the default tenant."""
    from agentvoicebox_delivery.sources import demo_data

    if DeliverySettings.of(settings).demo_data:
        await demo_data.seed(postgres, DEFAULT_TENANT)
