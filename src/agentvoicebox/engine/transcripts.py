"""What the recogniser says of a turn: text up to a pause, the transcript of a committed turn, or that it gave up."""

from agentvoicebox.audio.rates import INPUT_RATE_HZ
from agentvoicebox.engine import answering, speculation
from agentvoicebox.engine.conversation import Entry, with_transcript
from agentvoicebox.engine.inputs import Transcribed
from agentvoicebox.engine.outputs import record_item
from agentvoicebox.engine.state import State
from agentvoicebox.engine.step import Step
from agentvoicebox.engine.turn import Turn, TurnEvent
from agentvoicebox.wire import server_events as ev
from agentvoicebox.wire.items import InputAudio, MessageItem


def transcript_received(state: State, step: Step, fact: Transcribed) -> None:
    """The recogniser sent text: of a committed turn, or of the open one up to its pause."""
    committed = state.buffer.owed.get(fact.job_id)
    if committed is not None:
        if fact.is_final:
            del state.buffer.owed[fact.job_id]
            set_transcript(state, step, committed, fact.text)
        return
    turn = next((t for t in (state.buffer.turn, state.buffer.suspect) if t and t.job_id == fact.job_id), None)
    if turn is None:
        return
    turn.text, turn.text_end_sample = fact.text, fact.speech_end_sample
    if turn.pause_sample == fact.speech_end_sample and fact.text:
        speculation.begin(state, step, turn, fact.text)


def set_transcript(state: State, step: Step, turn: Turn, text: str) -> None:
    """A committed turn has its transcript: send it to a client that asked for it, and go on with what waited."""
    turn.apply(TurnEvent.TRANSCRIBED)
    entry = state.find_entry(turn.item_id)
    if entry is not None:
        entry.transcript = text
        assert isinstance(entry.item, MessageItem)
        if entry.audio_ms is None:
            entry.item = MessageItem(id=turn.item_id, role="user", content=(InputAudio(transcript=text),))
        else:
            entry.item = with_transcript(entry.item, text)
        if state.conversation.find(turn.item_id) is not None:
            step.emit(record_item(entry))
            _send_transcript(state, step, entry, text)
    _start_waiting_generations(state, step)


def _send_transcript(state: State, step: Step, entry: Entry, text: str) -> None:
    if state.config.transcription is None:
        return
    if text:
        delta = ev.ConversationItemInputAudioTranscriptionDelta(
            event_id=step.event_id(), item_id=entry.item.id, content_index=0, delta=text
        )
        step.send(delta)
    seconds = (entry.end_sample - entry.start_sample) / INPUT_RATE_HZ
    if entry.audio_ms is not None:
        seconds = entry.audio_ms / 1000
    completed = ev.ConversationItemInputAudioTranscriptionCompleted(
        event_id=step.event_id(),
        item_id=entry.item.id,
        content_index=0,
        transcript=text,
        usage=ev.DurationUsage(seconds=seconds),
    )
    step.send(completed)


def transcription_failed(state: State, step: Step, job_id: str, code: str, message: str) -> None:
    """The recogniser gave up on a turn: its item stays without text, and the call goes on."""
    turn = next((t for t in (state.buffer.turn, state.buffer.suspect) if t and t.job_id == job_id), None)
    if turn is not None:
        turn.apply(TurnEvent.RECOGNISER_FAILED)
        turn.failure = (code, message)  # still open: its item will come, without a transcript
        return
    committed = state.buffer.owed.pop(job_id, None)
    if committed is not None:
        fail_transcript(state, step, committed, code, message)


def fail_transcript(state: State, step: Step, turn: Turn, code: str, message: str) -> None:
    """A committed turn gets no transcript: its item stays empty, and what waited goes on."""
    turn.apply(TurnEvent.RECOGNISER_FAILED)
    entry = state.find_entry(turn.item_id)
    if entry is not None:
        entry.transcript, entry.failure = "", (code, message)
        is_known = state.conversation.find(turn.item_id) is not None
        if is_known and state.config.transcription is not None:
            failed = ev.ConversationItemInputAudioTranscriptionFailed(
                event_id=step.event_id(),
                item_id=turn.item_id,
                content_index=0,
                error=ev.TranscriptionError(type="transcription_error", code=code, message=message),
            )
            step.send(failed)
    _start_waiting_generations(state, step)


def _start_waiting_generations(state: State, step: Step) -> None:
    for response in list(state.responses.values()):
        answering.generate_when_ready(state, step, response)
