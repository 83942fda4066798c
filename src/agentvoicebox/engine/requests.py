"""Client events: each leads to its effects, or to one typed error.

An event that changes the conversation or the session first drops a provisional response, which was prepared without it.
"""

from typing import assert_never

import msgspec
from msgspec import UNSET, UnsetType

from agentvoicebox.engine import answering, listening, rules, speculation
from agentvoicebox.engine.conversation import ROOT, Conversation, Entry, has_audio
from agentvoicebox.engine.effects import Persist, SendRetrieved, SetInputFormat, SetTurnDetection
from agentvoicebox.engine.inputs import ClientEventReceived, ItemAudio
from agentvoicebox.engine.outputs import record_item
from agentvoicebox.engine.playout import played_text
from agentvoicebox.engine.response import LiveResponse, ResponsePhase
from agentvoicebox.engine.state import State
from agentvoicebox.engine.step import Step
from agentvoicebox.errors import ClientError, InvalidEvent, UnknownItem
from agentvoicebox.wire import client_events as ce
from agentvoicebox.wire import server_events as ev
from agentvoicebox.wire.faults import body_of
from agentvoicebox.wire.items import (
    FunctionCallOutputItem,
    InputAudio,
    Item,
    ItemReference,
    MessageItem,
    OutputAudio,
    OutputText,
)
from agentvoicebox.wire.session_config import apply_update, resolve_response_options, session_to_wire
from agentvoicebox.wire.session_note import SessionNote

Notes = tuple[SessionNote, ...]

MAX_ITEMS = 2_000  # a call of hours; a bound on memory


def handle(state: State, step: Step, given: ClientEventReceived) -> None:
    """Apply a client event, or send one error."""
    event = given.event
    try:
        _apply(state, step, event, given)
    except ClientError as error:
        step.send(ev.ErrorEvent(event_id=step.event_id(), error=body_of(error, event_id=event.event_id)))


def _apply(state: State, step: Step, event: ce.ClientEvent, given: ClientEventReceived) -> None:
    match event:
        case ce.SessionUpdate():
            update_session(state, step, event, state.notes if given.notes is None else given.notes)
        case ce.InputAudioBufferCommit():
            listening.commit(state, step, given.at_sample)
        case ce.InputAudioBufferClear():
            listening.clear(state, step, given.at_sample)
        case ce.ConversationItemCreate():
            create_item(state, step, event, given.item_audio)
        case ce.ConversationItemRetrieve():
            retrieve_item(state, step, event)
        case ce.ConversationItemTruncate():
            truncate_item(state, step, event)
        case ce.ConversationItemDelete():
            delete_item(state, step, event)
        case ce.ResponseCreate():
            create_response(state, step, event, given.item_audio)
        case ce.ResponseCancel():
            cancel_response(state, step, event)
        case ce.OutputAudioBufferClear() | ce.InputAudioBufferAppend():
            pass  # playback belongs to the client on a WebSocket; appended audio never reaches the engine
        case _:
            assert_never(event)


# -- session ---------------------------------------------------------------------------------------------------------


def update_session(state: State, step: Step, event: ce.SessionUpdate, notes: Notes) -> None:
    """Change the session; a live response keeps the settings it began with. `notes`: of the session afterwards."""
    before = state.config
    is_answering = state.active is not None and not state.active.is_provisional
    after = apply_update(before, event.session, voice_locked=state.has_sent_audio, speed_locked=is_answering)
    speculation.drop(state, step)
    state.config, state.notes = after, notes
    if after.input_format != before.input_format:
        step.emit(SetInputFormat(after.input_format))
    if after.turn_detection != before.turn_detection:
        if after.turn_detection is None or before.turn_detection is None:
            listening.discard_turn(state, step)  # between two detectors an open turn goes on
        step.emit(SetTurnDetection(after.turn_detection))
        if after.turn_detection is None or after.turn_detection.idle_timeout_ms is None:
            state.idle_at_s = None
    send_session(state, step, state.degraded or None)


def change_mode(state: State, step: Step, degraded: tuple[str, ...]) -> None:
    """A service went down or came back: send the session once, with what is degraded."""
    if degraded != state.degraded:
        state.degraded = degraded
        send_session(state, step, degraded)


def send_session(state: State, step: Step, degraded: tuple[str, ...] | None) -> None:
    """Send the whole session, as it is now."""
    session = session_to_wire(state.config, degraded, state.notes)
    step.send(ev.SessionUpdated(event_id=step.event_id(), session=session))


# -- items -----------------------------------------------------------------------------------------------------------


def create_item(
    state: State, step: Step, event: ce.ConversationItemCreate, item_audio: tuple[ItemAudio, ...] | UnsetType = UNSET
) -> None:
    """Add a client's item to the conversation. One that came with audio waits for its transcript, like a committed turn."""
    after = event.previous_item_id
    if after is not None and after != ROOT and not _is_known(state, after):
        raise UnknownItem(
            f"Error creating item: previous item with id '{after}' not found.",
            code="item_create_invalid_previous_item_id",
            param="previous_item_id",
        )
    if event.item.id and state.conversation.find(event.item.id) is not None:
        raise InvalidEvent(
            f"Error creating item: an item with id '{event.item.id}' already exists.",
            code="item_create_duplicate_item_id",
            param="item.id",
        )
    item = event.item
    if isinstance(item, FunctionCallOutputItem) and not state.conversation.find_call(item.call_id):
        raise InvalidEvent(
            f"Tool call ID '{item.call_id}' not found in conversation.",
            code="invalid_tool_call_id",
            param="item.call_id",
        )
    if len(state.conversation.entries) >= MAX_ITEMS:
        raise InvalidEvent(
            f"A conversation holds at most {MAX_ITEMS} items; delete some first.", code="conversation_too_long"
        )
    speculation.drop(state, step)
    entry = client_entry(step, item)
    state.conversation.add(entry, after)
    previous = state.conversation.previous_id(entry)
    step.send(ev.ConversationItemAdded(event_id=step.event_id(), previous_item_id=previous, item=entry.item))
    step.send(ev.ConversationItemDone(event_id=step.event_id(), previous_item_id=previous, item=entry.item))
    step.emit(record_item(entry))
    for audio in item_audio or ():
        listening.hear_item(state, step, entry, audio)


def retrieve_item(state: State, step: Step, event: ce.ConversationItemRetrieve) -> None:
    """Send an item as it is now; one that was spoken into the microphone with its audio."""
    entry = _entry(state, event.item_id, "item_retrieve_invalid_item_id")
    retrieved = ev.ConversationItemRetrieved(event_id=step.event_id(), item=entry.item)
    if has_audio(entry.item) and entry.end_sample > entry.start_sample:
        step.emit(SendRetrieved(retrieved, entry.start_sample, entry.end_sample, state.config.input_format))
    else:
        step.send(retrieved)


def client_entry(step: Step, item: Item) -> Entry:
    """An entry for a client's item: with an id, without audio bytes, and with assistant audio as text."""
    if isinstance(item, MessageItem):
        parts = tuple(
            OutputText(text=part.transcript)
            if isinstance(part, OutputAudio) and isinstance(part.transcript, str)
            else InputAudio(transcript=part.transcript)
            if isinstance(part, InputAudio)
            else part
            for part in item.content
        )
        item = msgspec.structs.replace(item, content=parts)
    item = msgspec.structs.replace(item, id=item.id or step.ids.next("item"), status="completed")
    entry = Entry(item)
    if has_audio(item):
        entry.transcript = ""  # the text is in the part itself, if the client knew it
    return entry


def truncate_item(state: State, step: Step, event: ce.ConversationItemTruncate) -> None:
    """The client played an item only so far: cut it there. A position beyond what was sent means all of it.

    The response of an item that is still spoken ends: what would follow is behind the cut.
    """
    entry = _entry(state, event.item_id, "item_truncate_invalid_item_id")
    response = state.responses.get(entry.response_id or "")
    is_assistant = isinstance(entry.item, MessageItem) and entry.item.role == "assistant"
    is_spoken = entry.sent_ms > 0 or (response is not None and response.has_audio)
    if not is_assistant or (state.rules > rules.FIRST and not is_spoken):
        message = "Only model output audio messages can be truncated."
        if state.rules == rules.FIRST:
            message = "Only assistant audio messages can be truncated."
        raise InvalidEvent(message, code="invalid_value", param="item_id")
    if event.content_index != 0 and state.rules > rules.FIRST:
        raise InvalidEvent("The item has one part, at index 0.", code="invalid_value", param="content_index")
    entry.played_ms = min(float(event.audio_end_ms), entry.sent_ms)
    transcript = played_text(entry.segment_spans, entry.played_ms)
    if response is not None and response.message is not None and state.rules > rules.FIRST:
        response.message.text = transcript
        answering.end(state, step, response, "cancelled", "client_cancelled")
    entry.is_truncated = True
    if entry.segment_spans or state.rules > rules.FIRST:
        entry.item = msgspec.structs.replace(entry.item, content=(OutputAudio(transcript=transcript),))
    truncated = ev.ConversationItemTruncated(
        event_id=step.event_id(),
        item_id=event.item_id,
        content_index=event.content_index,
        audio_end_ms=event.audio_end_ms,
    )
    step.send(truncated)
    step.emit(record_item(entry))


def delete_item(state: State, step: Step, event: ce.ConversationItemDelete) -> None:
    """Remove an item from the conversation and from the records."""
    entry = _entry(state, event.item_id, "item_delete_invalid_item_id")
    speculation.drop(state, step)
    state.conversation.remove(entry)
    step.send(ev.ConversationItemDeleted(event_id=step.event_id(), item_id=event.item_id))
    step.emit(Persist(record_id=event.item_id, kind="item_deleted", body={"item_id": event.item_id}))


def _is_known(state: State, item_id: str) -> bool:
    """Whether the client may name an item. A provisional one is dropped before it could be used."""
    entry = state.conversation.find(item_id)
    return entry is not None and not entry.is_provisional


def _entry(state: State, item_id: str, code: str) -> Entry:
    entry = state.conversation.find(item_id)
    if entry is None or entry.is_provisional:
        raise UnknownItem(f"Item with item_id '{item_id}' not found.", code=code, param="item_id")
    return entry


# -- responses -------------------------------------------------------------------------------------------------------


def create_response(
    state: State, step: Step, event: ce.ResponseCreate, item_audio: tuple[ItemAudio, ...] | UnsetType = UNSET
) -> None:
    """Start a response: in the conversation, or out of band."""
    options = event.response or ce.ResponseOptions()
    if state.config.type == "transcription":
        raise InvalidEvent("A transcription session creates no responses.", code="invalid_value", param="type")
    config = resolve_response_options(state.config, options)
    is_out_of_band = options.conversation == "none"
    own = None if options.input is None else _input(state, step, options.input)
    speculation.drop(state, step)
    active = state.active
    if active is not None and not is_out_of_band:
        raise InvalidEvent(
            f"Conversation already has an active response in progress: {active.id}. "
            "Wait until the response is finished before creating a new one.",
            code="conversation_already_has_active_response",
        )
    for audio in item_audio or ():
        entry = own[audio.item_index] if own is not None else None
        if isinstance(entry, Entry):
            listening.hear_item(state, step, entry, audio)
    side = Conversation() if is_out_of_band else None
    answering.start(state, step, config, metadata=options.metadata, side=side, input=own)


def _input(state: State, step: Step, items: tuple[Item | ItemReference, ...]) -> list[str | Entry]:
    """What a response reads in place of the conversation: ids of its items, and items of the client's own."""
    found: list[str | Entry] = []
    for index, item in enumerate(items):
        if not isinstance(item, ItemReference):
            found.append(client_entry(step, item))
        elif _is_known(state, item.id):
            found.append(item.id)
        else:
            raise UnknownItem(
                f"Item with id '{item.id}' not found.", code="invalid_value", param=f"response.input[{index}].id"
            )
    return found


def cancel_response(state: State, step: Step, event: ce.ResponseCancel) -> None:
    """Cancel a response. The client does not know a provisional one, so it can't be cancelled."""
    response: LiveResponse | None
    response = state.responses.get(event.response_id) if event.response_id is not None else state.active
    if response is None or response.is_provisional:
        raise InvalidEvent(
            "Cancellation failed: no active response found", code="response_cancel_not_active", param="response_id"
        )
    if response.is_default and response.phase is ResponsePhase.WAITING:
        state.unanswered = []  # which it was about to answer
    answering.end(state, step, response, "cancelled", "client_cancelled")
