"""`docs/reference/extensions.md`: what this server has beyond OpenAI's protocol."""

from collections.abc import Iterator
from typing import Any

from agentvoicebox.gateway.admission.secret_bodies import MAX_SESSIONS
from agentvoicebox.gateway.admission.service_health import Mode
from agentvoicebox.tenancy.client_secrets import LEAST_S, MOST_S, MOST_SESSIONS, USUAL_S
from agentvoicebox.wire import audio_config as ac
from agentvoicebox.wire.server_events import SessionResumed
from tests.kit.reference.example_trace import example_trace
from tests.kit.reference.markdown import as_json, code, head, section, table, text_of
from tests.kit.reference.shapes import server_fields

QUERY = {
    "model": "name of the agent; OpenAI's model names mean the default agent",
    "intent": "`transcription` opens a session that only transcribes",
    "trace": "`1`: the client gets `agentvoicebox.turn`",
    "resume": "`1`: the session waits for this client when its connection breaks ([resuming](../resume.md))",
    "session_id": "the session to resume; no `model` is needed",
    "last_event_id": "id of the last event that was received, those of type `agentvoicebox.…` not counted",
    "audio_from_ms": "the first audio that the client can send again, in ms since its first sample",
    "audio_until_ms": "the end of that audio",
    "resume_token": "of a browser that resumes",
}
TRACE = {
    "phase": "`first_output`: sent after the first output; `done`: the same again when the response has ended, with `jobs`",
    "response_id": "id of the response",
    "item_id": "id of the caller's item; null when the client or a timer started the response",
    "t0_s": "unix seconds of the caller's last voiced sample; all times below are ms after it",
    "speech_end_ms": "where the caller's speech ended, in ms of the audio that was appended; null for other turns",
    "votes_ms.words": "with `semantic_vad`: how much silence the words asked for; the longest vote decided. `model` is an "
    "end-of-turn model's, `rhythm` that of the caller's own pauses; `answer` is how much silence had passed when the first sound "
    "of the answer lay ready, or none could come",
    "total_ms": "the whole wait: the sum of `parts_ms`",
    "parts_ms.endpointing": "until the audio came that decided the end of the turn",
    "parts_ms.socket": "what that audio, or the client's event, waited in the socket until it was read",
    "parts_ms.ingest": "from there to the decision: voice activity, and the event's place in the order of inputs",
    "parts_ms.stt": "recogniser, after the decision",
    "parts_ms.queue": "waiting for a free worker, and transport to it and back",
    "parts_ms.dialogue": "language model",
    "parts_ms.tool": "tools",
    "parts_ms.tts": "speech synthesis",
    "parts_ms.gateway": "from the last result to the bytes on the socket",
    "marks_ms.endpoint_decided": "the end of the turn was decided",
    "marks_ms.words_ready": "the words were there; null: none on this path",
    "marks_ms.text_ready": "the first text of the answer was there; or null",
    "marks_ms.tool_started": "the last tool began; or null",
    "marks_ms.tool_ended": "the last tool ended; or null",
    "marks_ms.first_chunk_published": "the first audio was made; or null",
    "marks_ms.first_output_sent": "it was sent",
    "bars[].part": "a step of the path: one of the parts",
    "bars[].start_ms": "its start; it may lie before the decision",
    "bars[].end_ms": "its end",
    "bars[].job_id": "its job, or null",
    "bars[].is_hidden": "it ended before the decision, so it cost the caller nothing",
    "speculation": "`hit`: the answer was begun in the caller's pause and used; `miss`: begun and dropped; `none`",
    "speculations_dropped": "how many answers were begun and dropped in this turn",
    "done_ms": "`done` only: the response had ended",
    "jobs[].part": "`done` only: a job of the response: its part",
    "jobs[].job_id": "its id",
    "jobs[].opened_ms": "it was submitted",
    "jobs[].claimed_ms": "a worker took it; or null",
    "jobs[].end_ms": "its last result; or null",
}
MODES = {
    Mode.NO_STT: "speech recognition: typed input works",
    Mode.NO_LLM: "the agent's language model: an apology is spoken, the response fails",
    Mode.NO_TTS: "speech synthesis: the words of each answer arrive as transcript",
    Mode.NO_TOOLS: "tools: answers without them",
    Mode.FULL_STORE: "free memory in the store: turns go on, new items and second responses are refused",
    Mode.NO_STORE: "the store: no new calls",
    Mode.NO_RECORDS: "the database: records come later",
}
CLOSES = {
    "1000, 1001": "the call has ended: the client hung up, an hour is over, nothing came for `AVB_IDLE_S`, or the "
    "gateway stops",
    "1008": "a rule was broken, or the account is suspended; don't retry",
    "1012": "the gateway restarts: a client with `resume=1` reconnects at once",
    "1013": "try again in seconds; with the reason `session_taken` another connection has the session",
    "3000": "the key is invalid",
    "4000": "the query is wrong, or the session to resume is gone",
}


def page() -> str:
    """The page. Raises ValueError when the trace or the modes have names without a sentence."""
    trace = example_trace()
    if old := (set(_paths(trace)) ^ set(TRACE)) | (set(Mode) ^ set(MODES)):
        raise ValueError(f"out of date: {old}")
    rates = " and ".join(str(rate) for rate in ac.PCM_RATES_HZ if rate != ac.PCM_RATE_HZ)
    lines = head(
        "Extensions",
        "the code of the wire",
        "What this server has beyond OpenAI's Realtime protocol. A client that asks for none of it sees none of it, "
        "but for additional "
        "keys of the session (`degraded`, `notes`), which stock clients ignore.",
    )
    lines += section("The query of the WebSocket")
    lines += table(("parameter", "meaning"), [(code(name), meaning) for name, meaning in QUERY.items()])
    lines += section(
        "The trace of a turn",
        "With `?trace=1`, each answer brings `agentvoicebox.turn` twice: after its first output, and at its end. The "
        "parts sum to the "
        "wait exactly: they are the critical path from the caller's last voiced sample to the first output of the agent. "
        "`agentvoicebox call` shows it as a table, and `--timeline` draws it.",
        "Only ask for it where unknown events are accepted: strict clients fail on them.",
    )
    lines += table(("field of `turn`", "meaning"), [(code(name), meaning) for name, meaning in TRACE.items()])
    lines += ["", "An example: the words were recognised in the caller's pause, so recognition cost nothing."]
    lines += as_json(trace)
    lines += section(
        "Resuming",
        "With `resume=1` a client keeps its session when the connection breaks or the gateway dies: "
        "[resuming](../resume.md) is the "
        "recipe. The first event of the new connection is `agentvoicebox.resumed`:",
    )
    said = {"session_id": "id of the session"}
    lines += server_fields(SessionResumed, {}, said)
    lines += [
        "",
        "A browser, which connects with a secret, also needs the token that its first `session.created` carries as "
        "`agentvoicebox.resume_token`. It is sent once.",
    ]
    lines += section(
        "Degraded modes",
        "`degraded` in the session lists what does not work at the moment. It comes with `session.updated` when it "
        "changes, and in each "
        "`session.updated` while the list is not empty. The call goes on.",
    )
    lines += table(
        ("mode", "what is missing, and what still works"), [(code(name), text) for name, text in MODES.items()]
    )
    lines += section("Notes", "What a client set and does not get: [session fields](session.md#notes).")
    lines += section(
        "Secrets for browsers",
        f"`POST /v1/realtime/client_secrets` takes `{MAX_SESSIONS}`, 1 to {MOST_SESSIONS} (1 when absent): how many "
        "sessions a secret may "
        f"have open. `expires_after.seconds` is {LEAST_S} to {MOST_S}, {USUAL_S} when absent.",
    )
    lines += section("Audio", f"PCM at {rates} Hz, in and out: `{{\"type\": \"audio/pcm\", \"rate\": 16000}}`.")  # fmt: skip
    lines += section(
        "Records over REST", "`GET /v1/realtime/sessions`, `…/{id}`, `…/{id}/items`, `GET /v1/usage`: [REST](rest.md)."
    )
    lines += section("Close codes")
    lines += table(("code", "meaning"), CLOSES.items())
    return text_of(lines)


def _paths(value: dict[str, Any], before: str = "") -> Iterator[str]:
    """Each field by its path; `[]` stands for an element of a list."""
    for key, field in value.items():
        match field:
            case dict():
                yield from _paths(field, f"{before}{key}.")
            case [dict() as first, *_]:
                yield from _paths(first, f"{before}{key}[].")
            case _:
                yield f"{before}{key}"
