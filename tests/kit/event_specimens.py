"""Valid client events of every type, which a fuzzer then damages; they name items, calls and responses that exist."""

import base64
import random
from collections import deque
from typing import Any

from tests.kit.gateway import silence, tone

KNOWN_IDS = 200
KEYS = (
    "type", "event_id", "session", "audio", "item", "item_id", "previous_item_id", "content_index", "audio_end_ms", "response",
    "response_id", "id", "role", "content", "text", "transcript", "call_id", "output", "name", "arguments", "input", "format",
    "rate", "turn_detection", "voice", "speed", "tools", "tool_choice", "metadata", "conversation", "instructions", "model", "",
)  # fmt: skip
WORDS = ("where is my parcel", "hello", "", "é\u0301 \u202eolleh", "\x00", "two\nlines", "🙂" * 40)
TOOL = {"type": "function", "name": "look", "description": "Looks.", "parameters": {"type": "object", "properties": {}}}
_LOUD, _QUIET = tone(200), silence(200)


class KnownIds:
    """Ids that servers told, of all sessions together: so a session is also asked for what belongs to another."""

    def __init__(self) -> None:
        self.items: deque[str] = deque(["item_none"], KNOWN_IDS)
        self.calls: deque[str] = deque(["call_none"], KNOWN_IDS)
        self.responses: deque[str] = deque(["resp_none"], KNOWN_IDS)


class Specimens:
    """Makes valid events.

    Args:
        chance: decides everything.
        known: ids to name.
    """

    def __init__(self, chance: random.Random, known: KnownIds) -> None:
        self._chance = chance
        self._known = known
        self._makers = {
            "session.update": self._session_update,
            "input_audio_buffer.append": self._append,
            "input_audio_buffer.commit": dict,
            "input_audio_buffer.clear": dict,
            "conversation.item.create": self._item_create,
            "conversation.item.retrieve": self._naming_an_item,
            "conversation.item.truncate": self._truncate,
            "conversation.item.delete": self._naming_an_item,
            "response.create": self._response_create,
            "response.cancel": self._cancel,
            "output_audio_buffer.clear": dict,
        }
        self.types = tuple(self._makers)

    def make(self) -> dict[str, Any]:
        """An event of any type."""
        kind = self._chance.choice(self.types)
        event = {"type": kind, **self._makers[kind]()}
        if self._chance.random() < 0.3:
            event["event_id"] = f"event_{self._chance.randrange(1_000)}"
        return event

    def _session_update(self) -> dict[str, Any]:
        chance = self._chance
        detection = chance.choice(
            (
                None,
                {"type": "server_vad", "silence_duration_ms": chance.choice((0, 100, 300))},
                {"type": "semantic_vad", "eagerness": chance.choice(("low", "high", "auto"))},
                {"threshold": 0.4, "interrupt_response": False},
                {"type": "server_vad", "create_response": False, "idle_timeout_ms": 5_000},
            )
        )
        formats = ({"type": "audio/pcm", "rate": 24_000}, {"type": "audio/pcmu"}, {"type": "audio/pcma"}, "pcm16")
        parts: dict[str, Any] = {
            "instructions": chance.choice(WORDS),
            "output_modalities": [chance.choice(("audio", "text"))],
            "tools": chance.choice(([], [TOOL])),
            "tool_choice": chance.choice(("auto", "none", "required", {"type": "function", "name": "look"})),
            "max_output_tokens": chance.choice(("inf", 1, 4_096)),
            "truncation": chance.choice(("auto", "disabled", {"type": "retention_ratio", "retention_ratio": 0.5})),
            "tracing": None,
            "prompt": {"id": "p", "version": "1", "variables": {"a": "b"}},
            "audio": {
                "input": {
                    "format": chance.choice(formats),
                    "transcription": chance.choice((None, {"model": "default", "language": "en"})),
                    "noise_reduction": {"type": "near_field"},
                    "turn_detection": detection,
                },
                "output": {"format": chance.choice(formats), "voice": "alloy", "speed": chance.choice((0.25, 1, 1.5))},
            },
        }
        chosen = chance.sample(sorted(parts), chance.randrange(4))
        return {"session": {"type": "realtime", **{name: parts[name] for name in chosen}}}

    def _append(self) -> dict[str, Any]:
        chance = self._chance
        whole = chance.choice((_LOUD, _LOUD, _QUIET, chance.randbytes(2_000)))
        audio = whole[: chance.choice((0, 1, 2, 3, 959, 960, 961, len(whole)))]
        return {"audio": base64.b64encode(audio).decode()}

    def _item(self) -> dict[str, Any]:
        chance = self._chance
        text = chance.choice(WORDS)
        item: dict[str, Any]
        match chance.randrange(6):
            case 0:
                item = {"type": "function_call", "call_id": "call_own", "name": "look", "arguments": "{}"}
            case 1:
                item = {"type": "function_call_output", "call_id": chance.choice(self._known.calls), "output": text}
            case 2:
                part = chance.choice(
                    ({"type": "output_text", "text": text}, {"type": "output_audio", "transcript": text})
                )
                item = {"type": "message", "role": "assistant", "content": [part]}
            case 3:
                item = {"type": "message", "role": "system", "content": [{"type": "input_text", "text": text}]}
            case 4:
                audio = {"type": "input_audio", "audio": base64.b64encode(_QUIET[:101]).decode(), "transcript": text}
                image = {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "low"}
                item = {"type": "message", "role": "user", "content": [audio, image]}
            case _:
                item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
        if chance.random() < 0.2:
            item["id"] = chance.choice((f"item_{chance.randrange(50)}", chance.choice(self._known.items)))
        return item

    def _item_create(self) -> dict[str, Any]:
        event: dict[str, Any] = {"item": self._item()}
        if self._chance.random() < 0.3:
            event["previous_item_id"] = self._chance.choice((None, "root", self._chance.choice(self._known.items)))
        return event

    def _naming_an_item(self) -> dict[str, Any]:
        return {"item_id": self._chance.choice(self._known.items)}

    def _truncate(self) -> dict[str, Any]:
        return {**self._naming_an_item(), "content_index": 0, "audio_end_ms": self._chance.choice((0, 1, 150, 2**62))}

    def _response_create(self) -> dict[str, Any]:
        chance = self._chance
        if chance.random() < 0.3:
            return {}
        output = {"format": {"type": "audio/pcmu"}, "voice": "alloy"}
        parts: dict[str, Any] = {
            "conversation": chance.choice(("auto", "none")),
            "input": [self._item(), {"type": "item_reference", "id": chance.choice(self._known.items)}],
            "instructions": chance.choice(WORDS),
            "tools": [TOOL],
            "tool_choice": "required",
            "output_modalities": [chance.choice(("audio", "text"))],
            "audio": {"output": output},
            "max_output_tokens": chance.choice((1, "inf")),
            "metadata": {"a": "b"},
            "parallel_tool_calls": True,
        }
        return {"response": {name: parts[name] for name in chance.sample(sorted(parts), chance.randrange(4))}}

    def _cancel(self) -> dict[str, Any]:
        return {} if self._chance.random() < 0.5 else {"response_id": self._chance.choice(self._known.responses)}
