"""From the caller's audio to an item with a transcript: user turns are opened, probed and committed, and start responses.

Speculation: on the first silence the recogniser is asked for the text so far; on its text a provisional response begins. The
end of the turn makes it certain, resumed speech drops it.
"""

import msgspec

from agentvoicebox.audio.rates import INPUT_RATE_HZ
from agentvoicebox.engine import answering, rules, speculation, transcripts
from agentvoicebox.engine.conversation import Entry
from agentvoicebox.engine.effects import CancelJob, DropAudio, EndUtterance, OpenJob, ProbeUtterance
from agentvoicebox.engine.inputs import (
    AudioArrived,
    ItemAudio,
    SpeechIgnored,
    SpeechPaused,
    SpeechStarted,
    SpeechStopped,
    SpeechSuspected,
)
from agentvoicebox.engine.jobs import Transcribe
from agentvoicebox.engine.outputs import record_item
from agentvoicebox.engine.response import Interruption, ResponsePhase
from agentvoicebox.engine.state import State
from agentvoicebox.engine.step import Step
from agentvoicebox.engine.turn import Turn, TurnEvent, TurnPhase
from agentvoicebox.errors import BufferTooSmall
from agentvoicebox.wire import server_events as ev
from agentvoicebox.wire.items import InputAudio, MessageItem

MIN_COMMIT_MS = 100  # OpenAI refuses less


def milliseconds(sample: int) -> int:
    """An input position in whole milliseconds."""
    return sample * 1000 // INPUT_RATE_HZ


# -- facts of the detector -------------------------------------------------------------------------------------------


def audio_arrived(state: State, step: Step, fact: AudioArrived) -> None:
    """The first audio of a manual buffer: open a turn, so that a recogniser follows."""
    is_stale = fact.start_sample < state.buffer.start_sample  # of a buffer that was committed or cleared meanwhile
    if state.buffer.turn is None and state.config.turn_detection is None and not is_stale:
        _open_turn(state, step, fact.start_sample, is_manual=True)


def speech_suspected(state: State, step: Step, fact: SpeechSuspected) -> None:
    """A voice over the agent's: the answer's audio waits, and a recogniser follows. The client knows nothing of it."""
    buffer = state.buffer
    if state.config.turn_detection is not None and buffer.turn is None and buffer.suspect is None:
        suspect = _new_turn(state, step, max(fact.start_sample, buffer.start_sample), TurnPhase.SPEAKING)
        suspect.was_suspect = True
        buffer.suspect = suspect


def speech_ignored(state: State, step: Step, fact: SpeechIgnored) -> None:
    """It was nothing: the answer goes on as if it had not been."""
    if state.buffer.suspect is None:
        return
    state.buffer.start_sample = max(state.buffer.start_sample, fact.end_sample)
    step.emit(DropAudio(fact.end_sample))
    drop_suspicion(state, step)


def drop_suspicion(state: State, step: Step) -> None:
    """Discard the suspected turn, if any, and send the audio that waited."""
    suspect, state.buffer.suspect = state.buffer.suspect, None
    if suspect is None:
        return
    suspect.apply(TurnEvent.DISCARDED)
    if suspect.failure is None:
        step.emit(CancelJob(suspect.job_id))
    answering.release_audio(state, step)


def speech_started(state: State, step: Step, fact: SpeechStarted) -> None:
    """The caller speaks: open a turn, notify the client, interrupt the response."""
    detection = state.config.turn_detection
    if detection is None or state.buffer.turn is not None:
        return
    suspect, state.buffer.suspect = state.buffer.suspect, None
    if suspect is None:
        turn = _open_turn(state, step, max(fact.start_sample, state.buffer.start_sample))
    else:
        turn = state.buffer.turn = suspect
    start_sample = turn.start_sample
    state.idle_at_s = None
    started = ev.InputAudioBufferSpeechStarted(
        event_id=step.event_id(), audio_start_ms=milliseconds(start_sample), item_id=turn.item_id
    )
    step.send(started)
    if detection.interrupt_response:
        interrupt(state, step)
    if suspect is not None:
        answering.release_audio(state, step)  # of an answer that may not be interrupted any more


def interrupt(state: State, step: Step) -> None:
    """Barge-in: record what was played, then end the response. What was cut is kept until it is known that words were said."""
    active = state.active
    if active is not None and state.says_notice(active):
        return  # it is said to its end
    cut_ids = _record_played(state, step)
    if active is None:
        state.interruption = Interruption(cut_ids) if cut_ids else None
        return
    if active.phase is ResponsePhase.WAITING:  # itself an answer to something that may have been a cough
        asks_again = Interruption(is_unwritten=True) if active.turn_item_id is None else None
        state.interruption = active.interruption or asks_again
    else:
        is_unwritten = active.phase is not ResponsePhase.SPEAKING or active.failure is not None
        cut = Interruption(cut_ids, active.unsent_text(), is_unwritten)
        state.interruption = None if cut == Interruption() else cut
    answering.end(state, step, active, "cancelled", "turn_detected")


def _record_played(state: State, step: Step) -> tuple[str, ...]:
    """Audio that is still queued at the client will not be played; the queue may span several items. Returns those, in order."""
    unplayed_ms = state.playout.remaining_ms(step.now_s)
    state.playout.stop(step.now_s)
    cut_ids: list[str] = []
    for entry in reversed(state.conversation.entries):
        if unplayed_ms <= 0:
            break
        if entry.sent_ms > 0:
            played_ms = max(0.0, entry.sent_ms - unplayed_ms)
            unplayed_ms -= entry.sent_ms
            cut_ids.append(entry.item.id)
            if not entry.is_truncated:
                entry.played_ms = played_ms
                step.emit(record_item(entry))
    return tuple(reversed(cut_ids))


def speech_paused(state: State, step: Step, fact: SpeechPaused) -> None:
    """The turn may be over: ask the recogniser for the text so far."""
    turn = state.buffer.turn
    if turn is None or turn.is_manual:
        return
    turn.apply(TurnEvent.PAUSED)
    if turn.failure is None:
        turn.pause_sample = fact.speech_end_sample
        if turn.was_suspect and turn.text is not None and turn.text_end_sample == fact.speech_end_sample:
            speculation.begin(state, step, turn, turn.text)
        else:
            step.emit(ProbeUtterance(turn.job_id, fact.speech_end_sample))


def speech_resumed(state: State, step: Step) -> None:
    """The turn was not over: drop what was begun on the pause."""
    turn = state.buffer.turn
    if turn is not None and not turn.is_manual:
        turn.apply(TurnEvent.RESUMED)
        turn.pause_sample = None
        speculation.drop(state, step)


def speech_stopped(state: State, step: Step, fact: SpeechStopped) -> None:
    """The turn is over: commit it and answer."""
    turn, detection = state.buffer.turn, state.config.turn_detection
    if turn is None or turn.is_manual or detection is None:
        return
    end_sample = max(fact.end_sample, turn.start_sample)
    stopped = ev.InputAudioBufferSpeechStopped(
        event_id=step.event_id(), audio_end_ms=milliseconds(end_sample), item_id=turn.item_id
    )
    step.send(stopped)
    provisional = speculation.provisional_response(state)
    is_due = state.config.type == "realtime" and detection.create_response
    if is_due and state.rules > rules.FIRST:
        state.unanswered.append(turn.item_id)  # before the commit: a response that waits may read it at once
    _commit_turn(state, step, turn, end_sample, fact.speech_end_sample)
    step.emit(DropAudio(end_sample))
    if provisional is not None:
        answering.release(state, step, provisional)
    elif (
        is_due and state.active is None and not state.is_notice_due
    ):  # else after it; one that still waits for words reads this turn's as well
        answering.start(state, step, state.config, turn_item_id=turn.item_id)


# -- commits ---------------------------------------------------------------------------------------------------------


def commit(state: State, step: Step, at_sample: int) -> None:
    """The client commits what it has sent. Raises BufferTooSmall below 100 ms."""
    length_ms = milliseconds(at_sample - state.buffer.start_sample)
    if length_ms < MIN_COMMIT_MS:
        raise BufferTooSmall(
            f"Error committing input audio buffer: buffer too small. Expected at least {MIN_COMMIT_MS}ms of audio, "
            f"but buffer only has {length_ms}.00ms of audio."
        )
    speculation.drop(state, step)
    drop_suspicion(state, step)
    turn = state.buffer.turn or _open_turn(state, step, state.buffer.start_sample, is_manual=True)
    _commit_turn(state, step, turn, at_sample, at_sample)
    step.emit(DropAudio(at_sample, resets_turn=True))
    answering.answer_waiting_turn(state, step)


def clear(state: State, step: Step, at_sample: int) -> None:
    """The client clears its uncommitted audio."""
    discard_turn(state, step)
    state.buffer.start_sample = at_sample
    step.emit(DropAudio(at_sample, resets_turn=True))
    step.send(ev.InputAudioBufferCleared(event_id=step.event_id()))


def discard_turn(state: State, step: Step) -> None:
    """Discard the open turn, or one that is suspected; its audio stays in the buffer."""
    speculation.drop(state, step)
    drop_suspicion(state, step)
    turn, state.buffer.turn = state.buffer.turn, None
    if turn is None:
        return
    turn.apply(TurnEvent.DISCARDED)
    state.interruption = None
    if turn.failure is None:
        step.emit(CancelJob(turn.job_id))
    answering.answer_waiting_turn(state, step)


def idle_timeout(state: State, step: Step, at_sample: int) -> None:
    """The caller was silent for the idle timeout: commit the silence and start a response."""
    state.idle_at_s = None
    is_open = state.buffer.turn is not None or state.buffer.suspect is not None
    if is_open or state.active is not None or state.is_notice_due:
        return
    item_id = step.ids.next("item")
    start_sample, end_sample = state.buffer.start_sample, max(at_sample, state.buffer.start_sample)
    triggered = ev.InputAudioBufferTimeoutTriggered(
        event_id=step.event_id(),
        audio_start_ms=milliseconds(start_sample),
        audio_end_ms=milliseconds(end_sample),
        item_id=item_id,
    )
    step.send(triggered)
    _add_audio_item(state, step, item_id, start_sample, end_sample, transcript="")
    state.buffer.start_sample = end_sample
    step.emit(DropAudio(end_sample))
    answering.start(state, step, state.config)


def hear_item(state: State, step: Step, entry: Entry, audio: ItemAudio) -> None:
    """Have the audio that came with an item transcribed: its item waits for the text like one of the microphone."""
    turn = Turn(entry.item.id, step.ids.next("job"), 0, TurnPhase.AWAITING_TRANSCRIPT)
    entry.transcript, entry.end_sample = None, 0
    entry.audio_ms = milliseconds(audio.sample_count)
    state.buffer.owed[turn.job_id] = turn
    request = msgspec.structs.replace(_transcribe(state, entry.item.id, 0), item_audio_id=audio.id)
    step.emit(OpenJob(turn.job_id, request))


def _transcribe(state: State, item_id: str, start_sample: int) -> Transcribe:
    wanted = state.config.transcription
    return Transcribe(
        item_id=item_id,
        start_sample=start_sample,
        language=wanted.language if wanted else None,
        prompt=wanted.prompt if wanted else None,
    )


def _open_turn(state: State, step: Step, start_sample: int, *, is_manual: bool = False) -> Turn:
    turn = _new_turn(state, step, start_sample, TurnPhase.MANUAL if is_manual else TurnPhase.SPEAKING)
    state.buffer.turn = turn
    return turn


def _new_turn(state: State, step: Step, start_sample: int, phase: TurnPhase) -> Turn:
    turn = Turn(step.ids.next("item"), step.ids.next("job"), start_sample, phase)
    step.emit(OpenJob(turn.job_id, _transcribe(state, turn.item_id, start_sample)))
    return turn


def _commit_turn(state: State, step: Step, turn: Turn, end_sample: int, speech_end_sample: int) -> None:
    buffer = state.buffer
    turn.apply(TurnEvent.COMMITTED)
    if turn.failure is None:
        step.emit(EndUtterance(turn.job_id, end_sample, speech_end_sample))
    provisional = state.conversation.find(turn.item_id)
    if provisional is not None:
        state.conversation.remove(provisional)
    is_known = turn.text is not None and turn.text_end_sample == speech_end_sample
    follower = next((e for e in state.conversation.entries if e.is_provisional), None)
    _add_audio_item(state, step, turn.item_id, turn.start_sample, end_sample, None, before=follower)
    buffer.start_sample = end_sample
    buffer.turn = None
    if turn.failure is not None:
        transcripts.fail_transcript(state, step, turn, *turn.failure)
    elif is_known and turn.text is not None:
        transcripts.set_transcript(state, step, turn, turn.text)
    else:
        buffer.owed[turn.job_id] = turn


def _add_audio_item(
    state: State,
    step: Step,
    item_id: str,
    start_sample: int,
    end_sample: int,
    transcript: str | None,
    *,
    before: Entry | None = None,
) -> None:
    """Send committed, added and done, in this order, before the transcript is known."""
    item = MessageItem(id=item_id, role="user", content=(InputAudio(transcript=transcript),))
    entry = Entry(item, transcript=transcript, start_sample=start_sample, end_sample=end_sample)
    if before is None:
        state.conversation.add(entry)
    else:
        state.conversation.entries.insert(state.conversation.entries.index(before), entry)
    previous = state.conversation.previous_id(entry)
    step.send(ev.InputAudioBufferCommitted(event_id=step.event_id(), previous_item_id=previous, item_id=item_id))
    step.send(ev.ConversationItemAdded(event_id=step.event_id(), previous_item_id=previous, item=item))
    step.send(ev.ConversationItemDone(event_id=step.event_id(), previous_item_id=previous, item=item))
    step.emit(record_item(entry))
