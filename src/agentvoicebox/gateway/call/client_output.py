"""What the client gets: events, and audio in the format that its response was promised."""

from collections.abc import Callable, Mapping

import msgspec

from agentvoicebox.audio.pcm import Int16Array
from agentvoicebox.audio.rates import INPUT_RATE_HZ
from agentvoicebox.clock import Clock
from agentvoicebox.engine.effects import Effect, Send, SendAudio, SendRetrieved
from agentvoicebox.gateway.admission.quota import Quota
from agentvoicebox.gateway.audio.audio_chunk_buffer import AudioChunkBuffer
from agentvoicebox.gateway.audio.call_audio import CallAudio
from agentvoicebox.gateway.audio.item_encoder import with_audio
from agentvoicebox.gateway.audio.output_audio_encoder import OutputAudioEncoder
from agentvoicebox.gateway.audio.playback_clock import PlaybackClock
from agentvoicebox.gateway.call.missed_effects import missed_effects, position_of
from agentvoicebox.gateway.call.replay import RestoredSession
from agentvoicebox.gateway.call.restore_point import RestorePoint
from agentvoicebox.gateway.call.socket import Writer
from agentvoicebox.resilience.token_bucket import TokenBucket
from agentvoicebox.telemetry.call_tracer import CallTracer
from agentvoicebox.telemetry.metrics import Metrics
from agentvoicebox.telemetry.spans import TurnEnd
from agentvoicebox.telemetry.tap import TurnTap
from agentvoicebox.wire.server_events import (
    ConversationItemTruncated,
    ErrorEvent,
    ResponseDone,
    ResponseOutputAudioDone,
    ResponseOutputAudioTranscriptDelta,
    ResponseOutputTextDelta,
    ServerEvent,
    SessionCreated,
    TurnTrace,
)

KeepTurn = Callable[[str, Mapping[str, object]], None]

PCM_BYTES = 2  # a sample
# Seconds of audio that a client may retrieve: encoding a minute takes a thread some 100 ms.
RETRIEVED_PER_S = 2.0
RETRIEVED_BURST_S = 120.0


class ClientOutput:
    """One session's output.

    Args:
        writer: the socket.
        chunks: where synthesised audio waits.
        playback: follows what plays at the caller.
        quota: charged with the tokens of each response.
        tap: the latency accounts of turns.
        keep_turn: called with the id of each response that had output and its account, once it has ended.
        audio: keeps what is heard.
        wants_trace: the client gets these accounts as events.
        session_id: for exemplars.
        resume_token: sent with `session.created`, and nowhere else: neither log nor records have it; empty: none.
        tracer: gets the account of each response for its spans; None: the call has no trace.
    """

    def __init__(
        self,
        writer: Writer,
        chunks: AudioChunkBuffer,
        playback: PlaybackClock,
        *,
        quota: Quota,
        tap: TurnTap,
        keep_turn: KeepTurn,
        audio: CallAudio,
        wants_trace: bool,
        session_id: str,
        resume_token: str = "",
        metrics: Metrics,
        clock: Clock,
        tracer: CallTracer | None = None,
    ) -> None:
        self._writer = writer
        self._chunks = chunks
        self._playback = playback
        self._encoder = OutputAudioEncoder()
        self._quota = quota
        self._tap = tap
        self._keep_turn = keep_turn
        self._audio = audio
        self._wants_trace = wants_trace
        self._session_id = session_id
        self._resume_token = resume_token
        self._metrics = metrics
        self._clock = clock
        self._tracer = tracer
        self._is_question = False  # the segment whose audio is being sent
        self._retrievals = TokenBucket(RETRIEVED_PER_S, RETRIEVED_BURST_S)

    def send(self, event: ServerEvent) -> None:
        """Send an event of the engine, and do what follows from it."""
        match event:
            case ResponseOutputAudioDone():
                tail = self._encoder.tail(event)
                if tail is not None:
                    self._writer.send(tail)
            case ErrorEvent(error=error):
                self._metrics.error_sent(error.type)
            case SessionCreated() if self._resume_token:
                event = msgspec.structs.replace(event, agentvoicebox={"resume_token": self._resume_token})
            case _:
                pass
        self._writer.send(event)
        match event:
            case ResponseOutputAudioTranscriptDelta(delta=delta):
                self._is_question = delta.rstrip("\"' ").endswith("?")
            case ResponseOutputTextDelta(response_id=response_id):
                self._first_output_sent(response_id)
            case ConversationItemTruncated():
                self._stop_playback()
            case ResponseDone():
                self._response_done(event)
            case _:
                pass

    def send_audio(self, effect: SendAudio) -> None:
        """Send a chunk."""
        pcm = self._chunks.take(effect.job_id, effect.sequence)
        for delta in self._encoder.deltas(effect, pcm):
            self._writer.send(delta)
        self._playback.play(len(pcm) // PCM_BYTES, is_question=self._is_question)
        self._audio.agent_said(pcm)
        self._first_output_sent(effect.response_id)

    def send_retrieved(self, effect: SendRetrieved, samples: Int16Array) -> None:
        """Send an item with its audio, 16 kHz samples, shape (n,); without it when a client asks for more than it may."""
        audio_s = len(samples) / INPUT_RATE_HZ
        if not len(samples) or self._retrievals.take(self._clock.monotonic_s(), audio_s):
            self._writer.send(effect.event)
        else:
            self._writer.send_later(effect.event.event_id, lambda: with_audio(effect.event, samples, effect.format))

    def close(self, code: int, reason: str) -> None:
        """Close the socket after everything sent so far."""
        self._writer.close(code, reason)

    def resend(self, restored: RestoredSession, point: RestorePoint, last_event_id: str) -> bool:
        """Send what the client has not got after its last event. False when that is unknown: then nothing is sent."""
        effects = missed_effects(restored.effects, last_event_id)
        position = position_of(effects, last_event_id)
        if position is None:
            return False
        for index, effect in enumerate(effects):
            events = self._events_of(effect, point.chunks)
            ids = [event.event_id for event in events]
            if index == position and last_event_id in ids:
                events = events[ids.index(last_event_id) + 1 :]
            for event in events if index >= position else ():
                self._writer.send(event)
        return True

    def _events_of(self, effect: Effect, chunks: Mapping[tuple[str, int], bytes]) -> list[ServerEvent]:
        """The events of an effect; each effect passes the encoder, as audio is one stream per response."""
        match effect:
            case Send(event=ResponseOutputAudioDone() as event):
                tail = self._encoder.tail(event)
                return [event] if tail is None else [tail, event]
            case Send(event=event) | SendRetrieved(event=event):  # whose audio is gone with the gateway that had it
                return [event]
            case SendAudio():
                return [*self._encoder.deltas(effect, chunks.get((effect.job_id, effect.sequence), b""))]
            case _:
                return []

    def _stop_playback(self) -> None:
        self._playback.stop()
        self._audio.agent_was_cut()

    def _response_done(self, event: ResponseDone) -> None:
        response = event.response
        if response.status == "cancelled" and response.conversation_id is not None:
            self._stop_playback()
        self._chunks.response_done(response.id)
        self._quota.charge_tokens(0 if response.usage is None else response.usage.total_tokens)
        at_s = self._clock.wall_s()
        if self._tracer is not None and (account := self._tap.account(response.id, at_s)) is not None:
            self._tracer.turn_ended(account, TurnEnd.of(response))
        turn = self._tap.response_over(response.id, at_s)
        if turn is not None:
            self._keep_turn(response.id, turn)
        self._send_trace(response.id, turn)

    def _first_output_sent(self, response_id: str) -> None:
        turn = self._tap.output_left(response_id, self._clock.wall_s())
        if turn is not None:
            self._metrics.turn_answered(turn["parts_ms"], turn["speculation"], self._session_id)
            self._send_trace(response_id, turn)

    def _send_trace(self, response_id: str, turn: dict[str, object] | None) -> None:
        if self._wants_trace and turn is not None:
            self._writer.send(TurnTrace(event_id=f"event_{turn['phase']}_{response_id}", turn=turn))
