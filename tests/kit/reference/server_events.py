"""`docs/reference/server-events.md`: every event that the server sends."""

from typing import get_args

from agentvoicebox.wire import items as it
from agentvoicebox.wire import response as rs
from agentvoicebox.wire import server_events as ev
from agentvoicebox.wire.audio_config import AudioFormat
from tests.kit.reference.docstrings import summary
from tests.kit.reference.event_examples import server_examples
from tests.kit.reference.markdown import as_json, code, head, section, table, text_of
from tests.kit.reference.shapes import Struct, server_fields, shape_sections, tag_of, unused

EVENTS: tuple[Struct, ...] = get_args(ev.ServerEvent)
NOT_SENT = {
    "output_audio_buffer.started": "Sent on the data channel of a [call by WebRTC](../webrtc.md) alone.",
    "output_audio_buffer.stopped": "Sent on the data channel of a [call by WebRTC](../webrtc.md) alone.",
    "output_audio_buffer.cleared": "Sent on the data channel of a [call by WebRTC](../webrtc.md) alone.",
}
DOES = {
    "error": "[Errors](errors.md) lists every code.",
    "session.created": "`session` is the whole session: [session fields](session.md). `agentvoicebox` is there only "
    "for a browser that "
    "can resume: [extensions](extensions.md#resuming).",
    "session.updated": "Sent after each `session.update`, and when a [degraded mode](extensions.md#degraded-modes) "
    "begins or ends.",
    "rate_limits.updated": "Sent after each `response.done`.",
    "agentvoicebox.turn": "Sent with `?trace=1` only: [extensions](extensions.md#the-trace-of-a-turn).",
    "agentvoicebox.resumed": "Sent after a resume only: [extensions](extensions.md#resuming).",
    "input_audio_buffer.timeout_triggered": "The agent then speaks without being asked.",
    "response.done": "`output` holds the items of the response; `status_details` says why it did not complete.",
}
SHAPES: dict[Struct, str] = {
    ev.ErrorBody: "Error",
    ev.RateLimit: "Rate limit",
    ev.TranscriptionError: "Transcription error",
    ev.DurationUsage: "Duration usage",
    ev.TokenUsage: "Token usage",
    ev.TranscriptionInputTokens: "Transcription input tokens",
    rs.Response: "Response",
    rs.StatusDetails: "Status details",
    rs.ResponseError: "Response error",
    rs.Usage: "Usage",
    rs.InputTokens: "Input tokens",
    rs.CachedTokens: "Cached tokens",
    rs.OutputTokens: "Output tokens",
    rs.ResponseAudio: "Response audio",
    rs.ResponseAudioOutput: "Response audio output",
    AudioFormat: "Audio format",
    it.MessageItem: "Message",
    it.FunctionCallItem: "Function call",
    it.FunctionCallOutputItem: "Function call output",
    it.InputText: "Input text",
    it.InputAudio: "Input audio",
    it.InputImage: "Input image",
    it.OutputText: "Output text",
    it.OutputAudio: "Output audio",
    it.TextPart: "Text part",
    it.AudioPart: "Audio part",
}
SAID = {
    "error.error": "what is wrong",
    "type": "the kind of error",
    "code": "stable; [errors](errors.md)",
    "message": "for people",
    "param": "the field, as a dotted path",
    "ErrorBody.event_id": "id of your event",
    "session": "the whole session: [session fields](session.md)",
    "agentvoicebox": "`resume_token`; left out when there is none",
    "rate_limits": "one entry for requests, one for tokens: the smallest numbers that remain",
    "RateLimit.name": "what is counted",
    "limit": "in any 60 s",
    "remaining": "what is left",
    "reset_seconds": "seconds until all of it is free again",
    "turn": "[the trace of a turn](extensions.md#the-trace-of-a-turn)",
    "session_id": "id of the session",
    "audio_start_ms": "ms since the first sample that was appended",
    "audio_end_ms": "ms since the first sample that was appended",
    "conversation.item.truncated.audio_end_ms": "the position that the client named",
    "item_id": "id of the item",
    "previous_item_id": "id of the item before it; null for the first one",
    "item": "the item",
    "content_index": "index of the part",
    "delta": "the next piece",
    "response.output_audio.delta.delta": "audio in the response's output format",
    "transcript": "the words",
    "usage": "what it counts for",
    "conversation.item.input_audio_transcription.failed.error": "why there is no transcript",
    "duration.seconds": "seconds of audio",
    "text_tokens": "text",
    "audio_tokens": "audio",
    "image_tokens": "images",
    "cached_tokens": "of the input, how many were cached",
    "cached_tokens_details": "the same by kind",
    "total_tokens": "input and output",
    "input_tokens": "input",
    "output_tokens": "output",
    "input_token_details": "by kind",
    "output_token_details": "by kind",
    "response": "the response",
    "response_id": "id of the response",
    "output_index": "index of the item in the response",
    "part": "the part",
    "text": "the whole text",
    "call_id": "id of the call",
    "name": "name of the function",
    "arguments": "JSON text",
    "output": "what the function returned, as text",
    "id": "id",
    "object": "always the same",
    "status": "state",
    "role": "who speaks",
    "content": "the parts",
    "output_modalities": "audio (with a transcript) or text",
    "max_output_tokens": "most tokens of the response",
    "audio": "audio of the response",
    "input_audio.audio": "base64 in the session's input format; only in `conversation.item.retrieved`",
    "output_audio.audio": "never there",
    "ResponseAudio.output": "output audio",
    "format": "audio format",
    "voice": "voice",
    "image_url": "a data URI",
    "detail": "as the client sent it",
    "AudioFormat.type": "the encoding",
    "rate": "of PCM, in Hz; G.711 has none",
}


def page() -> str:
    """The page. Raises KeyError or ValueError when an event, a field or a sentence is missing."""
    tags = [tag_of(kind) for kind in EVENTS]
    strange = (set(DOES) | set(NOT_SENT)) - set(tags)
    if old := strange | unused(SAID, [*EVENTS, *SHAPES]):
        raise ValueError(f"out of date: {old}")
    examples = server_examples()
    lines = head(
        "Server events",
        "`wire/server_events.py`",
        "One JSON object in each text frame. Every event has a `type` and an `event_id`. A nullable field is always "
        "written, as null "
        "when it is empty; a field that does not apply is left out.",
        "[asyncapi.json](asyncapi.json) has these events and the client's as an AsyncAPI 3 document, with their schemas.",
        "A connection that asks for the retired beta (`OpenAI-Beta: realtime=v1`) gets these events under their beta names "
        "(`response.audio.delta`, `conversation.item.created`, …).",
        "Not sent: `conversation.created`, hosted MCP, diarised segments and DTMF.",
    )
    rows = [(f"[{code(tag)}](#{tag.replace('.', '')})", summary(kind)) for tag, kind in zip(tags, EVENTS, strict=True)]
    lines += table(("event", "when"), rows)
    for tag, kind in zip(tags, EVENTS, strict=True):
        lines += section(code(tag), summary(kind), DOES.get(tag, NOT_SENT.get(tag, "")))
        lines += server_fields(kind, SHAPES, SAID)
        lines += as_json(examples[tag])
    lines += section("Shapes", "Parts of the events above.")
    lines += shape_sections(SHAPES, SAID, is_sent_by_client=False)
    return text_of(lines)
