"""Real speech through the real detector: where turns begin and end, in PCM and over the telephone."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from tests.kit.speech import CACHE, catalogue, spoken_by

from agentvoicebox.audio.g711 import encode_alaw, encode_ulaw
from agentvoicebox.audio.pcm import Int16Array, bytes_of, samples_of
from agentvoicebox.audio.resample import resample
from agentvoicebox.engine.inputs import Input, SpeechPaused, SpeechResumed, SpeechStarted, SpeechStopped
from agentvoicebox.gateway.audio.ingest import Ingest, InputAudioConfig
from agentvoicebox.gateway.audio.vad_batch import VadBatcher
from agentvoicebox.ports.broker import AudioEntry
from agentvoicebox.providers.tts.piper import Piper
from agentvoicebox.providers.vad.silero import SileroVad
from agentvoicebox.wire.audio_config import AudioFormat, TurnDetection

RATE_HZ = 24_000
QUIET_S = 1.0
AUDIBLE = 600  # about -35 dBFS: where the voice can be seen in a wave form

FORMATS = {
    "pcm": (AudioFormat(), bytes_of, RATE_HZ),
    "pcmu": (AudioFormat(type="audio/pcmu"), encode_ulaw, 8_000),
    "pcma": (AudioFormat(type="audio/pcma"), encode_alaw, 8_000),
}


@pytest.fixture(scope="module")
def piper() -> Piper:
    return Piper(catalogue().locate("piper-joe"), CACHE)


@pytest.fixture(scope="module")
def silero() -> SileroVad:
    return SileroVad()


@dataclass
class Call:
    """What came of a call: positions in it are 16 kHz samples."""

    facts: list[Input] = field(default_factory=list)
    entries: list[AudioEntry] = field(default_factory=list)
    audio: Int16Array = field(default_factory=lambda: np.zeros(0, np.int16))

    def all_of(self, kind: type) -> list[Any]:
        return [fact for fact in self.facts if isinstance(fact, kind)]


def line(speech: Int16Array, *, after_s: float = 1.5) -> tuple[Int16Array, int, int]:
    """Speech on a quiet line with a little noise, 24 kHz; and where the voice begins and ends, in 16 kHz samples."""
    quiet = np.zeros(int(RATE_HZ * QUIET_S), np.int16)
    sound = np.concatenate((quiet, speech, np.zeros(int(RATE_HZ * after_s), np.int16)))
    voiced = np.flatnonzero(np.abs(sound.astype(int)) > AUDIBLE)
    noise = np.random.default_rng(1).normal(0, 15, len(sound))
    noisy = np.clip(sound + noise, -32_768, 32_767).astype(np.int16)
    return noisy, int(voiced[0]) * 2 // 3, int(voiced[-1]) * 2 // 3


async def call(vad: SileroVad, sound: Int16Array, detection: TurnDetection, format: str = "pcm") -> Call:
    """Send 24 kHz sound in 20 ms frames; the engine's part (opening and ending the utterance) is played here."""
    wire, encode, rate_hz = FORMATS[format]
    data = encode(resample(sound, RATE_HZ, rate_hz) if rate_hz != RATE_HZ else sound)
    made, batcher = Call(), VadBatcher(vad)

    def post(fact: Input) -> None:
        made.facts.append(fact)
        match fact:
            case SpeechStarted(start_sample=start):
                ingest.open_utterance("job", start)
            case SpeechStopped(end_sample=end, speech_end_sample=speech_end):
                ingest.end_utterance("job", end, speech_end)

    ingest = Ingest(
        batcher,
        InputAudioConfig(wire, detection),
        post=post,
        deliver=lambda _, entry: made.entries.append(entry),
    )
    frame = rate_hz // 50 * (2 if format == "pcm" else 1)
    for start in range(0, len(data), frame):
        await ingest.feed(data[start : start + frame])
    await ingest.drain()
    made.audio = ingest.audio_between(0, ingest.position_samples)
    ingest.close()
    await batcher.close()
    return made


@pytest.mark.parametrize("format", list(FORMATS))
@pytest.mark.parametrize("text", ["Hello, I would like to know where my parcel is.", "No.", "Yes, please.", "Seven."])
async def test_a_sentence_is_one_turn_found_within_a_tenth_of_a_second(
    piper: Piper, silero: SileroVad, text: str, format: str
) -> None:
    sound, first, last = line(spoken_by(piper, text))
    made = await call(silero, sound, TurnDetection(silence_duration_ms=500, prefix_padding_ms=0), format)
    (started,), (stopped,) = made.all_of(SpeechStarted), made.all_of(SpeechStopped)
    assert abs(started.start_sample - first) <= 1_600
    assert -800 <= stopped.speech_end_sample - last <= 2_400  # Silero trails a voice by about 100 ms
    assert stopped.end_sample - stopped.speech_end_sample <= 8_000 + 512
    heard = samples_of(b"".join(entry.pcm for entry in made.entries))
    assert np.array_equal(heard, made.audio[started.start_sample : stopped.end_sample])


async def test_prefix_padding_keeps_the_first_consonant(piper: Piper, silero: SileroVad) -> None:
    sound, first, _ = line(spoken_by(piper, "Seven."))
    made = await call(silero, sound, TurnDetection(prefix_padding_ms=300))
    assert first - 4_800 - 1_600 <= made.all_of(SpeechStarted)[0].start_sample <= first - 1_600


@pytest.mark.parametrize("gap_s", [0.2, 0.3])
async def test_a_pause_inside_a_sentence_does_not_end_the_turn(piper: Piper, silero: SileroVad, gap_s: float) -> None:
    gap = np.zeros(int(RATE_HZ * gap_s), np.int16)
    parts = [spoken_by(piper, "My tracking number is"), gap, spoken_by(piper, "one two three"), gap]
    sound, _, _ = line(np.concatenate([*parts, spoken_by(piper, "four five six.")]))
    made = await call(silero, sound, TurnDetection(silence_duration_ms=500))
    assert len(made.all_of(SpeechStarted)) == len(made.all_of(SpeechStopped)) == 1
    assert len(made.all_of(SpeechPaused)) == len(made.all_of(SpeechResumed)) + 1
    assert made.all_of(SpeechPaused)[-1].speech_end_sample == made.all_of(SpeechStopped)[0].speech_end_sample


async def test_two_sentences_far_apart_are_two_turns_that_do_not_overlap(piper: Piper, silero: SileroVad) -> None:
    gap = np.zeros(RATE_HZ, np.int16)
    sound, _, _ = line(np.concatenate((spoken_by(piper, "Hello there."), gap, spoken_by(piper, "Where is it?"))))
    made = await call(silero, sound, TurnDetection(silence_duration_ms=200, prefix_padding_ms=2_000))
    started, stopped = made.all_of(SpeechStarted), made.all_of(SpeechStopped)
    assert len(started) >= 2 and len(started) == len(stopped)
    for end, start in zip(stopped, started[1:], strict=False):
        assert end.end_sample <= start.start_sample


async def test_noise_opens_no_turn(silero: SileroVad) -> None:
    rng = np.random.default_rng(7)
    noise = rng.normal(0, 300, RATE_HZ * 5)
    noise[::RATE_HZ] += 20_000  # a click a second
    made = await call(silero, np.clip(noise, -32_768, 32_767).astype(np.int16), TurnDetection())
    assert made.facts == []
