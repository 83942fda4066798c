"""What this deployment can give to a session; what a client asks for beyond it is refused, left out, or noted.

Asked before a client's event becomes an input of the engine, which then only applies it: so a session's log holds what was
decided, and replays the same at a server with other voices and languages.
"""

from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from agentvoicebox.engine.inputs import ClientEventReceived
from agentvoicebox.engine.state import State
from agentvoicebox.errors import InvalidEvent
from agentvoicebox.wire import client_events as ce
from agentvoicebox.wire import legacy
from agentvoicebox.wire.checks import not_valid
from agentvoicebox.wire.session_config import SessionConfig
from agentvoicebox.wire.session_note import SessionNote

NO_EFFECT = "no_effect"
WITHOUT_EFFECT = ("prompt", "tracing", "include", "temperature", "reasoning", "parallel_tool_calls")
SHOWN_CHARS = 40  # of a client's own text
MOST_NOTED = 16  # tools that were left out; a client that sends more knows what they have in common
LANGUAGE = "session.audio.input.transcription.language"
SPOKEN_PROMPT = "session.audio.input.transcription.prompt"
NOISE = "session.audio.input.noise_reduction"
VOICE = "audio.output.voice"
INSTRUCTIONS, TOOLS, TOOL_CHOICE = "session.instructions", "session.tools", "session.tool_choice"

Notes = tuple[SessionNote, ...]


class SessionSupport(msgspec.Struct, frozen=True):
    """What there is. Empty `voices` and `languages` mean that they are not known, and every name is accepted.

    Attributes:
        voices: names that a session may ask for, the default first.
        languages: ISO-639-1 codes that the recogniser knows.
        has_spoken_prompts: the recogniser reads `transcription.prompt`.
        rule_models: language models of kits, which take no instructions of a client, and of its tools those that they know.
        rule_tools: names of these tools.
    """

    voices: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    has_spoken_prompts: bool = True
    rule_models: tuple[str, ...] = ()
    rule_tools: frozenset[str] = frozenset()

    def begin(
        self, config: SessionConfig, session: Mapping[str, Any] | None, *, language_model: str
    ) -> tuple[dict[str, Any] | None, Notes]:
        """The patch of a caller's secret as it can be applied to its agent's configuration, and the notes of the session.

        Raises:
            InvalidEvent: it asks for a voice that is not there.
        """
        notes: Notes = ()
        if self.voices and config.type == "realtime" and config.voice not in self.voices:
            message = (
                f"The voice {config.voice[:SHOWN_CHARS]!r} is not installed here; {self.voices[0]!r} speaks instead."
            )
            notes = (SessionNote("voice_not_installed", message, f"session.{VOICE}"),)
        if session is None:
            return None, notes
        return self.adapt(config, session, notes, language_model=language_model)

    def receive(self, state: State, given: ClientEventReceived) -> ClientEventReceived:
        """A client's event as it can be applied, with the notes of the session after it.

        Raises:
            InvalidEvent: it asks for a voice that is not there.
        """
        match given.event:
            case ce.SessionUpdate(session=patch):
                adapted, notes = self.adapt(state.config, patch, state.notes, language_model=state.agent.language_model)
                event = given.event if adapted == patch else msgspec.structs.replace(given.event, session=adapted)
                return msgspec.structs.replace(given, event=event, notes=None if notes == state.notes else notes)
            case ce.ResponseCreate(response=ce.ResponseOptions(audio=ce.AudioOptions(output=output))):
                if output is not None:
                    self._check_voice(output.voice, state.config.voice, f"response.{VOICE}")
        return given

    def adapt(
        self, config: SessionConfig, patch: Mapping[str, Any], notes: Notes, *, language_model: str
    ) -> tuple[dict[str, Any], Notes]:
        """A patch without what can't be done, and the notes after it. Fields of the wrong type are left to their readers.

        Args:
            config: of the session, before the patch.
            patch: as the client sent it, in either spelling.
            notes: of the session, before the patch.
            language_model: of its agent.

        Raises:
            InvalidEvent: it asks for a voice that is not there.
        """
        adapted = {key: value for key, value in patch.items() if not _is_mcp_choice(key, value)}
        found: list[SessionNote] = []
        is_rule_based = language_model.partition("/")[0] in self.rule_models
        touched = {f"session.{key}" for key, value in patch.items() if value is not None or key in WITHOUT_EFFECT}
        if len(adapted) < len(patch):
            found.append(SessionNote("mcp_not_served", _NO_MCP, TOOL_CHOICE))
        if isinstance(tools := patch.get("tools"), list):
            adapted["tools"] = [tool for tool in tools if not _is_mcp(tool)]
            left_out = [index for index, tool in enumerate(tools) if _is_mcp(tool)][:MOST_NOTED]
            found += [SessionNote("mcp_not_served", _NO_MCP, f"{TOOLS}[{index}]") for index in left_out]
            if is_rule_based:
                found += self._unused(adapted["tools"])
        instructions = patch.get("instructions")
        if instructions == config.instructions:
            touched.discard(INSTRUCTIONS)  # sent back as it was shown
        elif is_rule_based and isinstance(instructions, str) and instructions:
            found.append(SessionNote("instructions_not_followed", _RULES.format("they have no effect"), INSTRUCTIONS))
        found += [_no_effect(f"session.{key}") for key in WITHOUT_EFFECT if patch.get(key)]
        found += self._audio_notes(config, legacy.session_to_ga(dict(patch)).get("audio"), touched)
        kept = tuple(note for note in notes if note.param.partition("[")[0] not in touched)
        return adapted, kept + tuple(found)

    def _unused(self, tools: list[object]) -> list[SessionNote]:
        """The note about tools that an agent with rules never calls."""
        names = [tool.get("name") if isinstance(tool, dict) else None for tool in tools]
        used = sorted(name for name in names if isinstance(name, str) and name in self.rule_tools)
        if len(used) == len(names):
            return []
        what = f"of these tools it calls only {' and '.join(used)}" if used else "these tools are never called"
        return [SessionNote("tools_not_used", _RULES.format(what), TOOLS)]

    def _audio_notes(self, config: SessionConfig, audio: object, touched: set[str]) -> list[SessionNote]:
        """Notes about `audio`; adds the paths that it changes to `touched`."""
        found: list[SessionNote] = []
        source, output = _part(audio, "input"), _part(audio, "output")
        if output.get("voice") is not None:
            touched.add(f"session.{VOICE}")
            self._check_voice(output["voice"], config.voice, f"session.{VOICE}")
        if "noise_reduction" in source:
            touched.add(NOISE)
            if source["noise_reduction"] is not None:
                found.append(_no_effect(NOISE))
        if "transcription" not in source:
            return found
        transcription = _part(source, "transcription")
        is_off = source["transcription"] is None
        if is_off or "language" in transcription:
            touched.add(LANGUAGE)
        if is_off or "prompt" in transcription:
            touched.add(SPOKEN_PROMPT)
        language = transcription.get("language")
        if isinstance(language, str) and self.languages and _base(language) not in self.languages:
            message = (
                f"The recogniser here does not know {language[:SHOWN_CHARS]!r} and hears {self.languages[0]!r}. "
                f"It knows: {', '.join(self.languages)}. AVB_STT_PROFILE chooses another one."
            )
            found.append(SessionNote("language_not_known", message, LANGUAGE))
        if transcription.get("prompt") and not self.has_spoken_prompts:
            found.append(_no_effect(SPOKEN_PROMPT))
        return found

    def _check_voice(self, voice: object, current: str, path: str) -> None:
        if isinstance(voice, dict):
            voice, path = voice.get("id"), f"{path}.id"
        if self.voices and isinstance(voice, str) and voice and voice != current and voice not in self.voices:
            raise unknown_voice(voice, path, self.voices)


def unknown_voice(voice: str, path: str, voices: Collection[str]) -> InvalidEvent:
    """The error for a voice that is not there."""
    return not_valid(path, voice, f"Supported values are: {', '.join(voices)}. See GET /v1/voices.")


_NO_MCP = (
    "MCP servers are not called from here, so this was left out; everything else was applied. Send functions instead."
)
_RULES = "This agent follows rules of its own and no language model, so {}. An agent with one takes them: see GET /v1/models."


def _no_effect(path: str) -> SessionNote:
    return SessionNote(NO_EFFECT, f"'{path}' is accepted, and changes nothing here.", path)


def _is_mcp(tool: object) -> bool:
    return isinstance(tool, dict) and tool.get("type") == "mcp"


def _is_mcp_choice(key: str, value: object) -> bool:
    return key == "tool_choice" and _is_mcp(value)


def _part(body: object, name: str) -> dict[str, Any]:
    part = body.get(name) if isinstance(body, dict) else None
    return part if isinstance(part, dict) else {}


def _base(language: str) -> str:
    """`de` of `de-DE`."""
    return language.partition("-")[0].lower()
