"""The port of an agent kit: everything that one kind of agent brings to the platform.

A kit is a package of its own with an entry point in the group `agentvoicebox.kits`. The platform never imports a kit; it only
knows this class. `docs/agent-kits.md` shows how to write one.
"""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from pathlib import Path
from typing import ClassVar

from pydantic import BaseModel

from agentvoicebox.interactions.judge import InteractionJudge
from agentvoicebox.kits.database import KitDatabase
from agentvoicebox.kits.demo import KitDemo
from agentvoicebox.kits.evaluation import KitEvaluation
from agentvoicebox.kits.services import KitContext, KitServices
from agentvoicebox.ports.providers import Llm
from agentvoicebox.settings import Settings
from agentvoicebox.tools.definition import Definition


class AgentKit:
    """Base class of agent kits. A kit overrides what it brings; the defaults bring nothing.

    Methods import what they need when they are called, so that a process loads only the parts of a kit that it runs.

    Attributes:
        name: lower-case letters, digits and hyphens; what AVB_KITS and the entry point say.
        tools: definitions of the tools that the kit serves. Every process reads them; only some serve them.
        agents: folder of the kit's agent files (TOML); the first kit's agent named like the kit is the default agent.
        fact_keys: fields of the tools' results that hold facts without words of people; masked records keep them.
        settings: fields that the kit adds to `Settings`, as `AVB_…` variables; None for none.
    """

    name: ClassVar[str]
    tools: ClassVar[tuple[Definition, ...]] = ()
    agents: ClassVar[Path | None] = None
    fact_keys: ClassVar[frozenset[str]] = frozenset()
    settings: ClassVar[type[BaseModel] | None] = None

    def serve(self, settings: Settings, context: KitContext) -> AbstractAsyncContextManager[KitServices]:
        """Run the kit's tools for the length of the block, in a tool worker or in the webhook server.

        Raises:
            AgentVoiceBoxError: the tools can't be served with these settings.
        """
        return nullcontext(KitServices())

    def needs_postgres(self, settings: Settings) -> bool:
        """Whether `serve` needs `settings.postgres_url`."""
        return False

    def language_models(self) -> Mapping[str, Llm]:
        """Deterministic language models by name: the same request always gives the same stream."""
        return {}

    def grounded(self, llm: Llm) -> Llm:
        """A language model that says only what the kit's tools returned. Other agents' requests must pass unchanged."""
        return llm

    def identifier(self, text: str) -> str | None:
        """The compact form of an identifier that logs and records must mask; None when `text` is none."""
        return None

    def judge(self) -> InteractionJudge | None:
        """What holds recorded interactions against the results of the kit's tools; None when nothing does."""
        return None

    def database(self) -> KitDatabase | None:
        """Tables of the kit; None when it has none."""
        return None

    def evaluation(self) -> KitEvaluation | None:
        """Scenarios of the kit, and what their replay and scoring need; None when it has none."""
        return None

    def demo(self) -> KitDemo | None:
        """The call of `agentvoicebox demo`; None when the kit has none."""
        return None
