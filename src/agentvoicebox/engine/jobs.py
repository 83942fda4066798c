"""Requests to workers. Each is the payload of one job, as MessagePack.

A request holds everything that a worker needs, so that any worker can take it, and another one can start again.

The tags stand in stored jobs and logs. They never change, also where a class has been renamed. A newer field is UNSET where it
does not apply, so that a job without it has the same bytes as before.
"""

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType


class Transcribe(msgspec.Struct, frozen=True, tag="transcribe"):
    """Turn one utterance into text. The audio (16 kHz) comes through the job's own stream while the caller speaks.

    Attributes:
        item_audio_id: set when the audio came whole, with an item (`inputs.ItemAudio`), and starts at sample 0.
        within_s: how long other jobs' texts may come first. Unset: a caller waits; and stored effects stay as they are.
    """

    item_id: str
    start_sample: int
    language: str | None = None
    prompt: str | None = None
    item_audio_id: int | UnsetType = UNSET
    within_s: float | UnsetType = UNSET

    @property
    def has_item_audio(self) -> bool:
        """Whether the audio came whole, with an item."""
        return self.item_audio_id is not UNSET


class ToolSpec(msgspec.Struct, frozen=True):
    """A function that the language model may call. `parameters` is a JSON schema."""

    name: str
    description: str = ""
    parameters: dict[str, object] = {}


class ToolCall(msgspec.Struct, frozen=True):
    """A call that the model made earlier in the conversation. `arguments` is JSON text."""

    call_id: str
    name: str
    arguments: str


class ChatPart(msgspec.Struct, frozen=True):
    """A piece of a user's line that also has images.

    Attributes:
        text: what was said or typed; empty for an image.
        image: the place of an image in `images` of its line; None for text.
        detail: how closely to look at it: `auto`, `low` or `high`; empty: not given.
    """

    text: str = ""
    image: int | None = None
    detail: str = ""


class ChatMessage(msgspec.Struct, frozen=True):
    """One line of the conversation as the language model reads it.

    Attributes:
        role: `system`, `user`, `assistant` or `tool`.
        text: what was said (for `assistant`: what was played of it), or the tool's output.
        tool_calls: calls the assistant made in this line.
        call_id: for `tool`: which call this answers.
        images: data URIs that came with a user's line.
        parts: text and images of such a line in their order; UNSET where there is no image.
        is_typed: the user typed the line, so that every character of it is certain; UNSET: it was spoken, or this is unknown.
    """

    role: str
    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    call_id: str | None = None
    images: tuple[str, ...] = ()
    parts: tuple[ChatPart, ...] | UnsetType = UNSET
    is_typed: bool | UnsetType = UNSET


class Generate(msgspec.Struct, frozen=True, tag="generate"):
    """Write the next line of the conversation.

    Attributes:
        response_id: the response this belongs to.
        language_model: name of the provider that the agent chose (`dialogue`, `openai`, …) with an optional model after a
            slash (`openai/gpt-4o-mini`).
        tool_choice: `auto`, `none`, `required`, or `function:<name>`.
        max_output_tokens: None for no limit.
        truncation: what leaves a prompt that is too long, as the session has it: `auto`, `disabled`, or
            `{"type": "retention_ratio", "retention_ratio": 0 to 1, "token_limits": {"post_instructions": tokens}}`; UNSET:
            `auto`.
        options: additional keys of the request to the model's server, from the agent's file (`temperature`, …).
        is_continuation: the last message is the beginning of this line, and has been said: only what follows is wanted.
    """

    response_id: str
    language_model: str
    instructions: str
    messages: tuple[ChatMessage, ...]
    tools: tuple[ToolSpec, ...] = ()
    tool_choice: str = "auto"
    max_output_tokens: int | None = None
    truncation: str | dict[str, Any] | UnsetType = UNSET
    options: dict[str, Any] | UnsetType = UNSET
    is_continuation: bool | UnsetType = UNSET


class Synthesise(msgspec.Struct, frozen=True, tag="speak"):
    """Synthesise one segment. Audio comes back as int16 mono PCM at 24 kHz.

    Attributes:
        voice: name of a voice in the catalogue, or an OpenAI name (`alloy`), which the worker maps.
        speed: 0.25 to 1.5 on the wire; workers accept 0.25 to 2.0.
        within_s: how long other jobs' audio may come first. Unset: a caller waits; and stored effects stay as they are.
    """

    response_id: str
    text: str
    voice: str
    speed: float = 1.0
    within_s: float | msgspec.UnsetType = msgspec.UNSET


class CallTool(msgspec.Struct, frozen=True, tag="call_tool"):
    """Run a tool that the server owns.

    Attributes:
        arguments: JSON text exactly as the model wrote it.
        agent: name of the agent whose tool it is; two agents may have different tools of one name.
    """

    response_id: str
    call_id: str
    name: str
    arguments: str
    agent: str = ""


JobRequest = Transcribe | Generate | Synthesise | CallTool
