"""Conversation items and their content parts, as both sides write them.

Only shapes are defined here: `wire/bodies` decides which parts a role may have, the engine what an item means.
Keys that don't apply to an item are left out (UNSET); strict clients drop events that carry them as null.
"""

from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

ItemStatus = Literal["completed", "incomplete", "in_progress"]
Role = Literal["user", "assistant", "system"]


class _Tagged(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type"):
    """Identified by `type`."""


class InputText(_Tagged, frozen=True, kw_only=True, tag="input_text"):
    """Text of a user, or of a system message."""

    text: str


class InputAudio(_Tagged, frozen=True, kw_only=True, tag="input_audio"):
    """Audio of a user. `transcript` is null until it is known.

    `audio` is base64 in the session's input format: a client sends it in an item, the server on retrieval, while it is kept.
    """

    audio: str | UnsetType = UNSET
    transcript: str | UnsetType | None = UNSET


class InputImage(_Tagged, frozen=True, kw_only=True, tag="input_image"):
    """A picture from a user. `image_url` is a data URI."""

    image_url: str
    detail: Literal["auto", "low", "high"] | UnsetType = UNSET


class OutputText(_Tagged, frozen=True, kw_only=True, tag="output_text"):
    """Text of the assistant."""

    text: str


class OutputAudio(_Tagged, frozen=True, kw_only=True, tag="output_audio"):
    """Audio of the assistant, as its words. `audio` stays absent: what was sent to the client is not kept."""

    audio: str | UnsetType = UNSET
    transcript: str | UnsetType | None = UNSET


Part = InputText | InputAudio | InputImage | OutputText | OutputAudio


class _Item(_Tagged, frozen=True, kw_only=True):
    """The common part of all items. A client may omit `id` and `status`; the engine fills them in (`""` means absent)."""

    id: str = ""
    object: Literal["realtime.item"] | UnsetType = UNSET
    status: ItemStatus = "completed"


class MessageItem(_Item, frozen=True, kw_only=True, tag="message"):
    """One message of the conversation."""

    role: Role
    content: tuple[Part, ...]


class FunctionCallItem(_Item, frozen=True, kw_only=True, tag="function_call"):
    """A tool call of the assistant. `arguments` is JSON text, empty while the call is in progress."""

    call_id: str
    name: str
    arguments: str


class FunctionCallOutputItem(_Item, frozen=True, kw_only=True, tag="function_call_output"):
    """The output of a called tool."""

    call_id: str
    output: str


class ItemReference(_Tagged, frozen=True, kw_only=True, tag="item_reference"):
    """A reference to an item of the conversation. Valid in the input of `response.create` only."""

    id: str


Item = MessageItem | FunctionCallItem | FunctionCallOutputItem


class TextPart(_Tagged, frozen=True, kw_only=True, tag="text"):
    """The part of a `response.content_part.*` event in a written response."""

    text: str


class AudioPart(_Tagged, frozen=True, kw_only=True, tag="audio"):
    """The part of a `response.content_part.*` event in a spoken response."""

    transcript: str


ResponsePart = TextPart | AudioPart
