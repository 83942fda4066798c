"""The items of a conversation, in order, and what a language model may read of them.

Knows how much of each assistant item was played, so that the context holds no word that the caller did not hear. Hidden
entries (calls of server tools) are context for the model and no part of the protocol.
"""

import msgspec
from msgspec import UNSET

from agentvoicebox.engine.jobs import ChatMessage, ChatPart, ToolCall
from agentvoicebox.engine.playout import SegmentSpan, played_text
from agentvoicebox.wire.items import (
    FunctionCallItem,
    FunctionCallOutputItem,
    InputAudio,
    InputImage,
    InputText,
    Item,
    MessageItem,
    OutputAudio,
    OutputText,
    Part,
)

NO_IMAGE = "(an image, which you can't see)"  # what a model reads in the place of one that it does not take
ROOT = "root"  # previous_item_id of an item that goes to the front


class Entry(msgspec.Struct):
    """An item and what only the server knows about it.

    Attributes:
        item: as the client knows it.
        response_id: the response that made it, or None.
        is_hidden: not part of the protocol (server tools).
        is_provisional: not yet certain; not sent to the client.
        transcript: text of user audio; None while the recogniser works.
        failure: (code, message) of the recogniser that gave up on user audio; then the transcript is empty.
        start_sample, end_sample: user audio, 16 kHz input positions.
        segment_spans: how an assistant's audio is divided into segments.
        sent_ms: assistant audio sent to the client.
        played_ms: how much of it was played, if playback was cut short; None: all of it.
        is_truncated: the client stated how much was played.
        audio_ms: length of the audio that came with an item; None: the audio is the caller's microphone.
        is_read: a response of the conversation has read it.
        is_unseen: its pictures are no longer part of the prompt.
        is_left_out: not, or no longer, part of the prompt: it would be too long, or this is the notice that the call is recorded.
    """

    item: Item
    response_id: str | None = None
    is_hidden: bool = False
    is_provisional: bool = False
    transcript: str | None = None
    start_sample: int = 0
    end_sample: int = 0
    segment_spans: tuple[SegmentSpan, ...] = ()
    sent_ms: float = 0.0
    played_ms: float | None = None
    is_truncated: bool = False
    failure: tuple[str, str] | None = None
    audio_ms: int | None = None
    is_left_out: bool = False
    is_unseen: bool = False
    is_read: bool = False

    @property
    def awaits_transcript(self) -> bool:
        """Whether the recogniser still owes the transcript of this item."""
        return self.transcript is None and has_audio(self.item)


class Conversation(msgspec.Struct):
    """Entries in order. A call has few, so look-ups are linear."""

    entries: list[Entry] = []

    def find(self, item_id: str) -> Entry | None:
        """The entry of a visible item, or None."""
        return next((e for e in self.entries if e.item.id == item_id and not e.is_hidden), None)

    def find_call(self, call_id: str) -> bool:
        """Whether a function call with this id is part of the conversation, as the client knows it."""
        calls = (e.item for e in self.entries if isinstance(e.item, FunctionCallItem) and not e.is_hidden)
        return any(call.call_id == call_id for call in calls)

    def previous_id(self, entry: Entry) -> str | None:
        """Id of the visible item before an entry, or None if it is the first."""
        previous: str | None = None
        for other in self.entries:
            if other is entry:
                return previous
            if not other.is_hidden:
                previous = other.item.id
        return previous

    def last_id(self) -> str | None:
        """Id of the last visible item, or None."""
        return next((e.item.id for e in reversed(self.entries) if not e.is_hidden), None)

    def add(self, entry: Entry, after: str | None = None) -> None:
        """Insert an entry: at the end (None), at the front (`root`), or after the item `after`, which must exist."""
        if after is None:
            self.entries.append(entry)
        elif after == ROOT:
            self.entries.insert(0, entry)
        else:
            place = next(i for i, e in enumerate(self.entries) if e.item.id == after and not e.is_hidden)
            self.entries.insert(place + 1, entry)

    def add_result(self, entry: Entry) -> None:
        """Put a hidden result behind its response's hidden calls: a model reads nothing between a call and its result."""
        hidden = (i for i, e in enumerate(self.entries) if e.is_hidden and e.response_id == entry.response_id)
        self.entries.insert(max(hidden, default=len(self.entries) - 1) + 1, entry)

    def remove(self, entry: Entry) -> None:
        """Remove an entry."""
        self.entries = [e for e in self.entries if e is not entry]

    def move_behind_calls(self, response_id: str) -> None:
        """A response ended: move its message behind its hidden tool calls, where a model expects it."""
        own = [e for e in self.entries if e.response_id == response_id and not e.is_hidden]
        hidden = [e for e in self.entries if e.response_id == response_id and e.is_hidden]
        if not own or not hidden or self.entries.index(own[0]) > self.entries.index(hidden[-1]):
            return
        place = self.entries.index(own[0])
        rest = [e for e in self.entries if e not in hidden]
        place = rest.index(own[0]) if own[0] in rest else place
        self.entries = rest[:place] + hidden + rest[place:]

    def awaits_transcript(self) -> bool:
        """Whether any item still lacks its transcript."""
        return any(entry.awaits_transcript for entry in self.entries)

    def messages(self) -> tuple[ChatMessage, ...]:
        """The conversation as a language model reads it: only what was said and played, and still fits."""
        return chat_messages([entry for entry in self.entries if not entry.is_left_out])

    def leave_out(self, count: int) -> None:
        """The first `count` messages that were read no longer fit into the prompt: later prompts begin after them."""
        kept = [entry for entry in self.entries if entry.is_read and not entry.is_left_out]
        for _, entries in grouped(kept)[:count]:
            for entry in entries:
                entry.is_left_out = True

    def leave_images_out(self) -> None:
        """The model does not take the pictures so far: later prompts have a remark in their place."""
        for entry in self.entries:
            entry.is_unseen = entry.is_unseen or (isinstance(entry.item, MessageItem) and bool(_images(entry.item)))


def with_transcript(item: MessageItem, text: str) -> MessageItem:
    """A client's item whose audio was transcribed: the text stands in its first audio part, the others are empty."""
    texts = iter((text,))
    parts = tuple(
        InputAudio(transcript=next(texts, "")) if isinstance(part, InputAudio) else part for part in item.content
    )
    return msgspec.structs.replace(item, content=parts)


def has_audio(item: Item) -> bool:
    """Whether an item is user audio."""
    return (
        isinstance(item, MessageItem) and item.role == "user" and any(isinstance(p, InputAudio) for p in item.content)
    )


def is_typed(item: Item) -> bool:
    """Whether an item is a user's text, and no part of it was spoken."""
    return isinstance(item, MessageItem) and item.role == "user" and not has_audio(item)


def chat_messages(entries: list[Entry], *, marks_typed: bool = False) -> tuple[ChatMessage, ...]:
    """Chat messages of some entries; consecutive calls of one response become one message.

    Args:
        entries: in order.
        marks_typed: whether lines state that they were typed.
    """
    return tuple(
        msgspec.structs.replace(message, is_typed=True) if marks_typed and is_typed(group[0].item) else message
        for message, group in grouped(entries)
    )


def grouped(entries: list[Entry]) -> list[tuple[ChatMessage, list[Entry]]]:
    """Chat messages of some entries, each with those it was made from. An entry without words makes none."""
    groups: list[tuple[ChatMessage, list[Entry]]] = []
    for entry in entries:
        item = entry.item
        match item:
            case MessageItem(role="assistant"):
                if text := assistant_text(entry):
                    groups.append((ChatMessage(role="assistant", text=text), [entry]))
            case MessageItem():
                groups.append((_user_line(entry, item), [entry]))
            case FunctionCallItem():
                call = ToolCall(item.call_id, item.name, item.arguments)
                last = groups[-1][0] if groups else None
                if last is not None and last.role == "assistant" and last.tool_calls:
                    joined = msgspec.structs.replace(last, tool_calls=(*last.tool_calls, call))
                    groups[-1] = (joined, [*groups[-1][1], entry])
                else:
                    groups.append((ChatMessage(role="assistant", tool_calls=(call,)), [entry]))
            case FunctionCallOutputItem():
                groups.append((ChatMessage(role="tool", text=item.output, call_id=item.call_id), [entry]))
    return groups


def user_text(entry: Entry) -> str:
    """The text of a user's or system's item: typed parts and the transcript of spoken ones."""
    assert isinstance(entry.item, MessageItem)
    words = (_words(entry, part) for part in entry.item.content)
    return " ".join(word for word in words if word)


def assistant_text(entry: Entry) -> str:
    """The text of an assistant's item that was played (or sent as text)."""
    assert isinstance(entry.item, MessageItem)
    if entry.played_ms is not None and entry.segment_spans:
        return played_text(entry.segment_spans, entry.played_ms)
    words = []
    for part in entry.item.content:
        if isinstance(part, OutputText):
            words.append(part.text)
        elif isinstance(part, OutputAudio) and isinstance(part.transcript, str):
            words.append(part.transcript)
    return " ".join(word for word in words if word)


def _user_line(entry: Entry, item: MessageItem) -> ChatMessage:
    images = () if entry.is_unseen else _images(item)
    parts: list[ChatPart] = []
    for part in item.content if images else ():
        if isinstance(part, InputImage):
            place = sum(each.image is not None for each in parts)
            parts.append(ChatPart(image=place, detail=part.detail if isinstance(part.detail, str) else ""))
        elif words := _words(entry, part):
            parts.append(ChatPart(words))
    return ChatMessage(item.role, user_text(entry), images=images, parts=tuple(parts) if images else UNSET)


def _images(item: MessageItem) -> tuple[str, ...]:
    return tuple(part.image_url for part in item.content if isinstance(part, InputImage))


def _words(entry: Entry, part: Part) -> str:
    if isinstance(part, InputImage):
        return NO_IMAGE if entry.is_unseen else ""
    if isinstance(part, InputText):
        return part.text
    if isinstance(part, InputAudio):
        known = part.transcript if isinstance(part.transcript, str) else ""
        return known if entry.audio_ms is not None else entry.transcript or known
    return ""
