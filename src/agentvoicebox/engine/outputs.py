"""The output of a response: items, parts, and the effects that send them. Withheld while the turn is uncertain.

All output of a response passes here. When it is sent is decided by `answering`, `tool_calls` and `synthesis`.
"""

from typing import Any, Literal

import msgspec

from agentvoicebox.engine.conversation import Conversation, Entry
from agentvoicebox.engine.effects import Effect, Persist, Send
from agentvoicebox.engine.response import LiveResponse, Message
from agentvoicebox.engine.state import State
from agentvoicebox.engine.step import Step
from agentvoicebox.wire import server_events as ev
from agentvoicebox.wire.items import Item, MessageItem, OutputAudio, OutputText


def emit(response: LiveResponse, step: Step, effect: Effect) -> None:
    """Emit an effect of a response, or withhold it while the turn is uncertain."""
    if response.held is None:
        step.emit(effect)
    else:
        response.held.append(effect)


def send(response: LiveResponse, step: Step, event: ev.ServerEvent) -> None:
    """Send an event of a response, or withhold it."""
    emit(response, step, Send(event))


def part_ids(step: Step, response: LiveResponse, message: Message) -> dict[str, Any]:
    """The fields that all events about the message's one part share."""
    return {
        "event_id": step.event_id(),
        "response_id": response.id,
        "item_id": message.item_id,
        "output_index": message.output_index,
        "content_index": 0,
    }


def conversation_of(state: State, response: LiveResponse) -> Conversation:
    """The conversation of a response's items: the session's, or its own."""
    return state.conversation if response.side is None else response.side


def add_output(state: State, step: Step, response: LiveResponse, item: Item) -> None:
    """Add an item to a response, and to its conversation."""
    output_index = len(response.outputs)
    response.outputs.append(item)
    entry = Entry(item, response_id=response.id, is_provisional=response.is_provisional)
    conversation = conversation_of(state, response)
    conversation.add(entry)
    send(
        response,
        step,
        ev.ResponseOutputItemAdded(
            event_id=step.event_id(), response_id=response.id, output_index=output_index, item=item
        ),
    )
    if response.is_default:
        previous = conversation.previous_id(entry)
        added = ev.ConversationItemAdded(event_id=step.event_id(), previous_item_id=previous, item=item)
        send(response, step, added)


def finish_output(state: State, step: Step, response: LiveResponse, output_index: int, item: Item) -> None:
    """An item is final: send and record it."""
    response.outputs[output_index] = item
    conversation = conversation_of(state, response)
    entry = conversation.find(item.id)
    if entry is not None:
        if not entry.is_truncated:
            entry.item = item
        if response.is_default:
            previous = conversation.previous_id(entry)
            done = ev.ConversationItemDone(event_id=step.event_id(), previous_item_id=previous, item=item)
            send(response, step, done)
            emit(response, step, record_item(entry))
    send(
        response,
        step,
        ev.ResponseOutputItemDone(
            event_id=step.event_id(), response_id=response.id, output_index=output_index, item=item
        ),
    )


def update_entry(
    state: State, response: LiveResponse, message: Message, status: Literal["completed", "incomplete", "in_progress"]
) -> MessageItem:
    """Update the message's entry with what was sent of it."""
    part = OutputAudio(transcript=message.text) if response.has_audio else OutputText(text=message.text)
    item = MessageItem(id=message.item_id, role="assistant", content=(part,), status=status)
    entry = conversation_of(state, response).find(message.item_id)
    if entry is not None and not entry.is_truncated:
        entry.item = item
        entry.segment_spans = response.segment_queue.spans()
        entry.sent_ms = message.sent_ms
    return item


def record_item(entry: Entry) -> Persist:
    """The record of an item in its present state. `heard_ms` is the stored name of `played_ms`."""
    body: dict[str, Any] = {
        "item": msgspec.to_builtins(entry.item),
        "response_id": entry.response_id,
        "transcript": entry.transcript,
        "is_hidden": entry.is_hidden,
        "sent_ms": round(entry.sent_ms),
        "heard_ms": None if entry.played_ms is None else round(entry.played_ms),
    }
    return Persist(record_id=entry.item.id, kind="item", body=body)
