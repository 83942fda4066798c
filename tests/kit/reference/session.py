"""`docs/reference/session.md`: every field of a session, its range and default, and what the server does with it."""

from collections.abc import Iterator
from typing import Any

from agentvoicebox.gateway.admission import session_support
from agentvoicebox.turns.endpointing import EAGERNESS
from agentvoicebox.wire import audio_config as ac
from agentvoicebox.wire import bounds, checks, legacy
from agentvoicebox.wire.session_config import SessionConfig, session_to_wire
from agentvoicebox.wire.session_note import NOTES
from tests.kit.reference.markdown import as_json, code, head, section, table, text_of

KIB = 1024
LOW, HIGH = checks.SPEED_RANGE
IDLE_LOW, IDLE_HIGH = ac.IDLE_TIMEOUT_RANGE_MS
CAPS = ", ".join(f"{EAGERNESS[name].cap_ms / 1000:g}" for name in ("low", "medium", "high", "auto"))
RATES = ", ".join(map(str, ac.PCM_RATES_HZ))
VAD, SEMANTIC = "audio.input.turn_detection", "semantic_vad"

# Path of a field: values, what the server does.
FIELDS = {
    "type": ("`realtime` or `transcription`", "fixed by the connection; another one is refused"),
    "object": ("", "always `realtime.session`; ignored when it is sent"),
    "id": ("`sess_…`", "made by the server; ignored when it is sent"),
    "model": (
        "name of an agent",
        "fixed by the connection; another one is ignored, and the answer shows the one in use",
    ),
    "expires_at": ("unix seconds", "one hour after the start; ignored when it is sent"),
    "output_modalities": ('`["audio"]` or `["text"]`', "both together mean audio, which always has its transcript"),
    "instructions": (
        f"text, up to {bounds.MAX_INSTRUCTIONS_BYTES // KIB} KiB",
        "given to the language model; an agent that follows rules ignores them (note `instructions_not_followed`)",
    ),
    "tools": (
        f"up to {bounds.MAX_TOOLS} functions `{{type, name, description, parameters}}`, "
        f"{bounds.MAX_TOOLS_BYTES // KIB} KiB in all",
        "replaces the list. MCP tools are left out (note `mcp_not_served`); an agent that follows rules calls none "
        "of them, but the delivery agent `hang_up` and `transfer_call` (note `tools_not_used`). `strict` is ignored",
    ),
    "tool_choice": ('`auto`, `none`, `required` or `{"type": "function", "name": …}`', "passed to the language model"),
    "max_output_tokens": (f"1 to {checks.MAX_OUTPUT_TOKENS}, or `inf`", "of one response, tool calls included"),
    "tracing": (
        "`auto`, an object, or null",
        "kept and shown, without effect (note `no_effect`); can't be changed once it is on",
    ),
    "truncation": (
        '`auto`, `disabled` or `{"type": "retention_ratio", "retention_ratio": 0 to 1, "token_limits": '
        '{"post_instructions": …}}`',
        "which turns leave the prompt when the conversation is too long: [language "
        "models](../language-models.md#long-conversations)",
    ),
    "prompt": (
        f"`{{id, version, variables}}` or null, up to {bounds.MAX_PROMPT_BYTES // KIB} KiB",
        "kept and shown, without effect (note `no_effect`)",
    ),
    "include": (
        f"`[{checks.LOGPROBS!r}]` or null".replace("'", '"'),
        "kept and shown, without effect (note `no_effect`)",
    ),
    "audio.input.format": (
        f'`{{"type": "audio/pcm", "rate": …}}` with {RATES}; `{{"type": "audio/pcmu"}}`, `{{"type": "audio/pcma"}}` at 8000',
        "of the caller's audio: mono; PCM is 16 bits, little-endian. 8000 and 16000 are an extension",
    ),
    "audio.input.transcription": (
        "null, or `{model, language, prompt}`",
        "with null the client gets no transcripts; a transcription session begins with "
        '`{"model": "default"}` instead; '
        "the server recognises speech all the same. `model` is kept and "
        "shown, without "
        "effect. `language` is an ISO-639-1 code (note `language_not_known`). `prompt`: words to expect, used by "
        "`faster-whisper` "
        "alone (else note `no_effect`). `delay`, `keywords` and `languages` are ignored",
    ),
    "audio.input.noise_reduction": (
        "null, or `near_field`, `far_field` as `type`, with `strength` 0 to 1",
        "kept and shown, without effect (note `no_effect`)",
    ),
    VAD: (
        "null, `server_vad` or `semantic_vad` as `type`",
        "null: the client commits its turns. With `type` the object replaces the setting, without it changes the "
        "present one. A key "
        "of the other type is refused",
    ),
    f"{VAD}.type": (
        "`server_vad`, `semantic_vad`",
        "a fixed silence, or one that depends on how finished the sentence sounds",
    ),
    f"{VAD}.threshold": ("0 to 1", "`server_vad`: from which probability a sound counts as speech"),
    f"{VAD}.prefix_padding_ms": (
        f"0 to {ac.LONGEST_PADDING_MS}",
        "`server_vad`: audio before the onset that belongs to the turn",
    ),
    f"{VAD}.silence_duration_ms": (f"0 to {ac.LONGEST_SILENCE_MS}", "`server_vad`: silence that ends the turn"),
    f"{VAD}.idle_timeout_ms": (
        f"{IDLE_LOW} to {IDLE_HIGH}, or null",
        "`server_vad`: the agent speaks again after so long without speech",
    ),
    f"{VAD}.eagerness": (
        "`low`, `medium`, `high`, `auto`",
        f"`semantic_vad`: the longest wait after an unfinished sentence is {CAPS} s",
    ),
    f"{VAD}.create_response": ("boolean", "whether the end of a turn starts a response"),
    f"{VAD}.interrupt_response": ("boolean", "whether speech stops a running response"),
    "audio.output.format": ("as `audio.input.format`", "of the agent's audio"),
    "audio.output.voice": (
        "a name of `GET /v1/voices`, or `{id}`",
        "one that is not installed is refused with the list. Fixed once the agent has spoken (`cannot_update_voice`)",
    ),
    "audio.output.speed": (f"{LOW} to {HIGH}", "can't be changed while a response is active"),
}
IGNORED = ("temperature", "reasoning", "parallel_tool_calls")
READ_ONLY = ("client_secret", "degraded", "notes")
BETA = (
    "modalities",
    "max_response_output_tokens",
    "input_audio_format",
    "input_audio_transcription",
    "input_audio_noise_reduction",
    "turn_detection",
    "output_audio_format",
    "voice",
    "speed",
)
WHOLE = ("audio.input.format", "audio.output.format")  # described in one row


def page() -> str:
    """The page. Raises ValueError when the session and the table differ."""
    config = SessionConfig()
    shown = session_to_wire(config)
    semantic = SessionConfig(turn_detection=ac.TurnDetection(type="semantic_vad"))
    defaults = dict(_leaves(session_to_wire(semantic))) | dict(_leaves(shown))
    wanted = (set(defaults) | {VAD}) - {"audio.input.format.type"}
    if wanted != set(FIELDS):
        raise ValueError(f"out of date: {wanted ^ set(FIELDS)}")
    if not set(IGNORED) <= set(session_support.WITHOUT_EFFECT):
        raise ValueError("a field that is called ignored has an effect")
    agents = {"id", "model", "expires_at", "instructions"}
    rows = [
        (code(path), values, "" if path in agents or path == VAD else _shown(defaults[path]), does)
        for path, (values, does) in FIELDS.items()
    ]
    lines = head(
        "Session fields",
        "`wire/session_config.py`",
        "The `session` of `session.update`, `session.created` and `session.updated`. An update is applied as a whole "
        "or not at all; "
        "what it does not name stays. A field that does not exist is refused with `unknown_parameter`.",
        "Defaults are the protocol's; the [file of the agent](agent-files.md) sets `instructions`, `voice`, `speed` and "
        "`turn_detection` before the client sees the session. `null` clears `tracing`, `prompt`, `include`, `transcription`, "
        "`noise_reduction` and `turn_detection`; elsewhere it means absent.",
    )
    lines += table(("field", "values", "default", "what the server does"), rows)
    lines += [
        "",
        f"Accepted and ignored: {', '.join(map(code, IGNORED))} (note `no_effect`), {', '.join(map(code, READ_ONLY))}.",
    ]
    lines += section(
        "A whole session",
        "As `session.created` shows it before the agent's file is applied. A transcription session has `type`, `object` "
        "(`realtime.transcription_session`), `id`, `expires_at`, `include` and `audio.input` alone; it creates no responses.",
    )
    lines += as_json(shown)
    lines += section(
        "Notes",
        "What a client sets and does not get is named in `notes`, beside the settings: a list of `{code, message, "
        "param}`. A note "
        "stays until the field is set again; without notes the key is left out. Stock clients ignore it.",
    )
    lines += table(("code", "meaning"), [(code(name), meaning) for name, meaning in NOTES.items()])
    lines += section(
        "The beta's spelling",
        "Flat fields of the retired beta mean the same; where both are given, the present one wins.",
    )
    lines += table(("beta", "present"), [(code(name), code(_moved(name))) for name in BETA])
    return text_of(lines)


def _leaves(value: dict[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Each field that is not itself divided, by its path."""
    for key, field in value.items():
        here = f"{path}{key}"
        if isinstance(field, dict) and here not in WHOLE:
            yield from _leaves(field, f"{here}.")
        else:
            yield here, field


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return code("{" + ", ".join(f'"{key}": {_text(each)}' for key, each in value.items()) + "}")
    return code(_text(value))


def _text(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case list():
            return "[" + ", ".join(map(_text, value)) + "]"
        case str():
            return f'"{value}"'
        case _:
            return str(value)


def _moved(name: str) -> str:
    """Where a field of the beta is now."""
    body = legacy.session_to_ga({name: True})
    if name in body:
        raise ValueError(f"{name} is no field of the beta")
    path = []
    while isinstance(body, dict):
        ((key, body),) = body.items()
        path.append(key)
    return ".".join(path)
