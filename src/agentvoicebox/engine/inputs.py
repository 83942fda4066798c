"""Inputs of the engine: facts that have happened. The session log stores them as they are, for replay.

Three sources: the client (its events), the detector (facts about its audio, from `turns.facts`), and workers (results of jobs).
Audio itself is no input: it is named by absolute 16 kHz sample positions on the way in and by (job, sequence) on the way out.

The tags stand in stored logs. They never change, also where a class has been renamed. A newer field is UNSET where it does not
apply, so that an input without it has the same bytes as before.
"""

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from agentvoicebox.turns.facts import SpeechIgnored as SpeechIgnored
from agentvoicebox.turns.facts import SpeechPaused as SpeechPaused
from agentvoicebox.turns.facts import SpeechResumed as SpeechResumed
from agentvoicebox.turns.facts import SpeechStarted as SpeechStarted
from agentvoicebox.turns.facts import SpeechStopped as SpeechStopped
from agentvoicebox.turns.facts import SpeechSuspected as SpeechSuspected
from agentvoicebox.wire.client_events import ClientEvent
from agentvoicebox.wire.session_config import SessionConfig
from agentvoicebox.wire.session_note import SessionNote


class ServerTool(msgspec.Struct, frozen=True):
    """A tool that the server runs itself. One that only reads may run before the turn is certain."""

    name: str
    description: str
    parameters: dict[str, Any]
    is_read_only: bool = False


class AgentProfile(msgspec.Struct, frozen=True):
    """The agent of a session: the part of its file that the engine needs.

    Attributes:
        answers_noise: a turn in which the recogniser found no words is answered like any other. A rule-based dialogue asks what
            was said; a language model would speak unasked.
        language_model_options: additional keys of each request to the model's server.
        has_recording_notice: nothing is said before `RecordingDecided`.
    """

    name: str
    language_model: str
    server_tools: tuple[ServerTool, ...] = ()
    answers_noise: bool | UnsetType = UNSET  # true, where an older version left it out
    language_model_options: dict[str, Any] | UnsetType = UNSET
    has_recording_notice: bool | UnsetType = UNSET


class Opened(msgspec.Struct, frozen=True, tag="opened", omit_defaults=True):
    """A session began. Always the first input.

    Attributes:
        config: the full session as the agent's file and the client's secret make it; `id` and `expires_at` are set.
        seed: random text from which all ids of this session are made.
        wall_s: wall time at `now`, so that the engine can tell when the session expires.
        rules: see `engine.rules`.
        notes: what of it is not in force.
    """

    config: SessionConfig
    agent: AgentProfile
    seed: str
    wall_s: float
    rules: int | UnsetType = UNSET
    notes: tuple[SessionNote, ...] = ()


class ItemAudio(msgspec.Struct, frozen=True):
    """The audio of one item that a client sent whole. Its bytes are in no input: the gateway has them under `id`.

    Attributes:
        item_index: which item of the event: 0 for the item of `conversation.item.create`, else its place in `response.input`.
        sample_count: 16 kHz samples of all its parts, joined.
    """

    item_index: int
    id: int
    sample_count: int


class ClientEventReceived(msgspec.Struct, frozen=True, tag="client_said", omit_defaults=True):
    """A well-formed client event, any but audio appends.

    Attributes:
        at_sample: the input position (16 kHz samples appended so far) when the event was read.
        item_audio: of the items that came with audio, in the order of the event.
        notes: of the session once the event is applied; None: as before.
    """

    event: ClientEvent
    at_sample: int
    item_audio: tuple[ItemAudio, ...] | UnsetType = UNSET
    notes: tuple[SessionNote, ...] | None = None


class ClientEventRejected(msgspec.Struct, frozen=True, tag="client_erred"):
    """A frame that the codec rejected. The session goes on."""

    message: str
    code: str | None = None
    param: str | None = None
    event_id: str | None = None
    error_type: str = "invalid_request_error"


class AudioArrived(msgspec.Struct, frozen=True, tag="audio_arrived"):
    """The first audio of a manual buffer (turn detection off): after opening, each commit, and each clear."""

    start_sample: int


class Transcribed(msgspec.Struct, frozen=True, tag="heard"):
    """The recogniser's text of an utterance, from its start to `speech_end_sample`.

    Attributes:
        text: the whole text so far, with normalised white space; empty when there was no speech.
        is_final: the worker saw the end mark and this covers it; no further Transcribed follows.
    """

    job_id: str
    text: str
    speech_end_sample: int
    is_final: bool = False


class TextDelta(msgspec.Struct, frozen=True, tag="text_delta"):
    """The language model wrote more text."""

    job_id: str
    text: str


class ToolCallDelta(msgspec.Struct, frozen=True, tag="tool_call_delta"):
    """The language model wrote more of a tool call.

    Attributes:
        index: number of the call within this line, from 0; pieces of several calls may be interleaved.
        name: in the first piece of an index; None in the others.
        arguments: JSON in pieces.
    """

    job_id: str
    index: int
    name: str | None
    arguments: str


class Generated(msgspec.Struct, frozen=True, tag="generated"):
    """The language model finished this line.

    Attributes:
        finish_reason: `stop`, `tool_calls` (each call has a JSON object as its arguments), `length` or `content_filter`. After
            `length`, and after `stop` where a server cut its answer off without saying so, arguments may be incomplete.
        input_tokens, output_tokens: as counted or estimated by the provider.
        left_out: how many messages of the request, from its beginning, were not given to the model, to fit its context;
            UNSET: none.
        without_images: it was given none of the images, because it does not take them; UNSET: it was given all.
    """

    job_id: str
    finish_reason: str = "stop"
    input_tokens: int = 0
    output_tokens: int = 0
    left_out: int | UnsetType = UNSET
    without_images: bool | UnsetType = UNSET


class AudioSynthesised(msgspec.Struct, frozen=True, tag="spoken"):
    """A chunk of synthesised audio is ready under (job_id, sequence).

    Attributes:
        sample_count: 24 kHz samples in the chunk, at least 1.
    """

    job_id: str
    sequence: int
    sample_count: int


class SynthesisDone(msgspec.Struct, frozen=True, tag="speech_done"):
    """The segment is synthesised to its end."""

    job_id: str


class ToolReturned(msgspec.Struct, frozen=True, tag="tool_returned"):
    """A server tool returned. `output` is text, usually compact JSON."""

    job_id: str
    output: str


class JobFailed(msgspec.Struct, frozen=True, tag="job_failed"):
    """A job ended without a result, after every retry."""

    job_id: str
    code: str
    message: str


class TimePassed(msgspec.Struct, frozen=True, tag="time_passed"):
    """The engine's deadline has passed. `at_sample`: the input position at that time."""

    at_sample: int = 0


class Resumed(msgspec.Struct, frozen=True, tag="resumed"):
    """The session has another owner from here on. `seed`: of all later ids, so that they differ from the former owner's."""

    seed: str


class RecordingDecided(msgspec.Struct, frozen=True, tag="recording_decided"):
    """It is known whether the call's audio is stored.

    Attributes:
        notice: the sentence that says so to the caller; empty: it is not stored.
    """

    notice: str


class ModeChanged(msgspec.Struct, frozen=True, tag="mode_changed"):
    """A service that the call needs went down or came back.

    Attributes:
        degraded: which services are down from now on, by the names that clients receive; empty: none.
    """

    degraded: tuple[str, ...] = ()


class Closing(msgspec.Struct, frozen=True, tag="closing"):
    """The session ends: the client left (`client_left`), or the server ends it (`shutdown`, `overloaded`, `protocol`)."""

    reason: str
    code: int = 1000


Input = (
    Opened
    | ClientEventReceived
    | ClientEventRejected
    | AudioArrived
    | SpeechSuspected
    | SpeechIgnored
    | SpeechStarted
    | SpeechPaused
    | SpeechResumed
    | SpeechStopped
    | Transcribed
    | TextDelta
    | ToolCallDelta
    | Generated
    | AudioSynthesised
    | SynthesisDone
    | ToolReturned
    | JobFailed
    | TimePassed
    | Resumed
    | RecordingDecided
    | ModeChanged
    | Closing
)

WorkerInput = (
    Transcribed | TextDelta | ToolCallDelta | Generated | AudioSynthesised | SynthesisDone | ToolReturned | JobFailed
)
