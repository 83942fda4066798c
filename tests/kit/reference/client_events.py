"""`docs/reference/client-events.md`: every event that a client may send, and what the server does with it."""

from typing import get_args

from agentvoicebox.wire import bodies, bounds, codec, large_append
from agentvoicebox.wire import client_events as ce
from agentvoicebox.wire import items as it
from agentvoicebox.wire.audio_config import AudioFormat
from tests.kit.reference.docstrings import summary
from tests.kit.reference.event_examples import client_example
from tests.kit.reference.markdown import as_json, code, head, section, table, text_of
from tests.kit.reference.shapes import Struct, client_fields, shape_sections, tag_of, unused

MIB = 1024**2
EVENTS: tuple[Struct, ...] = get_args(ce.ClientEvent)
SHAPES: dict[Struct, str] = {
    it.MessageItem: "Message",
    it.FunctionCallItem: "Function call",
    it.FunctionCallOutputItem: "Function call output",
    it.ItemReference: "Item reference",
    it.InputText: "Input text",
    it.InputAudio: "Input audio",
    it.InputImage: "Input image",
    it.OutputText: "Output text",
    it.OutputAudio: "Output audio",
    ce.ResponseOptions: "Response options",
    ce.AudioOptions: "Audio options",
    ce.AudioOutputOptions: "Audio output options",
    AudioFormat: "Audio format",
}

DOES = {
    "session.update": "Checked as a whole: the first error changes nothing, an accepted update is answered with "
    "`session.updated`. "
    "Fields that are not named keep their values. A running response keeps the settings that it began with. "
    "[Session fields](session.md) has every field.",
    "input_audio_buffer.append": "Not answered. With turn detection, the server finds the turns itself; without it, "
    "the audio waits "
    "for a commit. The audio is never refused by a limit.",
    "input_audio_buffer.commit": "Answered with `input_audio_buffer.committed`, then the item and its transcript. It "
    "needs at least "
    "100 ms of audio. It starts no response; send `response.create`.",
    "input_audio_buffer.clear": "Answered with `input_audio_buffer.cleared`. What was said since the last commit is dropped.",
    "conversation.item.create": "Answered with `conversation.item.added` and `conversation.item.done`. Audio inside an item is "
    "transcribed like a spoken turn; a response waits for its words. It starts no response. With `root` as "
    "`previous_item_id` the item "
    "comes first.",
    "conversation.item.retrieve": "Answered with `conversation.item.retrieved`. The caller's audio is kept for two "
    "minutes; the "
    "agent's audio is not kept.",
    "conversation.item.truncate": "Answered with `conversation.item.truncated`. The transcript is cut to the words "
    "that were heard, "
    "and later responses read only these. A position beyond the audio means all of it. Truncating an item that is "
    "still spoken ends "
    "its response (`cancelled`).",
    "conversation.item.delete": "Answered with `conversation.item.deleted`. The item leaves the conversation and the records.",
    "response.create": "Answered with `response.created`. One response of the conversation at a time; responses with "
    '`"conversation": "none"` may run beside it.',
    "response.cancel": "Answered with the closing events of the response; its status is `cancelled`.",
    "output_audio_buffer.clear": "On the data channel of a [call by WebRTC](../webrtc.md) it silences the agent. "
    "On a WebSocket it is accepted and ignored: there, playback belongs to the client.",
}
SAID = {
    "session": "a patch; [session fields](session.md)",
    "input_audio_buffer.append.audio": f"up to {bodies.MAX_AUDIO_BYTES // MIB} MiB of audio in the session's input format",
    "item": "the new item",
    "previous_item_id": "where the item goes: at the end (null), first (`root`), or after this item",
    "item_id": "id of the item",
    "content_index": "always 0: spoken items have one part",
    "audio_end_ms": "how much of the audio was heard",
    "response": "options of this response",
    "response_id": "which response; the conversation's own when absent",
    "id": "1 to 64 letters, digits, `_` and `-`; the server makes one when it is absent",
    "object": "ignored",
    "status": "ignored; an item of a client is complete",
    "role": "user: text, audio, images; system: text; assistant: text",
    "content": f"up to {bounds.MAX_ITEM_PARTS} parts",
    "call_id": "id of the call",
    "function_call.name": "name of the function",
    "arguments": "JSON text",
    "output": "what the function returned, as text",
    "item_reference.id": "id of an item of the conversation",
    "text": "the text",
    "transcript": "its words, if the client knows them; else the server transcribes `audio`",
    "input_audio.audio": "base64 in the session's input format",
    "output_audio.audio": "ignored",
    "image_url": "a data URI (`data:image/…`); addresses are refused",
    "detail": "passed to the language model",
    "AudioOptions.output": "overrides of the audio",
    "AudioOutputOptions.format": "as in the session",
    "AudioOutputOptions.voice": "a name of `GET /v1/voices`, or `{\"id\": name}`",
    "ResponseOptions.tool_choice": "`auto`, `none`, `required`, or `{\"type\": \"function\", \"name\": …}`",
    "ResponseOptions.output_modalities": "`[\"audio\"]` or `[\"text\"]`",
    "ResponseOptions.audio": "overrides of the output audio",
    "ResponseOptions.max_output_tokens": "most tokens of this response, tool calls included",
    "AudioFormat.type": "the encoding",
    "AudioFormat.rate": "of PCM: 8000, 16000 or 24000 (24000 when absent); G.711 has none",
}  # fmt: skip


def page() -> str:
    """The page. Raises KeyError or ValueError when an event, a field or a sentence is missing."""
    tags = [tag_of(kind) for kind in EVENTS]
    if old := (set(DOES) ^ set(tags)) | unused(SAID, [*EVENTS, *SHAPES]):
        raise ValueError(f"out of date: {old}")
    lines = head(
        "Client events",
        "`wire/client_events.py`",
        "One JSON object in each text frame, at `/v1/realtime?model=AGENT`. Every event has a `type`. It may have an "
        "`event_id` of "
        f"your own (up to {bounds.MAX_EVENT_ID_CHARS} characters), which an `error` event repeats.",
        f"An event that is not an append has at most {large_append.MAX_EVENT_BYTES // 1024} KiB, {codec.MAX_DEPTH} levels and "
        f"{codec.MAX_VALUES:,} values; [limits](../limits.md#sizes) has the bound of each field. A field that the "
        "server does not know "
        "is refused with `unknown_parameter`; the session continues. [Errors](errors.md) lists every code.",
        "[asyncapi.json](asyncapi.json) has these events and the server's as an AsyncAPI 3 document, with their schemas.",
        "The retired beta's spelling is accepted, too (`transcription_session.update`, flat session fields, part "
        "types `text` and "
        "`audio`). A connection that asks for the beta (`OpenAI-Beta: realtime=v1`) also gets its answers in it.",
    )
    lines += table(
        ("event", "in short"),
        [(f"[{code(tag)}](#{_address(tag)})", summary(kind)) for tag, kind in zip(tags, EVENTS, strict=True)],
    )
    for tag, kind in zip(tags, EVENTS, strict=True):
        lines += section(code(tag), summary(kind), DOES[tag])
        lines += client_fields(kind, SHAPES, SAID)
        lines += as_json(client_example(tag))
    lines += section("Shapes", "Parts of the events above.")
    lines += shape_sections(SHAPES, SAID, is_sent_by_client=True)
    return text_of(lines)


def _address(tag: str) -> str:
    return tag.replace(".", "")
