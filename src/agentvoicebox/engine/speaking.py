"""From the segments of a message to audio that leaves in order, each segment's words just before its sound."""

from agentvoicebox.engine.effects import SendAudio
from agentvoicebox.engine.outputs import out, part_ids, send, update_entry
from agentvoicebox.engine.playout import samples_ms
from agentvoicebox.engine.response import LiveResponse, Message
from agentvoicebox.engine.speech import OPEN_JOBS, Chunk, Segment
from agentvoicebox.engine.state import State
from agentvoicebox.engine.step import Step
from agentvoicebox.wire import server_events as ev


def speak(state: State, step: Step, response: LiveResponse, texts: list[str]) -> None:
    """Further segments to say."""
    response.speech.add(texts)
    open_speech(state, step, response)


def open_speech(state: State, step: Step, response: LiveResponse) -> None:
    """Open the synthesis jobs that credits allow. A provisional response only gets its first segment ready."""
    response.speech.open_due(
        step,
        response.id,
        response.config.voice,
        response.config.speed,
        ahead_ms=state.playout.remaining_ms(step.now_s),
        limit=1 if response.is_provisional else OPEN_JOBS,
    )


def chunk_ready(state: State, step: Step, response: LiveResponse, segment: Segment, chunk: Chunk) -> None:
    """A chunk of audio: send it if its segment's turn has come, else let it wait."""
    segment.waiting.append(chunk)
    _send_waiting(state, step, response)


def segment_done(state: State, step: Step, response: LiveResponse, segment: Segment) -> None:
    """A segment is synthesised to its end (or can't be: then only its words are sent)."""
    segment.is_synthesised = True
    _send_waiting(state, step, response)
    open_speech(state, step, response)


def _send_waiting(state: State, step: Step, response: LiveResponse) -> None:
    speech, message = response.speech, response.message
    assert message is not None
    while speech.current < len(speech.segments):
        segment = speech.segments[speech.current]
        if segment.waiting or segment.is_synthesised:
            _announce(step, response, message, segment)
        for chunk in segment.waiting:
            _send_chunk(state, step, response, message, segment, chunk)
        segment.waiting = []
        if not segment.is_synthesised:
            break
        speech.current += 1
    update_entry(state, response, message, "in_progress")


def _announce(step: Step, response: LiveResponse, message: Message, segment: Segment) -> None:
    """Send a segment's words just before its sound, so that the transcript never runs ahead of the voice."""
    if segment.is_announced:
        return
    segment.is_announced = True
    segment.start_ms = message.sent_ms
    delta = segment.text if not message.text else f" {segment.text}"
    message.text += delta
    send(response, step, ev.ResponseOutputAudioTranscriptDelta(**part_ids(step, response, message), delta=delta))


def _send_chunk(
    state: State, step: Step, response: LiveResponse, message: Message, segment: Segment, chunk: Chunk
) -> None:
    segment.sent_samples += chunk.sample_count
    message.sent_samples += chunk.sample_count
    if not response.is_provisional:
        note_played(state, step, chunk.sample_count)
    out(
        response,
        step,
        SendAudio(
            event_id=step.event_id(),
            response_id=response.id,
            item_id=message.item_id,
            output_index=message.output_index,
            content_index=0,
            job_id=chunk.job_id,
            sequence=chunk.sequence,
            format=response.config.output_format,
        ),
    )


def note_played(state: State, step: Step, sample_count: int) -> None:
    """Audio left for the caller."""
    state.playout.sent(step.now_s, samples_ms(sample_count))
    state.has_spoken = True
