"""The clinic's agent as an agent kit."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from agentvoicebox.interactions.judge import InteractionJudge
from agentvoicebox.kits.agent_kit import AgentKit
from agentvoicebox.kits.demo import KitDemo
from agentvoicebox.kits.evaluation import KitEvaluation
from agentvoicebox.kits.services import KitContext, KitServices
from agentvoicebox.ports.language_model import Llm
from agentvoicebox.settings import Settings
from agentvoicebox_clinic.appointments import SqliteBook, reference_in
from agentvoicebox_clinic.settings import ClinicSettings
from agentvoicebox_clinic.tools import CANCEL, FIND, clinic_tools


class ClinicKit(AgentKit):
    """See agentvoicebox.kits.agent_kit.AgentKit."""

    name = "clinic"
    tools = (FIND, CANCEL)
    agents = Path(__file__).with_name("agents")
    fact_keys = frozenset({"day", "time", "doctor"})
    settings = ClinicSettings

    def serve(self, settings: Settings, context: KitContext) -> AbstractAsyncContextManager[KitServices]:
        """See AgentKit: both tools over the book in the data folder."""
        return _serve(settings)

    def language_models(self) -> Mapping[str, Llm]:
        """See AgentKit."""
        from agentvoicebox_clinic.dialogue import ClinicDialogue

        return {"clinic": ClinicDialogue()}

    def grounded(self, llm: Llm) -> Llm:
        """See AgentKit."""
        from agentvoicebox_clinic.grounded import GroundedClinic

        return GroundedClinic(llm)

    def identifier(self, text: str) -> str | None:
        """See AgentKit: a reference number alone, without words around it."""
        return reference_in(text) if not any(character.isalpha() for character in text) else None

    def judge(self) -> InteractionJudge:
        """See AgentKit."""
        from agentvoicebox_clinic.judge import AppointmentJudge

        return AppointmentJudge()

    def evaluation(self) -> KitEvaluation:
        """See AgentKit."""
        from agentvoicebox_clinic.evaluation import ClinicEvaluation

        return ClinicEvaluation()

    def demo(self) -> KitDemo:
        """See AgentKit."""
        from agentvoicebox_clinic.demo import ClinicDemo

        return ClinicDemo()


@asynccontextmanager
async def _serve(settings: Settings) -> AsyncIterator[KitServices]:
    book = await asyncio.to_thread(SqliteBook.of, settings)
    yield KitServices(tools=clinic_tools(book, ClinicSettings.of(settings).clinic_name))
