"""The port of an agent kit: everything that one kind of agent adds to the platform.

A kit is a separate package with an entry point in the group `agentvoicebox.kits`. The platform never imports a kit; it knows only
this class.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from pathlib import Path
from typing import ClassVar

from pydantic import BaseModel

from agentvoicebox.interactions.judge import InteractionJudge
from agentvoicebox.kits.database import KitDatabase
from agentvoicebox.kits.demo import KitDemo
from agentvoicebox.kits.evaluation import KitEvaluation
from agentvoicebox.kits.services import KitContext, KitServices
from agentvoicebox.ports.language_model import Llm
from agentvoicebox.settings import Settings
from agentvoicebox.tools.definition import Definition
from agentvoicebox.turns.agent_evidence import AgentEvidence


class AgentKit:
    """Base class of agent kits. A kit overrides what it provides; the defaults provide nothing.

    Methods import what they need when they are called, so that a process loads only the parts of a kit that it runs.

    Attributes:
        name: lower-case letters, digits and hyphens; the name in AVB_KITS and of the entry point.
        tools: definitions of the kit's tools. Every process reads them; only tool workers and the webhook server run them.
        agents: folder of the kit's agent files (TOML). The default agent is that of the first kit with an agent of its own name.
        client_tools: tools that its deterministic language models call when the client of a session offers them.
        fact_keys: fields of tool results that hold facts and no words of people; masked records keep them.
        settings: fields that the kit adds to `Settings` as `AVB_…` variables; None if there are none.
    """

    name: ClassVar[str]
    tools: ClassVar[tuple[Definition, ...]] = ()
    agents: ClassVar[Path | None] = None
    client_tools: ClassVar[frozenset[str]] = frozenset()
    fact_keys: ClassVar[frozenset[str]] = frozenset()
    settings: ClassVar[type[BaseModel] | None] = None

    def serve(self, settings: Settings, context: KitContext) -> AbstractAsyncContextManager[KitServices]:
        """Run the kit's tools for the duration of the block, in a tool worker or in the webhook server.

        Raises:
            AgentVoiceBoxError: the tools can't run with these settings.
        """
        return nullcontext(KitServices())

    def needs_postgres(self, settings: Settings) -> bool:
        """Whether `serve` needs `settings.postgres_url`."""
        return False

    def language_models(self) -> Mapping[str, Llm]:
        """Deterministic language models by name: the same request always gives the same stream."""
        return {}

    def grounded(self, llm: Llm) -> Llm:
        """Wrap a language model so that it states only what the kit's tools returned. Requests of other agents pass unchanged."""
        return llm

    def prepared_lines(self) -> Sequence[str]:
        """Lines that its agents often say word for word. Speech workers render them at start, so that they sound at once."""
        return ()

    def identifier(self, text: str) -> str | None:
        """The compact form of an identifier that logs and records must mask; None if `text` is not an identifier."""
        return None

    def turn_evidence(self) -> AgentEvidence:
        """What the kit knows about its callers' turns, above all whether a number is complete. It decides when a turn ends."""
        return AgentEvidence()

    def judge(self) -> InteractionJudge | None:
        """The judge that checks recorded interactions against the results of the kit's tools; None if the kit has none."""
        return None

    def database(self) -> KitDatabase | None:
        """Tables of the kit; None if it has none."""
        return None

    def evaluation(self) -> KitEvaluation | None:
        """Scenarios of the kit, and what replay and scoring need; None if it has none."""
        return None

    def demo(self) -> KitDemo | None:
        """The call of `agentvoicebox demo`; None if the kit has none."""
        return None
