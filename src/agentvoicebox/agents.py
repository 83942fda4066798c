"""Agents answer calls. Each is one small TOML file; its file name is the agent's name, which clients send as `model`.

    instructions, greeting, language_model, voice, speed, tools or [[tools]], [turn_detection], [language_model_options]

Defines the format of agent files, and which agent a model name means. Built-in files are in `agent_files/`, more files come with
agent kits, and a user's file of the same name replaces either. `wire/session_config` handles later changes of a session.
"""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

import msgspec
from msgspec import UNSET

from agentvoicebox.engine.inputs import AgentProfile
from agentvoicebox.errors import ClientError, SettingsError
from agentvoicebox.kits.registry import Kits, kits_of
from agentvoicebox.settings import Settings
from agentvoicebox.settings.language_presets import check_options
from agentvoicebox.tools.declaration import ToolDeclaration
from agentvoicebox.tools.definition import Definition
from agentvoicebox.tools.formats import to_engine
from agentvoicebox.wire.session_config import SessionConfig, apply_update

BUILT_IN = Path(__file__).with_name("agent_files")
MANUAL = "manual"
GENERAL_AGENT = "assistant"  # takes the client's instructions and tools
OPENAI = "openai"  # all configured OpenAI-compatible servers
AGENT_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
# OpenAI's conversation models, without its transcription and translation models.
OPENAI_MODEL = re.compile(r"gpt-(4o-(mini-)?)?realtime(?!.*(whisper|transcribe|translate))(-[a-z0-9.-]+)?")


class UnknownModel(ClientError):
    """There is no agent of this name."""

    code = "invalid_model"


class AgentFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The content of an agent's file.

    Attributes:
        instructions: the instructions for the language model.
        greeting: first sentence of a call, if the client requests a first response; empty: the model chooses it.
        language_model: `openai` for any OpenAI-compatible server, with an optional model after a slash, or a model of a kit;
            empty: the first model of the kit whose tools the agent has, else `openai`.
        language_model_options: additional keys of each request to the model's server: `temperature`, `reasoning_effort`,
            `chat_template_kwargs`, …
        voice: a voice of the catalogue or an OpenAI name.
        speed: 0.25 to 1.5.
        tools: tools that the server runs: the name of a kit's tool, or the declaration of a tool that is called over HTTP.
        turn_detection: as in the protocol (`type`, `silence_duration_ms`, …), or `"manual"`.
    """

    instructions: str
    greeting: str = ""
    language_model: str = ""
    language_model_options: dict[str, Any] = {}
    voice: str = "alloy"
    speed: float = 1.0
    tools: tuple[str | ToolDeclaration, ...] = ()
    turn_detection: dict[str, Any] | Literal["manual"] = {}

    @property
    def tool_names(self) -> tuple[str, ...]:
        """Names of all its tools, in the file's order."""
        return tuple(tool if isinstance(tool, str) else tool.name for tool in self.tools)

    @property
    def declared_tools(self) -> tuple[ToolDeclaration, ...]:
        """Tools that are called over HTTP."""
        return tuple(tool for tool in self.tools if isinstance(tool, ToolDeclaration) and not tool.is_reference)


class Agent(AgentFile, frozen=True, kw_only=True):
    """An agent that can be called.

    Attributes:
        name: the file name without suffix.
        tool_definitions: of its tools, in the file's order.
        is_rule_based: its language model is a deterministic one of a kit.
    """

    name: str
    tool_definitions: tuple[Definition, ...] = ()
    is_rule_based: bool = False

    def profile(self) -> AgentProfile:
        """What the engine needs besides the session."""
        return AgentProfile(
            name=self.name,
            language_model=self.language_model,
            server_tools=tuple(to_engine(tool) for tool in self.tool_definitions),
            answers_noise=self.is_rule_based,
            language_model_options=self.language_model_options or UNSET,
        )

    def session(self, *, session_id: str, model: str, expires_at: int) -> SessionConfig:
        """The initial session of a call; `model` is the name that the client sent.

        Raises:
            ClientError: a value is outside of the protocol's range; `Agents` checks this at start.
        """
        audio_input: dict[str, Any] = {}
        if self.turn_detection == MANUAL:
            audio_input["turn_detection"] = None
        elif self.turn_detection:
            audio_input["turn_detection"] = self.turn_detection
        instructions = self.instructions.strip()
        if self.greeting:
            instructions += f'\n\nIf nothing has been said yet, begin with: "{self.greeting.strip()}"'
        patch = {
            "instructions": instructions,
            "audio": {"input": audio_input, "output": {"voice": self.voice, "speed": self.speed}},
        }
        return apply_update(SessionConfig(id=session_id, model=model, expires_at=expires_at), patch)


class Agents:
    """All agents, read once at start.

    Args:
        folder: of the user's agent files; empty: none.
        default: name of the agent that answers to OpenAI's model names; empty: the kits' default.
        is_any_model_known: the default agent answers to every other name, too, and to none.
        kits: provide agents and tools.

    Raises:
        SettingsError: lists every invalid file, a missing folder, or an unknown default agent.
    """

    def __init__(
        self, *, folder: str = "", default: str = "", kits: Kits | None = None, is_any_model_known: bool = False
    ) -> None:
        kits = kits or Kits()
        faults: list[str] = []
        self._agents: dict[str, Agent] = {}
        folders = [BUILT_IN, *kits.agent_folders]
        if folder:
            folders.append(Path(folder))
            if not Path(folder).is_dir():
                faults.append(f"AVB_AGENTS_DIR: there is no folder {folder}")
        for path in (path for each in folders for path in sorted(each.glob("*.toml"))):
            try:
                self._agents[path.stem] = _read(path, kits)
            except ValueError as error:
                faults.append(f"{path}: {error}")
        self._is_any_model_known = is_any_model_known
        self._default = default or kits.default_agent
        if self._default not in self._agents and not faults:
            faults.append(f"AVB_DEFAULT_AGENT: no agent {self._default!r}; there are {', '.join(self._agents)}")
        if faults:
            raise SettingsError("invalid agents:\n  " + "\n  ".join(faults))

    @classmethod
    def load(cls, settings: Settings) -> Self:
        """The agents of a deployment. Raises SettingsError, also for kits that can't be loaded."""
        # A client that brings instructions and tools means a language model, which a kit's own agent may not be.
        usual = GENERAL_AGENT if settings.language_servers else ""
        return cls(
            folder=settings.agents_dir,
            default=settings.default_agent or usual,
            kits=kits_of(settings),
            is_any_model_known=settings.unknown_model == "default",
        )

    @property
    def by_name(self) -> Mapping[str, Agent]:
        """All agents by name."""
        return self._agents

    @property
    def default(self) -> Agent:
        """The agent that answers to OpenAI's model names."""
        return self._agents[self._default]

    def resolve(self, model: str) -> Agent:
        """The agent for a client's `model`; empty: it named none.

        Raises:
            UnknownModel: it is neither an agent's name nor one of OpenAI's conversation models.
        """
        agent = self._agents.get(model)
        if agent is not None:
            return agent
        if self._is_any_model_known or OPENAI_MODEL.fullmatch(model):
            return self.default
        if not model:
            raise UnknownModel("You must provide a model parameter.", code="missing_model", param="model")
        known = ", ".join(self._agents)
        raise UnknownModel(f"There is no agent '{model[:100]}'. Agents here: {known}.", param="model")


def _read(path: Path, kits: Kits) -> Agent:
    """Read one file. Raises ValueError with the fault."""
    if not AGENT_NAME.fullmatch(path.stem):
        raise ValueError("an agent's name is made of lower-case letters, digits, '.', '_' and '-'")
    try:
        file = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), type=AgentFile)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from error
    language_model = file.language_model or _language_model(file, kits)
    try:
        check_options(file.language_model_options)
    except ValueError as error:
        raise ValueError(f"language_model_options: {error}") from error
    agent = Agent(
        **{**msgspec.structs.asdict(file), "language_model": language_model},
        name=path.stem,
        is_rule_based=language_model in kits.language_models(),
        tool_definitions=_definitions(file, kits),
    )
    try:
        agent.session(session_id="sess_check", model=agent.name, expires_at=0)
    except ClientError as error:
        raise ValueError(error.message) from error
    return agent


def _definitions(file: AgentFile, kits: Kits) -> tuple[Definition, ...]:
    """The definitions of a file's tools. Raises ValueError."""
    served = kits.definitions
    declared = {tool.name: tool.definition() for tool in file.declared_tools}
    unknown = [name for name in file.tool_names if name not in served and name not in declared]
    twice = [name for name in file.tool_names if file.tool_names.count(name) > 1]
    existing = sorted(declared.keys() & served.keys())
    if twice or existing:
        raise ValueError(f"two tools are named {[*twice, *existing][0]}")
    if unknown:
        there = f"there are {', '.join(served)}" if served else "no kit in AVB_KITS has tools"
        raise ValueError(f"no such tool: {', '.join(unknown)}; {there}")
    kits.of_tools(file.tool_names)  # an agent belongs to one kit
    return tuple(declared.get(name) or served[name] for name in file.tool_names)


def _language_model(file: AgentFile, kits: Kits) -> str:
    """The language model of a file that names none."""
    kit = kits.of_tools(file.tool_names)
    return OPENAI if kit is None else next(iter(kit.language_models()), OPENAI)
