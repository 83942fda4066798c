"""Audio that came whole, with an item: on its way from the client's event to a recogniser, beside the engine.

No input, log or recording holds the bytes: the engine learns how long the audio is, and names it in a Transcribe job.
"""

from collections.abc import Iterator, Mapping

import msgspec
from msgspec import UNSET

from agentvoicebox.audio.pcm import Int16Array
from agentvoicebox.engine.inputs import ItemAudio
from agentvoicebox.gateway.audio.ingest import Ingest
from agentvoicebox.wire.bodies import decode_audio
from agentvoicebox.wire.client_events import ClientEvent, ConversationItemCreate, ResponseCreate
from agentvoicebox.wire.items import InputAudio, Item, ItemReference, MessageItem


class EventAudio(msgspec.Struct, frozen=True):
    """An event without its audio, and the audio.

    Attributes:
        event: with parts that say nothing of their audio.
        described: for the engine; empty when no item came with audio.
        samples: 16 kHz int16 mono, shape (n,), by the id in `described`.
    """

    event: ClientEvent
    described: tuple[ItemAudio, ...] = ()
    samples: Mapping[int, Int16Array] = {}


async def without_audio(event: ClientEvent, input_audio: Ingest, ids: Iterator[int]) -> EventAudio:
    """Take the audio out of the items of an event. A part whose text the client knows is taken by its text.

    Args:
        event: any but an append.
        input_audio: decodes it, in the session's input format.
        ids: one for each item's audio, unique among the inputs that wait.
    """
    match event:
        case ConversationItemCreate(item=item):
            items: tuple[Item | ItemReference, ...] = (item,)
        case ResponseCreate(response=options) if options is not None and options.input is not None:
            items = options.input
        case _:
            return EventAudio(event)
    described: list[ItemAudio] = []
    samples: dict[int, Int16Array] = {}
    for index, each in enumerate(items):
        audio = _audio_of(each)
        if audio:
            audio_id = next(ids)
            samples[audio_id] = await input_audio.decode(audio)
            described.append(ItemAudio(index, audio_id, len(samples[audio_id])))
    return EventAudio(_bare(event), tuple(described), samples)


def _audio_of(item: Item | ItemReference) -> bytes:
    if not isinstance(item, MessageItem):
        return b""
    parts = [part for part in item.content if isinstance(part, InputAudio) and not isinstance(part.transcript, str)]
    return b"".join(decode_audio(part.audio) for part in parts if isinstance(part.audio, str))


def _bare(event: ClientEvent) -> ClientEvent:
    match event:
        case ConversationItemCreate(item=item):
            return msgspec.structs.replace(event, item=_without(item))
        case ResponseCreate(response=options) if options is not None and options.input is not None:
            bare = tuple(each if isinstance(each, ItemReference) else _without(each) for each in options.input)
            return msgspec.structs.replace(event, response=msgspec.structs.replace(options, input=bare))
        case _:
            return event


def _without(item: Item) -> Item:
    if not isinstance(item, MessageItem):
        return item
    parts = tuple(
        msgspec.structs.replace(part, audio=UNSET) if isinstance(part, InputAudio) else part for part in item.content
    )
    return msgspec.structs.replace(item, content=parts)
