"""From the segments of a message to audio that leaves in order, each segment's text just before its audio."""

from agentvoicebox.engine.effects import SendAudio
from agentvoicebox.engine.outputs import emit, part_ids, send, update_entry
from agentvoicebox.engine.playout import samples_ms
from agentvoicebox.engine.response import LiveResponse, Message
from agentvoicebox.engine.segment_queue import OPEN_JOBS, Chunk, Segment, SegmentEvent, SegmentPhase
from agentvoicebox.engine.state import State
from agentvoicebox.engine.step import Step
from agentvoicebox.wire import server_events as ev


def add_segments(state: State, step: Step, response: LiveResponse, texts: list[str]) -> None:
    """Append segments to what the response says."""
    response.segment_queue.add(texts)
    open_synthesis(state, step, response)


def open_synthesis(state: State, step: Step, response: LiveResponse) -> None:
    """Open the synthesis jobs that credits allow. A provisional response only gets its first segment ready."""
    response.segment_queue.open_due(
        step,
        response.id,
        response.config.voice,
        response.config.speed,
        ahead_ms=state.playout.remaining_ms(step.now_s),
        limit=1 if response.is_provisional else OPEN_JOBS,
    )


def chunk_ready(state: State, step: Step, response: LiveResponse, segment: Segment, chunk: Chunk) -> None:
    """A chunk of audio: send it when the segments before it are sent, else let it wait."""
    segment.waiting.append(chunk)
    _send_waiting(state, step, response)


def segment_synthesised(state: State, step: Step, response: LiveResponse, segment: Segment) -> None:
    """A segment is synthesised to its end, or can't be: then only its text is sent."""
    if segment.waiting and segment.phase is SegmentPhase.SENDING:
        segment.is_complete = True
    else:
        segment.apply(SegmentEvent.JOB_ENDED)
    _send_waiting(state, step, response)
    open_synthesis(state, step, response)


def release_audio(state: State, step: Step, response: LiveResponse) -> None:
    """The caller does not interrupt: send what waited for that."""
    if response.message is not None and response.has_audio:
        _send_waiting(state, step, response)
        open_synthesis(state, step, response)


def _send_waiting(state: State, step: Step, response: LiveResponse) -> None:
    message = response.message
    assert message is not None
    if state.buffer.suspect is not None and response.is_default:
        return
    while (segment := response.segment_queue.current) is not None:
        is_synthesised = segment.phase is SegmentPhase.SYNTHESISED
        if is_synthesised or (segment.phase is SegmentPhase.SYNTHESISING and segment.waiting):
            _send_text(step, response, message, segment)
        for chunk in segment.waiting:
            _send_chunk(state, step, response, message, segment, chunk)
        segment.waiting = []
        if segment.is_complete:
            segment.apply(SegmentEvent.JOB_ENDED)
        elif not is_synthesised:
            break
    update_entry(state, response, message, "in_progress")


def _send_text(step: Step, response: LiveResponse, message: Message, segment: Segment) -> None:
    """Send a segment's text just before its audio, so that the transcript never runs ahead of the voice."""
    segment.apply(SegmentEvent.TEXT_SENT)
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
        count_sent(state, step, chunk.sample_count)
    emit(
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


def count_sent(state: State, step: Step, sample_count: int) -> None:
    """Audio left for the caller: the play cursor's end moves on."""
    state.playout.sent(step.now_s, samples_ms(sample_count))
    state.has_sent_audio = True
