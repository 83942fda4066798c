"""A latency tap that is told the steps of a turn.

Times are seconds since the caller's last voiced sample, which is sample 16000.
"""

from agentvoicebox.engine import effects as fx
from agentvoicebox.engine import inputs as i
from agentvoicebox.engine.effects import Effect
from agentvoicebox.engine.jobs import Generate, Transcribe
from agentvoicebox.ports.broker import JobKind, JobResult
from agentvoicebox.telemetry.tap import TurnTap
from agentvoicebox.wire.audio_config import AudioFormat

END = 16_000
GENERATE = Generate("resp_1", "dialogue", "", ())


def audio(job_id: str = "tts") -> fx.SendAudio:
    return fx.SendAudio("event_1", "resp_1", "item_a", 0, 0, job_id, 1, AudioFormat())


def record(job_id: str, kind: JobKind, claimed_s: float, published_s: float) -> JobResult:
    return JobResult(job_id, kind, 1, 1, b"", claimed_s=claimed_s, published_s=published_s)


class Told:
    """A tap that is told a turn's steps."""

    def __init__(self) -> None:
        self.tap = TurnTap(lambda sample: 0.0 if sample == END else None, lambda: {"words": 300.0})
        self.at(-1.0, i.SpeechStarted(0), fx.OpenJob("stt", Transcribe("item_u", 0)))

    def at(self, at_s: float, fact: i.Input, *effects: Effect, of: JobResult | None = None) -> None:
        self.tap.observe(at_s, fact, effects, of)

    def pause(self) -> None:
        self.at(0.160, i.SpeechPaused(END), fx.ProbeUtterance("stt", END))

    def stop(self, at_s: float, *effects: Effect) -> None:
        self.at(at_s, i.SpeechStopped(END + 4_800, END), fx.EndUtterance("stt", END + 4_800, END), *effects)

    def heard(self, at_s: float, *effects: Effect, final: bool = False) -> None:
        stt = record("stt", JobKind.STT, -0.9, at_s - 0.001)
        self.at(at_s, i.Transcribed("stt", "hi", END, final), *effects, of=stt)

    def write(self, at_s: float, claimed_s: float, *effects: Effect, job: str = "llm") -> None:
        llm = record(job, JobKind.LLM, claimed_s, at_s - 0.001)
        self.at(at_s, i.TextDelta(job, "Hello."), *effects, of=llm)

    def speak(self, at_s: float, claimed_s: float, *effects: Effect) -> None:
        tts = record("tts", JobKind.TTS, claimed_s, at_s - 0.001)
        self.at(at_s, i.AudioSynthesised("tts", 1, 2_400), *effects, of=tts)
