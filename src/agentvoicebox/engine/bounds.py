"""What a session may hold in all, and which of its client's events are refused for it. `wire/bounds` has those of single fields.

The driver asks before an event becomes an input: a refused event is logged as refused, so a replay is the same whatever bounds
the version that replays has. Only what a client adds is refused; what was said is never.
"""

from collections.abc import Iterable

from agentvoicebox.engine.conversation import Entry
from agentvoicebox.engine.jobs import ChatMessage
from agentvoicebox.engine.response import LiveResponse
from agentvoicebox.engine.state import State
from agentvoicebox.errors import ClientError, InvalidEvent, StoreFull
from agentvoicebox.wire import client_events as ce
from agentvoicebox.wire.bounds import item_bytes, text_bytes
from agentvoicebox.wire.items import FunctionCallOutputItem, Item, ItemReference

MAX_CONVERSATION_BYTES = 4 * 1024 * 1024  # texts and pictures of all items
MAX_SIDE_RESPONSES = 32  # beside the conversation, at a time
MAX_SIDE_CONTEXT_BYTES = 4 * 1024 * 1024  # what these read, in all: each has a copy


class EntrySizes:
    """Sizes of one conversation's entries. An item is never changed, only replaced, so each is measured once.

    Measuring 2,000 items anew takes 4 to 7 ms, which a client could have done a hundred times a second.
    """

    def __init__(self) -> None:
        self._known: dict[int, tuple[Item, str | None, int]] = {}  # by the entry's identity

    def total(self, entries: Iterable[Entry]) -> int:
        """Bytes of all entries of the conversation."""
        known: dict[int, tuple[Item, str | None, int]] = {}
        for entry in entries:
            found = self._known.get(id(entry))
            if found is None or found[0] is not entry.item or found[1] is not entry.transcript:
                found = (entry.item, entry.transcript, _entry_bytes(entry))
            known[id(entry)] = found
        self._known = known
        return sum(size for _, _, size in known.values())


def refusal(
    state: State, event: ce.ClientEvent, sizes: EntrySizes, *, is_store_full: bool = False
) -> ClientError | None:
    """Why a client's event is refused; None: it is not.

    Args:
        state: of the session, before the event.
        event: what the client sent.
        sizes: of the session's conversation; nothing but a memory of them.
        is_store_full: only what finishes a turn is accepted.
    """
    match event:
        case ce.ConversationItemCreate(item=item):
            if is_store_full and not isinstance(item, FunctionCallOutputItem):
                return _store_full("new items", "item")
            if sizes.total(state.conversation.entries) + item_bytes(item) > MAX_CONVERSATION_BYTES:
                return InvalidEvent(
                    f"A conversation holds at most {MAX_CONVERSATION_BYTES // 1024**2} MiB; delete some items first.",
                    code="conversation_too_long",
                    param="item",
                )
        case ce.ResponseCreate(response=options):
            if is_store_full and state.responses:
                return _store_full("further responses", "response")
            return _too_much(state, options or ce.ResponseOptions(), sizes)
        case _:
            pass
    return None


def _too_much(state: State, options: ce.ResponseOptions, sizes: EntrySizes) -> InvalidEvent | None:
    needed = _context_bytes(state, options, sizes)
    if needed > MAX_SIDE_CONTEXT_BYTES:
        message = f"A response reads at most {MAX_SIDE_CONTEXT_BYTES // 1024**2} MiB; send less `input`."
        return InvalidEvent(message, code="conversation_too_long", param="response.input")
    if options.conversation != "none":
        return None
    side = [response for response in state.responses.values() if not response.is_default]
    held = sum(_held_bytes(state, response, sizes) for response in side)
    if len(side) >= MAX_SIDE_RESPONSES or held + needed > MAX_SIDE_CONTEXT_BYTES:
        message = (
            f"At most {MAX_SIDE_RESPONSES} responses beside the conversation run at a time, and read "
            f"{MAX_SIDE_CONTEXT_BYTES // 1024**2} MiB together; wait for one to end."
        )
        return InvalidEvent(message, code="too_many_responses", param="response.conversation")
    return None


def _context_bytes(state: State, options: ce.ResponseOptions, sizes: EntrySizes) -> int:
    """What a response will have copied: its own input, or for one beside the conversation all items."""
    if options.input is None:
        return sizes.total(state.conversation.entries) if options.conversation == "none" else 0
    total = 0
    for item in options.input:
        if isinstance(item, ItemReference):
            found = state.conversation.find(item.id)
            total += 0 if found is None else _entry_bytes(found)
        else:
            total += item_bytes(item)
    return total


def _entry_bytes(entry: Entry) -> int:
    return item_bytes(entry.item) + text_bytes(entry.transcript or "")


def _held_bytes(state: State, response: LiveResponse, sizes: EntrySizes) -> int:
    """What a response has copied, or will have once the words are known that it waits for."""
    if response.context is not None:
        return sum(map(_message_bytes, response.context))
    if response.input is None:
        return sizes.total(state.conversation.entries)
    found = (state.conversation.find(each) if isinstance(each, str) else each for each in response.input)
    return sum(_entry_bytes(entry) for entry in found if entry is not None)


def _message_bytes(message: ChatMessage) -> int:
    calls = sum(text_bytes(call.arguments) for call in message.tool_calls)
    return text_bytes(message.text) + calls + sum(map(len, message.images))


def _store_full(what: str, param: str) -> StoreFull:
    return StoreFull(f"The server's memory is nearly full; {what} are refused for a moment.", param=param)
