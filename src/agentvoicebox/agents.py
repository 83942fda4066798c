"""Agents answer calls. Each is one small TOML file; its file name is the agent's name, which clients send as `model`.

    instructions, greeting, recording_notice, language_model, voice, speed, tools or [[tools]], [turn_detection],
    [language_model_options]

Defines the format of agent files, and which agent a model name means. Built-in files are in `agent_files/`, more files come with
agent kits, and a user's file of the same name replaces either. `wire/session_config` handles later changes of a session.
"""

import difflib
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
from agentvoicebox.providers.llm.model_names import OPENAI, what_is_missing
from agentvoicebox.settings import Settings
from agentvoicebox.settings.language_presets import check_options
from agentvoicebox.tools.declaration import ToolDeclaration
from agentvoicebox.tools.definition import Definition
from agentvoicebox.tools.formats import to_engine
from agentvoicebox.turns.agent_evidence import AgentEvidence
from agentvoicebox.wire.audio_config import IDLE_TIMEOUT_RANGE_MS
from agentvoicebox.wire.checks import read_integer
from agentvoicebox.wire.session_config import SessionConfig, apply_update

BUILT_IN = Path(__file__).with_name("agent_files")
MANUAL = "manual"
MOST_NOTICE = 500  # characters: half a minute of speech
GENERAL_AGENT = "assistant"  # takes the client's instructions and tools
AGENT_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
# OpenAI's conversation models, without its transcription and translation models.
OPENAI_MODEL = re.compile(r"gpt-(4o-(mini-)?)?realtime(?!.*(whisper|transcribe|translate))(-[a-z0-9.-]+)?")


class UnknownModel(ClientError):
    """There is no agent of this name."""

    code = "invalid_model"


class AgentNotConfigured(UnknownModel):
    """The agent's language model is not configured. The message says what to set."""

    code = "model_not_configured"


class AgentFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The content of an agent's file.

    Attributes:
        instructions: the instructions for the language model; an agent that follows rules ignores them.
        greeting: first sentence of a call, if the client starts a response before anyone has spoken; empty: the model chooses it.
        recording_notice: sentence that is said at the start of a call whose audio is stored, before anything else; empty: none.
        language_model: `openai` for any OpenAI-compatible server, with an optional model after a slash, or a model of a kit;
            empty: the first model of the kit whose tools the agent has, else `openai`.
        language_model_options: additional keys of each request to the model's server: `temperature`, `reasoning_effort`,
            `chat_template_kwargs`, …
        voice: a name of `agentvoicebox voices`, or one of OpenAI's names.
        speed: 0.25 to 1.5.
        tools: tools that the server runs: the name of a kit's tool, or the declaration of a tool that is called over HTTP.
        turn_detection: as in the protocol (`type`, `silence_duration_ms`, …), or `"manual"`. `idle_timeout_ms` may be set for
            `semantic_vad`, too.
    """

    instructions: str
    greeting: str = ""
    recording_notice: str = ""
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
        turn_evidence: what is known about its callers' turns.
    """

    name: str
    tool_definitions: tuple[Definition, ...] = ()
    is_rule_based: bool = False
    turn_evidence: AgentEvidence = msgspec.field(default_factory=AgentEvidence)

    def profile(self) -> AgentProfile:
        """What the engine needs besides the session."""
        return AgentProfile(
            name=self.name,
            language_model=self.language_model,
            server_tools=tuple(to_engine(tool) for tool in self.tool_definitions),
            answers_noise=self.is_rule_based,
            language_model_options=self.language_model_options or UNSET,
            has_recording_notice=True if self.recording_notice else UNSET,
        )

    def session(self, *, session_id: str, model: str, expires_at: int) -> SessionConfig:
        """The initial session of a call; `model` is the name that the client sent.

        Raises:
            ClientError: a value is outside of the protocol's range; `Agents` checks this at start.
        """
        audio_input: dict[str, Any] = {}
        detection: dict[str, Any] = {} if isinstance(self.turn_detection, str) else self.turn_detection
        # The protocol has an idle timeout for `server_vad` only; an agent's file may set it for either kind.
        own = ("idle_timeout_ms",) if detection.get("type") == "semantic_vad" else ()
        if self.turn_detection == MANUAL:
            audio_input["turn_detection"] = None
        elif self.turn_detection:
            audio_input["turn_detection"] = {key: each for key, each in detection.items() if key not in own}
        instructions = self.instructions.strip()
        if self.greeting:
            instructions += f'\n\nIf nothing has been said yet, begin with: "{self.greeting.strip()}"'
        patch = {
            "instructions": instructions,
            "audio": {"input": audio_input, "output": {"voice": self.voice, "speed": self.speed}},
        }
        config = apply_update(SessionConfig(id=session_id, model=model, expires_at=expires_at), patch)
        if config.turn_detection is not None and own and detection.get("idle_timeout_ms") is not None:
            path = "turn_detection.idle_timeout_ms"
            idle_ms = read_integer(detection["idle_timeout_ms"], path, *IDLE_TIMEOUT_RANGE_MS)
            changed = msgspec.structs.replace(config.turn_detection, idle_timeout_ms=idle_ms)
            config = msgspec.structs.replace(config, turn_detection=changed)
        return config


class Agents:
    """All agents, read once at start.

    Args:
        folder: of the user's agent files; empty: none.
        default: name of the agent that answers to OpenAI's model names; empty: the kits' default.
        is_any_model_known: the default agent answers to every other name, too, and to none.
        kits: provide agents and tools.
        servers: default model (or "") of each configured language model server, by name; None: every language model counts
            as configured.

    Raises:
        SettingsError: lists every invalid file, a missing folder, or an unknown default agent.
    """

    def __init__(
        self,
        *,
        folder: str = "",
        default: str = "",
        kits: Kits | None = None,
        is_any_model_known: bool = False,
        servers: Mapping[str, str] | None = None,
    ) -> None:
        kits = kits or Kits()
        faults: list[str] = []
        self._agents: dict[str, Agent] = {}
        folders = [BUILT_IN, *kits.agent_folders]
        if folder:
            folders.append(Path(folder))
            if not Path(folder).is_dir():
                faults.append(f"AVB_AGENTS_DIR={folder}: no such folder; create it, or leave AVB_AGENTS_DIR empty")
        for path in (path for each in folders for path in sorted(each.glob("*.toml"))):
            try:
                self._agents[path.stem] = _read(path, kits)
            except ValueError as error:
                faults.append(f"{path}: {error}")
        self._is_any_model_known = is_any_model_known
        self._default = default or kits.default_agent
        if self._default not in self._agents and not faults:
            hint = _suggestion(self._default, list(self._agents))
            faults.append(
                f"AVB_DEFAULT_AGENT={self._default}: no such agent{hint}; there are {', '.join(self._agents)}"
            )
        if faults:
            raise SettingsError("invalid agents:", faults)
        models = kits.language_models()
        self._unavailable = {
            name: reason
            for name, agent in (self._agents.items() if servers is not None else ())
            if (reason := what_is_missing(agent.language_model, servers or {}, models))
        }

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
            servers={server.name: server.model for server in settings.language_servers},
        )

    @property
    def by_name(self) -> Mapping[str, Agent]:
        """All agents by name."""
        return self._agents

    @property
    def unavailable(self) -> Mapping[str, str]:
        """Names of the agents that can't answer, with what to set."""
        return self._unavailable

    @property
    def offered(self) -> tuple[str, ...]:
        """Names of the agents that can answer."""
        return tuple(name for name in self._agents if name not in self._unavailable)

    @property
    def default(self) -> Agent:
        """The agent that answers to OpenAI's model names."""
        return self._agents[self._default]

    def resolve(self, model: str) -> Agent:
        """The agent for a client's `model`; empty: it named none.

        Raises:
            UnknownModel: it is neither an agent's name nor one of OpenAI's conversation models.
            AgentNotConfigured: the agent has no language model.
        """
        agent = self._named(model)
        if reason := self._unavailable.get(agent.name):
            raise AgentNotConfigured(f"The agent '{agent.name}' can't answer: {reason}.", param="model")
        return agent

    def _named(self, model: str) -> Agent:
        agent = self._agents.get(model)
        if agent is not None:
            return agent
        if self._is_any_model_known or OPENAI_MODEL.fullmatch(model):
            return self.default
        if not model:
            raise UnknownModel("You must provide a model parameter.", code="missing_model", param="model")
        known = ", ".join(self.offered)
        raise UnknownModel(f"There is no agent '{model[:100]}'. Agents here: {known}.", param="model")


def _read(path: Path, kits: Kits) -> Agent:
    """Read one file. Raises ValueError with the fault."""
    if not AGENT_NAME.fullmatch(path.stem):
        raise ValueError("an agent's name is made of lower-case letters, digits, '.', '_' and '-'")
    try:
        file = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), type=AgentFile)
    except msgspec.ValidationError as error:
        raise ValueError(_field_fault(str(error))) from error
    language_model = file.language_model or _language_model(file, kits)
    notice = file.recording_notice
    if len(notice) > MOST_NOTICE or (notice and not any(map(str.isalnum, notice))):
        raise ValueError(f"recording_notice: give a sentence of at most {MOST_NOTICE} characters")
    try:
        check_options(file.language_model_options)
    except ValueError as error:
        raise ValueError(f"language_model_options: {error}") from error
    agent = Agent(
        **{**msgspec.structs.asdict(file), "language_model": language_model},
        name=path.stem,
        is_rule_based=language_model in kits.language_models(),
        tool_definitions=_definitions(file, kits),
        turn_evidence=kits.turn_evidence(file.tool_names),
    )
    try:
        agent.session(session_id="sess_check", model=agent.name, expires_at=0)
    except ClientError as error:
        raise ValueError(error.message) from error
    return agent


def _field_fault(message: str) -> str:
    """A message of msgspec in our words, where it is about the name of a field."""
    if (unknown := re.fullmatch(r"Object contains unknown field `(.+)`", message)) is not None:
        known = list(AgentFile.__struct_fields__)
        return f"unknown field {unknown[1]}{_suggestion(unknown[1], known)}; there are {', '.join(known)}"
    if (missing := re.fullmatch(r"Object missing required field `(.+)`", message)) is not None:
        return f"the field {missing[1]} is missing"
    return message


def _suggestion(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]}?" if near else ""


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
