"""The trace of a small turn, made by the server's own tap: what `agentvoicebox.turn` looks like."""

from typing import Any

from agentvoicebox.engine import effects as fx
from agentvoicebox.engine import inputs as i
from agentvoicebox.engine.effects import Effect
from agentvoicebox.engine.jobs import Generate, Synthesise, Transcribe
from agentvoicebox.ports.broker import JobKind, JobResult
from agentvoicebox.telemetry.tap import TurnTap
from agentvoicebox.wire.audio_config import AudioFormat
from agentvoicebox.wire.server_events import InputAudioBufferCommitted

END = 16_000  # sample at which the caller stopped
T0_S = 1_790_000_000.0


def example_trace() -> dict[str, Any]:
    """The `turn` of the second event of a turn whose words were recognised in the caller's pause."""
    tap = TurnTap(lambda sample: T0_S, lambda: {"words": 500.0})

    def step(after_ms: float, given: i.Input, *effects: Effect, of: tuple[str, JobKind, float] | None = None) -> None:
        at_s = T0_S + after_ms / 1000
        result = None
        if of is not None:
            job_id, kind, claimed_ms = of
            claimed_s = T0_S + claimed_ms / 1000
            result = JobResult(job_id, kind, 1, 1, b"", claimed_s=claimed_s, published_s=at_s - 0.001)
        tap.observe(at_s, given, effects, result)

    committed = InputAudioBufferCommitted(event_id="event_1", previous_item_id=None, item_id="item_1")
    heard = i.Transcribed("job_1", "Where is my parcel?", END, False)
    chunk = fx.SendAudio("event_2", "resp_1", "item_2", 0, 0, "job_3", 1, AudioFormat())
    step(-900, i.SpeechStarted(0), fx.OpenJob("job_1", Transcribe("item_1", 0)))
    step(160, i.SpeechPaused(END), fx.ProbeUtterance("job_1", END))
    step(240, heard, fx.OpenJob("job_2", Generate("resp_1", "dialogue", "", ())), of=("job_1", JobKind.STT, -890))
    stopped = i.SpeechStopped(END + 8_000, END)
    step(500, stopped, fx.EndUtterance("job_1", END + 8_000, END), fx.Send(committed))
    words = i.TextDelta("job_2", "What is the number?")
    step(
        505,
        words,
        fx.OpenJob("job_3", Synthesise("resp_1", "What is the number?", "alloy")),
        of=("job_2", JobKind.LLM, 242),
    )
    step(590, i.AudioSynthesised("job_3", 1, 2_400), chunk, of=("job_3", JobKind.TTS, 508))
    first, last = tap.output_left("resp_1", T0_S + 0.592), tap.response_over("resp_1", T0_S + 1.8)
    assert first is not None and last is not None
    return last
