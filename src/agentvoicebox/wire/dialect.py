"""The two spellings of the protocol: GA, which everything inside uses, and the retired beta, for old clients.

A connection has one dialect for its lifetime; the handshake chooses it. Both directions work on plain JSON objects, have no
state and never fail: what can't be translated is passed on, and the codec reports it. `wire/codec` calls them.

Two differences from OpenAI's retired beta: `rate_limits.updated` comes after `response.done`,
not before the response, and `temperature` is accepted without effect and not shown.
"""

import enum
from typing import Any

import msgspec

from agentvoicebox.wire import legacy
from agentvoicebox.wire.audio_config import PCM_RATE_HZ
from agentvoicebox.wire.server_events import ServerEvent

_BETA_EVENTS = {
    "conversation.item.added": "conversation.item.created",
    "response.output_text.delta": "response.text.delta",
    "response.output_text.done": "response.text.done",
    "response.output_audio.delta": "response.audio.delta",
    "response.output_audio.done": "response.audio.done",
    "response.output_audio_transcript.delta": "response.audio_transcript.delta",
    "response.output_audio_transcript.done": "response.audio_transcript.done",
}
_BETA_PARTS = {"output_text": "text", "output_audio": "audio"}
_BETA_FORMATS = {"audio/pcm": "pcm16", "audio/pcmu": "g711_ulaw", "audio/pcma": "g711_alaw"}
_NOT_IN_BETA = frozenset({"conversation.item.done"})  # beta announces an item once, at its start


class Dialect(enum.Enum):
    """The spelling of one connection."""

    GA = "ga"
    BETA = "beta"

    def to_ga(self, event: dict[str, Any]) -> dict[str, Any]:
        """A client's event in the GA spelling. The argument is not changed."""
        if self is Dialect.GA:
            return event
        kind, session = event.get("type"), event.get("session")
        if kind == "transcription_session.update":
            event = {**event, "type": "session.update"}
            if isinstance(session, dict):
                event["session"] = {**legacy.session_to_ga(session), "type": "transcription"}
        elif kind == "session.update" and isinstance(session, dict):
            event = {**event, "session": legacy.session_to_ga(session)}
        elif kind == "response.create" and isinstance(event.get("response"), dict):
            event = {**event, "response": legacy.response_to_ga(event["response"])}
        elif kind == "conversation.item.create" and isinstance(event.get("item"), dict):
            event = {**event, "item": legacy.item_to_ga(event["item"])}
        return event

    def from_ga(self, event: ServerEvent) -> list[dict[str, Any]]:
        """The objects to send for one event: itself for GA; none or one in the beta spelling for beta."""
        body: dict[str, Any] = msgspec.to_builtins(event)
        return [body] if self is Dialect.GA else _to_beta(body)


def _to_beta(body: dict[str, Any]) -> list[dict[str, Any]]:
    kind = body["type"]
    if kind in _NOT_IN_BETA:
        return []
    body["type"] = _BETA_EVENTS.get(kind, kind)
    if "item" in body:
        _item_to_beta(body["item"])
    elif kind in ("session.created", "session.updated"):
        if body["session"].get("type") == "transcription":
            body["type"] = f"transcription_{kind}"
        body["session"] = session_to_beta(body["session"])
    elif kind in ("response.created", "response.done"):
        body["response"] = _response_to_beta(body["response"])
    return [body]


def session_to_beta(session: dict[str, Any]) -> dict[str, Any]:
    """The session as `session_config.session_to_wire` shows it, flat. Also the body of `POST /v1/realtime/sessions`.

    There is no `type`; `client_secret` is null until the REST route puts one there.
    """
    audio_input = session["audio"]["input"]
    flat: dict[str, Any] = {key: session[key] for key in ("id", "object", "expires_at")}
    if session.get("type") != "transcription":
        output = session["audio"]["output"]
        flat |= {
            "model": session["model"],
            "modalities": _modalities_to_beta(session["output_modalities"]),
            "instructions": session["instructions"],
            "voice": output["voice"],
            "speed": output["speed"],
            "output_audio_format": _format_to_beta(output["format"]),
            "tools": session["tools"],
            "tool_choice": _tool_choice_to_beta(session["tool_choice"]),
            "max_response_output_tokens": session["max_output_tokens"],
            "tracing": session["tracing"],
            "prompt": session["prompt"],
        }
    flat |= {
        "input_audio_format": _format_to_beta(audio_input["format"]),
        "input_audio_transcription": audio_input["transcription"],
        "input_audio_noise_reduction": audio_input["noise_reduction"],
        "turn_detection": audio_input["turn_detection"],
        "include": session["include"],
        "client_secret": None,
    }
    return flat | {key: session[key] for key in ("degraded", "notes") if key in session}


def _response_to_beta(response: dict[str, Any]) -> dict[str, Any]:
    output = response.pop("audio")["output"]
    response["modalities"] = _modalities_to_beta(response.pop("output_modalities"))
    response["voice"] = output["voice"]
    response["output_audio_format"] = _format_to_beta(output["format"])
    for item in response["output"]:
        _item_to_beta(item)
    return response


def _item_to_beta(item: dict[str, Any]) -> None:
    for part in item.get("content", ()):
        part["type"] = _BETA_PARTS.get(part["type"], part["type"])


def _format_to_beta(audio_format: dict[str, Any]) -> str | dict[str, Any]:
    """Beta's name; PCM at a rate of our own, which beta has no name for, is shown as it was asked for."""
    is_named = audio_format.get("rate", PCM_RATE_HZ) == PCM_RATE_HZ
    return _BETA_FORMATS[audio_format["type"]] if is_named else audio_format


def _modalities_to_beta(modalities: list[str]) -> list[str]:
    return ["audio", "text"] if "audio" in modalities else ["text"]


def _tool_choice_to_beta(tool_choice: str | dict[str, Any]) -> str | dict[str, Any]:
    if isinstance(tool_choice, str):
        return tool_choice
    return {"type": "function", "function": {"name": tool_choice["name"]}}
