"""Agents: who answers a call. Each is one small TOML file; the file's name is the agent's, and what a client asks for as `model`.

    instructions, greeting, language_model, voice, speed, tools or [[tools]], [turn_detection]

Decides what an agent file may say, and which agent a model name means. Built-in files lie in `agent_files/`; a file of the user's
with the same name takes its place. How a session is changed later by its client is `wire/session_config`.
"""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from agentvoicebox.engine.inputs import AgentProfile
from agentvoicebox.errors import ClientError, SettingsError
from agentvoicebox.tools.declaration import ToolDeclaration
from agentvoicebox.tools.definition import Definition
from agentvoicebox.tools.doors import BUILT_IN as TOOLS
from agentvoicebox.tools.doors import to_engine
from agentvoicebox.wire.session_config import SessionConfig, apply_update

BUILT_IN = Path(__file__).with_name("agent_files")
MANUAL = "manual"
AGENT_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
# OpenAI's conversation models; its transcription and translation models are not this kind.
OPENAI_MODEL = re.compile(r"gpt-(4o-(mini-)?)?realtime(?!.*(whisper|transcribe|translate))(-[a-z0-9.-]+)?")


class UnknownModel(ClientError):
    """No agent of this name."""

    code = "invalid_model"


class Agent(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an agent's file says.

    Attributes:
        instructions: what the language model is told about its task.
        greeting: how a call begins when the client asks for a first answer; empty: as the model likes.
        language_model: `dialogue`, or `openai` for any OpenAI-compatible server, with an optional model after a slash.
        voice: a voice of the catalogue or an OpenAI name.
        speed: 0.25 to 1.5.
        tools: tools that the server runs: the name of one of its own, or the declaration of somebody else's.
        turn_detection: as in the protocol (`type`, `silence_duration_ms`, …), or `"manual"`.
    """

    instructions: str
    greeting: str = ""
    language_model: str = "dialogue"
    voice: str = "alloy"
    speed: float = 1.0
    tools: tuple[str | ToolDeclaration, ...] = ()
    turn_detection: dict[str, Any] | Literal["manual"] = {}
    name: str = ""

    @property
    def tool_names(self) -> tuple[str, ...]:
        """Of all its tools, in the file's order."""
        return tuple(tool if isinstance(tool, str) else tool.name for tool in self.tools)

    @property
    def declared_tools(self) -> tuple[ToolDeclaration, ...]:
        """Those that somebody else runs."""
        return tuple(tool for tool in self.tools if isinstance(tool, ToolDeclaration) and not tool.is_reference)

    @property
    def tool_definitions(self) -> tuple[Definition, ...]:
        """What is told of its tools. Raises KeyError for a name that is no tool of the server's; `Agents` has checked that."""
        declared = {tool.name: tool.definition() for tool in self.declared_tools}
        return tuple(declared.get(name) or TOOLS[name] for name in self.tool_names)

    def profile(self) -> AgentProfile:
        """What the engine needs of it besides the session."""
        return AgentProfile(
            name=self.name,
            language_model=self.language_model,
            server_tools=tuple(to_engine(tool) for tool in self.tool_definitions),
        )

    def session(self, *, session_id: str, model: str, expires_at: int) -> SessionConfig:
        """The session that a caller of this agent begins with; `model` is shown as the client asked for it.

        Raises:
            ClientError: a value is out of the protocol's range; `Agents` has checked that before.
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
    """All agents, read once at start."""

    def __init__(self, *, folder: str = "", default: str = "delivery") -> None:
        """Read the built-in files and those of `folder`.

        Raises:
            SettingsError: naming every file at fault, a missing folder, or a default that is no agent.
        """
        faults: list[str] = []
        self._agents: dict[str, Agent] = {}
        folders = [BUILT_IN]
        if folder:
            folders.append(Path(folder))
            if not Path(folder).is_dir():
                faults.append(f"AVB_AGENTS_DIR: there is no folder {folder}")
        for path in (path for each in folders for path in sorted(each.glob("*.toml"))):
            try:
                self._agents[path.stem] = _read(path)
            except ValueError as error:
                faults.append(f"{path}: {error}")
        if default not in self._agents and not faults:
            faults.append(f"AVB_DEFAULT_AGENT: no agent {default!r}; there are {', '.join(self._agents)}")
        if faults:
            raise SettingsError("these agents need mending:\n  " + "\n  ".join(faults))
        self._default = default

    @property
    def by_name(self) -> Mapping[str, Agent]:
        """Every agent by its name."""
        return self._agents

    @property
    def default(self) -> Agent:
        """Who answers when OpenAI's model names are asked for."""
        return self._agents[self._default]

    def resolve(self, model: str) -> Agent:
        """The agent that a client means by `model`.

        Raises:
            UnknownModel: no agent has this name, and it is not one of OpenAI's conversation models.
        """
        agent = self._agents.get(model)
        if agent is not None:
            return agent
        if OPENAI_MODEL.fullmatch(model):
            return self.default
        known = ", ".join(self._agents)
        raise UnknownModel(f"There is no agent '{model[:100]}'. Agents here: {known}.", param="model")


def _read(path: Path) -> Agent:
    """One file. Raises ValueError that says what is wrong with it."""
    if not AGENT_NAME.fullmatch(path.stem):
        raise ValueError("an agent's name is made of small letters, digits, '.', '_' and '-'")
    try:
        body = tomllib.loads(path.read_text(encoding="utf-8"))
        agent = msgspec.convert({**body, "name": path.stem}, type=Agent)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from error
    declared = {tool.name for tool in agent.declared_tools}
    unknown = [name for name in agent.tool_names if name not in TOOLS and name not in declared]
    twice = [name for name in agent.tool_names if agent.tool_names.count(name) > 1]
    taken = sorted(declared & TOOLS.keys())
    if twice or taken:
        raise ValueError(f"two tools are named {[*twice, *taken][0]}")
    if unknown:
        raise ValueError(f"no such tool: {', '.join(unknown)}; there are {', '.join(TOOLS)}")
    try:
        agent.session(session_id="sess_check", model=agent.name, expires_at=0)
    except ClientError as error:
        raise ValueError(error.message) from error
    return agent
