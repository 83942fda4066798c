"""The kits of a deployment: found by entry point, loaded, and combined for the rest of the platform."""

import functools
import importlib
import importlib.metadata
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from agentvoicebox.errors import SettingsError
from agentvoicebox.interactions.judge import InteractionJudge
from agentvoicebox.kits.agent_kit import AgentKit
from agentvoicebox.ports.language_model import Llm
from agentvoicebox.privacy.identifiers import IdentifierMask
from agentvoicebox.settings import PREFIX, Settings
from agentvoicebox.settings.values import comma_list
from agentvoicebox.tools.definition import Definition
from agentvoicebox.turns.agent_evidence import AgentEvidence

GROUP = "agentvoicebox.kits"


class Kits:
    """An ordered set of kits. Raises SettingsError when two have the same name, tool, language model or setting."""

    def __init__(self, kits: Sequence[AgentKit] = ()) -> None:
        self._kits = tuple(kits)
        if twice := [name for name, count in Counter(self.names).items() if count > 1]:
            raise SettingsError(f"AVB_KITS: the kit {twice[0]} is listed twice; remove one")
        self._of_tool: dict[str, AgentKit] = {}
        models: set[str] = set()
        fields: set[str] = set(Settings.model_fields)
        for kit in kits:
            own = list(kit.settings.model_fields) if kit.settings is not None else []
            own_models = list(kit.language_models())
            for kind, names, existing in (
                ("tool", [tool.name for tool in kit.tools], self._of_tool),
                ("language model", own_models, models),
                ("setting", own, fields),
            ):
                if twice := sorted(set(names) & set(existing)):
                    raise SettingsError(f"kit {kit.name}: the {kind} {twice[0]} exists already")
            self._of_tool |= {tool.name: kit for tool in kit.tools}
            models |= set(own_models)
            fields |= set(own)

    def __iter__(self) -> Iterator[AgentKit]:
        """The kits in order."""
        return iter(self._kits)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the kits, in order."""
        return tuple(kit.name for kit in self._kits)

    @property
    def definitions(self) -> dict[str, Definition]:
        """The tools of all kits, by name."""
        return {tool.name: tool for kit in self._kits for tool in kit.tools}

    @property
    def agent_folders(self) -> tuple[Path, ...]:
        """Folders of agent files."""
        return tuple(kit.agents for kit in self._kits if kit.agents is not None)

    @property
    def default_agent(self) -> str:
        """The agent of the first kit that has an agent of the kit's name; `assistant` if none has."""
        own = (kit.name for kit in self._kits if kit.agents is not None and (kit.agents / f"{kit.name}.toml").is_file())
        return next(own, "assistant")

    def of_tools(self, tool_names: Sequence[str]) -> AgentKit | None:
        """The kit that these tools belong to; None if they belong to no kit.

        Raises:
            ValueError: they belong to two kits. A kit's judge can't check statements about the other kit's results.
        """
        kits = {self._of_tool[name].name: self._of_tool[name] for name in tool_names if name in self._of_tool}
        if len(kits) > 1:
            raise ValueError(f"it has tools of two kits, {' and '.join(sorted(kits))}; an agent belongs to one kit")
        return next(iter(kits.values()), None)

    def turn_evidence(self, tool_names: Sequence[str]) -> AgentEvidence:
        """What is known about the turns of the callers of an agent with these tools. Raises as `of_tools`."""
        kit = self.of_tools(tool_names)
        return AgentEvidence() if kit is None else kit.turn_evidence()

    @property
    def identifier_mask(self) -> IdentifierMask:
        """Masks the identifiers of all kits."""
        return IdentifierMask(self.identifier, frozenset[str]().union(*(kit.fact_keys for kit in self._kits)))

    def language_models(self) -> dict[str, Llm]:
        """The deterministic language models of all kits, by name."""
        return {name: llm for kit in self._kits for name, llm in kit.language_models().items()}

    @property
    def client_tools(self) -> frozenset[str]:
        """The clients' tools that the deterministic language models call."""
        return frozenset[str]().union(*(kit.client_tools for kit in self._kits))

    def grounded(self, llm: Llm) -> Llm:
        """A language model that every kit restricts to the results of its tools."""
        return functools.reduce(lambda inner, kit: kit.grounded(inner), self._kits, llm)

    def identifier(self, text: str) -> str | None:
        """The compact form of an identifier of any kit; None if `text` is not an identifier."""
        return next((found for kit in self._kits if (found := kit.identifier(text)) is not None), None)

    def judge_of(self, tool_names: Sequence[str]) -> InteractionJudge | None:
        """The judge of an interaction in which these tools could be called; None if there is none."""
        kit = next((self._of_tool[name] for name in tool_names if name in self._of_tool), None)
        return None if kit is None else kit.judge()


@functools.lru_cache(maxsize=8)
def load_kits(names: tuple[str, ...]) -> Kits:
    """The kits of these names.

    Args:
        names: of entry points in the group `agentvoicebox.kits`, or `module:object` (a subclass of AgentKit).

    Raises:
        SettingsError: a kit does not exist or can't be imported; the message lists the installed kits.
    """
    return Kits([_load(name) for name in names])


def kits_of(settings: Settings) -> Kits:
    """The kits of the settings. Raises as `load_kits`."""
    return load_kits(settings.kit_names)


def load_settings(**overrides: Any) -> Settings:
    """Read the settings of the platform and of the configured kits from the environment.

    Args:
        overrides: settings by field name; they win over the environment.

    Raises:
        SettingsError: one line for each fault, with its fix.
    """
    default = Settings.model_fields["kits"].default
    chosen = overrides.get("kits", os.environ.get(f"{PREFIX}KITS", default))
    return settings_class(load_kits(comma_list(chosen))).load(**overrides)


def settings_class(kits: Kits) -> type[Settings]:
    """`Settings` with the fields that these kits add."""
    own = tuple(kit.settings for kit in kits if kit.settings is not None)
    return type("Settings", (Settings, *own), {"__doc__": Settings.__doc__}) if own else Settings


def installed() -> Mapping[str, str]:
    """The kits that are installed: name → `module:object`."""
    return {point.name: point.value for point in importlib.metadata.entry_points(group=GROUP)}


def _load(name: str) -> AgentKit:
    known = installed()
    module, _, attribute = known.get(name, name).partition(":")
    if not attribute:
        there = ", ".join(sorted(known)) or "none"
        raise SettingsError(
            f"{PREFIX}KITS: there is no agent kit {name!r}; installed: {there}; correct the name, or install its package"
        )
    try:
        kit = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise SettingsError(f"{PREFIX}KITS: the agent kit {name!r} can't be imported: {error}") from error
    made = kit() if isinstance(kit, type) else kit
    if not isinstance(made, AgentKit):
        raise SettingsError(f"{PREFIX}KITS: {name!r} is not an AgentKit")
    return made
