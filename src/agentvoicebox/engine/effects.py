"""Effects: what the engine asks the gateway to do, in order. Results come back as inputs only."""

import msgspec

from agentvoicebox.engine.jobs import JobRequest
from agentvoicebox.wire.server_events import ConversationItemRetrieved, ServerEvent
from agentvoicebox.wire.session_config import AudioFormat, TurnDetection


class Send(msgspec.Struct, frozen=True, tag="send"):
    """Send one event to the client."""

    event: ServerEvent


class SendAudio(msgspec.Struct, frozen=True, tag="send_audio"):
    """Send the chunk (job_id, sequence) as one or more `response.output_audio.delta` events, then forget it.

    Attributes:
        event_id: id of the first delta; further ones append `_2`, `_3`, …
        format: the response's output format; the chunk itself is 24 kHz int16.
    """

    event_id: str
    response_id: str
    item_id: str
    output_index: int
    content_index: int
    job_id: str
    sequence: int
    format: AudioFormat


class SendRetrieved(msgspec.Struct, frozen=True, tag="send_retrieved"):
    """Send an item with the caller's audio between two input positions, as far as it is still kept, in this format."""

    event: ConversationItemRetrieved
    start_sample: int
    end_sample: int
    format: AudioFormat


class OpenJob(msgspec.Struct, frozen=True, tag="open_job"):
    """Hand a job to the workers. For Transcribe: from now on caller audio from `start_sample` flows to it."""

    job_id: str
    request: JobRequest


class ProbeUtterance(msgspec.Struct, frozen=True, tag="probe_utterance"):
    """Ask the recogniser for its best text up to `speech_end_sample`, while the turn is still open."""

    job_id: str
    speech_end_sample: int


class EndUtterance(msgspec.Struct, frozen=True, tag="end_utterance"):
    """No more audio for this utterance after `end_sample`; a final text is due."""

    job_id: str
    end_sample: int
    speech_end_sample: int


class CancelJob(msgspec.Struct, frozen=True, tag="cancel_job"):
    """Stop a job. Its results, if any still come, are stale."""

    job_id: str


class SetTurnDetection(msgspec.Struct, frozen=True, tag="set_turn_detection"):
    """Configure the detector. None: manual turns, and a turn in progress is void."""

    turn_detection: TurnDetection | None


class SetInputFormat(msgspec.Struct, frozen=True, tag="set_input_format"):
    """Caller audio comes in this format from now on."""

    format: AudioFormat


class DropAudio(msgspec.Struct, frozen=True, tag="drop_audio"):
    """Audio before this sample is no longer needed (committed or cleared). `resets_turn`: an open turn is void."""

    before_sample: int
    resets_turn: bool = False


class Persist(msgspec.Struct, frozen=True, tag="persist"):
    """Record an item or a session fact, idempotent by `record_id`.

    Attributes:
        kind: `item`, `item_deleted`, `response`, `session_opened`, `session_closed`.
        body: JSON-able.
    """

    record_id: str
    kind: str
    body: dict[str, object]


class Close(msgspec.Struct, frozen=True, tag="close"):
    """Close the socket after everything before was sent. Always the last effect."""

    code: int
    reason: str


Effect = (
    Send
    | SendAudio
    | SendRetrieved
    | OpenJob
    | ProbeUtterance
    | EndUtterance
    | CancelJob
    | SetTurnDetection
    | SetInputFormat
    | DropAudio
    | Persist
    | Close
)
