"""The root of the engine: one conversation, from inputs to effects.

Time is session time: seconds on a clock that never runs back and goes on across gateways. Equal inputs at equal times give
equal effects, byte for byte: replay, recovery and the property tests rely on it.
"""

from typing import assert_never

import msgspec

from agentvoicebox.engine import (
    announcing,
    answering,
    listening,
    requests,
    rules,
    session_format,
    speculation,
    synthesis,
    tool_calls,
    transcripts,
)
from agentvoicebox.engine import inputs as i
from agentvoicebox.engine.effects import CancelJob, Close, Effect, Persist, SetInputFormat, SetTurnDetection
from agentvoicebox.engine.segment_queue import AHEAD_MS, Chunk
from agentvoicebox.engine.state import Announcement, State
from agentvoicebox.engine.step import Step
from agentvoicebox.engine.turn import TurnEvent
from agentvoicebox.errors import ClientError
from agentvoicebox.ids import IdSource
from agentvoicebox.wire import server_events as ev
from agentvoicebox.wire.faults import body_of
from agentvoicebox.wire.session_config import session_to_wire

GOING_AWAY = 1001  # the close code of an expired session, as OpenAI sends it


class Engine:
    """A conversation. Made by `open` or `restore`; not for concurrent use."""

    def __init__(self, state: State) -> None:
        self.state = state

    @classmethod
    def open(cls, opened: i.Opened, now_s: float) -> "tuple[Engine, list[Effect]]":
        """Open a session; the first effect sends `session.created`."""
        config = opened.config
        ids = IdSource(opened.seed)
        state = State(
            config=config,
            agent=opened.agent,
            ids=ids,
            conversation_id=ids.next("conv"),
            expires_at_s=now_s + max(0.0, config.expires_at - opened.wall_s),
            rules=rules.FIRST if opened.rules is msgspec.UNSET else opened.rules,
            notes=opened.notes,
        )
        if opened.agent.has_recording_notice is True and config.type == "realtime":
            state.announcement = Announcement()
        step = Step(now_s, ids)
        step.send(ev.SessionCreated(event_id=step.event_id(), session=session_to_wire(config, notes=opened.notes)))
        step.emit(SetInputFormat(config.input_format))
        step.emit(SetTurnDetection(config.turn_detection))
        body: dict[str, object] = {"agent": opened.agent.name, "model": config.model, "opened_s": opened.wall_s}
        step.emit(Persist(record_id=config.id, kind="session_opened", body=body))
        return cls(state), step.effects

    @property
    def is_closed(self) -> bool:
        """Whether the session has ended."""
        return self.state.is_closed

    def receive(self, given: i.Input, now_s: float) -> list[Effect]:
        """Apply an input; returns its effects. After the session closed, there are none.

        Raises:
            IllegalTransition: a bug of the engine.
        """
        state = self.state
        if state.is_closed:
            return []
        step = Step(now_s, state.ids)
        match given:
            case i.ClientEventReceived(at_sample=at_sample):
                state.last_sample = max(state.last_sample, at_sample)
                if announcing.holds_back(state, given.event):
                    state.waiting_request = given
                else:
                    requests.handle(state, step, given)
            case i.ClientEventRejected():
                body = ev.ErrorBody(
                    type=given.error_type,
                    code=given.code,
                    message=given.message,
                    param=given.param,
                    event_id=given.event_id,
                )
                step.send(ev.ErrorEvent(event_id=step.event_id(), error=body))
            case i.AudioArrived():
                listening.audio_arrived(state, step, given)
            case i.SpeechSuspected():
                listening.speech_suspected(state, step, given)
            case i.SpeechIgnored():
                listening.speech_ignored(state, step, given)
            case i.SpeechStarted():
                listening.speech_started(state, step, given)
            case i.SpeechPaused():
                listening.speech_paused(state, step, given)
            case i.SpeechResumed():
                listening.speech_resumed(state, step)
            case i.SpeechStopped():
                listening.speech_stopped(state, step, given)
            case i.Transcribed():
                transcripts.transcript_received(state, step, given)
            case i.TextDelta() | i.ToolCallDelta() | i.Generated():
                self._model_output(step, given)
            case i.AudioSynthesised() | i.SynthesisDone():
                self._synthesis_output(step, given)
            case i.ToolReturned(job_id=job_id, output=output):
                self._tool_returned(step, job_id, output)
            case i.JobFailed():
                self._job_failed(step, given)
            case i.TimePassed(at_sample=at_sample):
                self._time_passed(step, max(at_sample, state.last_sample))
            case i.Resumed(seed=seed):
                state.ids.seed = seed
            case i.ModeChanged(degraded=degraded):
                requests.change_mode(state, step, degraded)
            case i.RecordingDecided():
                announcing.decide(state, step, given)
            case i.Closing(reason=reason, code=code):
                self._close(step, code, reason)
            case i.Opened():
                raise ValueError("a session is opened by Engine.open, once")
            case _:
                assert_never(given)
        announcing.note_client(state, given)
        self._go_on_with_notice(step)
        return step.effects

    def _go_on_with_notice(self, step: Step) -> None:
        """Say the notice once it can be said, and then do what has waited for it."""
        state = self.state
        if state.is_closed:
            return
        if announcing.is_due(state):
            announcing.begin(state, step)
        waiting = state.waiting_request
        if waiting is not None and state.active is None and not announcing.is_pending(state):
            state.waiting_request = None
            requests.handle(state, step, waiting)

    def deadline(self) -> float | None:
        """Session time at which TimePassed is due, or None."""
        state = self.state
        if state.is_closed:
            return None
        due = [state.expires_at_s]
        if state.idle_at_s is not None:
            due.append(state.idle_at_s)
        if any(response.segment_queue.awaits_credit for response in state.responses.values()):
            due.append(state.playout.ends_at_s - AHEAD_MS / 1000)
        return min(due)

    def snapshot(self) -> bytes:
        """The whole state, as MessagePack. See `session_format`."""
        return session_format.encode(self.state)

    @classmethod
    def restore(cls, data: bytes) -> "Engine":
        """The engine of a snapshot, also of an older format.

        Raises:
            NewerFormat: a newer version wrote the snapshot.
            msgspec.ValidationError: bytes of another shape.
        """
        return cls(session_format.decode(data))

    # -- results of jobs -----------------------------------------------------------------------------------------

    def _model_output(self, step: Step, result: i.TextDelta | i.ToolCallDelta | i.Generated) -> None:
        response = next((r for r in self.state.responses.values() if r.llm_job == result.job_id), None)
        if response is None:
            return  # stale: the response ended before
        match result:
            case i.TextDelta(text=text):
                answering.add_text(self.state, step, response, text)
            case i.ToolCallDelta(index=index, name=name, arguments=arguments):
                tool_calls.write_call(self.state, step, response, index, name, arguments)
            case i.Generated():
                answering.generation_done(self.state, step, response, result)

    def _synthesis_output(self, step: Step, result: i.AudioSynthesised | i.SynthesisDone) -> None:
        for response in list(self.state.responses.values()):
            segment = response.segment_queue.find(result.job_id)
            if segment is None:
                continue
            if isinstance(result, i.AudioSynthesised):
                chunk = Chunk(result.job_id, result.sequence, result.sample_count)
                synthesis.chunk_ready(self.state, step, response, segment, chunk)
            else:
                answering.segment_synthesised(self.state, step, response, segment)
            return

    def _tool_returned(self, step: Step, job_id: str, output: str) -> None:
        detached = self.state.detached.get(job_id)
        if detached is not None:
            if detached.is_default:
                speculation.drop(self.state, step)  # it was prepared without this result
            tool_calls.finish_detached(self.state, step, job_id, output)
        for response in list(self.state.responses.values()):
            for call in response.calls:
                if call.is_running and call.job_id == job_id:
                    answering.tool_returned(self.state, step, response, call, output)
                    return

    def _job_failed(self, step: Step, failed: i.JobFailed) -> None:
        transcripts.transcription_failed(self.state, step, failed.job_id, failed.code, failed.message)
        self._tool_returned(step, failed.job_id, tool_calls.failed_output(self.state, failed.job_id))
        self._synthesis_output(step, i.SynthesisDone(failed.job_id))  # without audio the text alone is sent
        for response in list(self.state.responses.values()):
            if response.llm_job == failed.job_id:
                answering.fail(self.state, step, response, failed.code, failed.message)

    # -- time and the end ----------------------------------------------------------------------------------------

    def _time_passed(self, step: Step, at_sample: int) -> None:
        state = self.state
        if step.now_s >= state.expires_at_s:
            message = "Your session hit its maximum duration."
            body = body_of(ClientError(message, code="session_expired"))
            step.send(ev.ErrorEvent(event_id=step.event_id(), error=body))
            self._close(step, GOING_AWAY, message)
            return
        if state.idle_at_s is not None and step.now_s >= state.idle_at_s:
            listening.idle_timeout(state, step, at_sample)
        for response in list(state.responses.values()):
            synthesis.open_synthesis(state, step, response)

    def _close(self, step: Step, code: int, reason: str) -> None:
        """End the turn and every response, each with its own terminal event, then close."""
        state = self.state
        state.unanswered = []
        listening.discard_turn(state, step)
        for response in list(state.responses.values()):
            answering.end(state, step, response, "cancelled", "client_cancelled")
        tool_calls.abandon_detached(state, step)
        for turn in state.buffer.owed.values():
            turn.apply(TurnEvent.DISCARDED)
            step.emit(CancelJob(turn.job_id))
        state.buffer.owed = {}
        state.is_closed = True
        step.emit(Persist(record_id=state.config.id, kind="session_closed", body={"code": code, "reason": reason}))
        step.emit(Close(code, reason))
