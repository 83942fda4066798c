"""Turns are found at the same places whether the model judges every window of a call or only those in which something changes."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest
from tests.kit.speech import CACHE, catalogue, spoken_by

from agentvoicebox.audio.g711 import decode_ulaw, encode_ulaw
from agentvoicebox.audio.pcm import Int16Array, to_float
from agentvoicebox.audio.resample import resample
from agentvoicebox.gateway.audio.vad_batch import VadBatcher
from agentvoicebox.providers.tts.piper import Piper
from agentvoicebox.providers.vad.silero import SileroVad
from agentvoicebox.turns.detector import Detector
from agentvoicebox.turns.facts import Fact, SpeechStarted
from agentvoicebox.turns.vad import WINDOW_SAMPLES
from agentvoicebox.wire.audio_config import TurnDetection

LINES = (
    "Hello, I would like to know where my parcel is.",
    "No.",
    "She sells six fish.",
    "Please find the package for me, it is number zero zero four.",
    "Seven.",
    "Who are you?",
)
GAPS_S = (1.2, 4.0, 7.5, 2.5, 9.0, 5.0)
SOONER_WINDOWS = 8  # 256 ms
DETECTIONS = {
    "server_vad": TurnDetection(silence_duration_ms=500),
    "semantic_vad": TurnDetection(type="semantic_vad"),
}


@pytest.fixture(scope="module")
def voices() -> list[Int16Array]:
    piper = Piper(catalogue().locate("piper-joe"), CACHE)
    return [resample(spoken_by(piper, line), 24_000, 16_000) for line in LINES]


@pytest.fixture(scope="module")
def silero() -> SileroVad:
    return SileroVad()


def noise_of(kind: str, count: int) -> npt.NDArray[np.float64]:
    """Noise of a line, rms 1."""
    white = np.random.default_rng(4).normal(0, 1, count)
    if kind == "white":
        return white
    spectrum = np.fft.rfft(white)
    if kind == "fan":
        spectrum *= np.exp(-np.linspace(0, 8_000, len(spectrum)) / 400)
    elif kind == "pink":
        spectrum /= np.sqrt(np.maximum(1, np.arange(len(spectrum))))
    coloured = np.fft.irfft(spectrum, count)
    return np.asarray(coloured / np.sqrt(np.mean(coloured**2)))


def call(voices: list[Int16Array], kind: str, noise_rms: float, loudness: float = 1.0) -> Int16Array:
    """A caller's side: lines with pauses of seconds between, on a line with noise."""
    pieces: list[npt.NDArray[np.floating]] = []
    for voice, gap_s in zip(voices, GAPS_S, strict=True):
        pieces += [np.zeros(int(16_000 * gap_s)), voice * loudness]
    sound = np.concatenate([*pieces, np.zeros(48_000)])
    return np.clip(sound + noise_rms * noise_of(kind, len(sound)), -32_768, 32_767).astype(np.int16)


def over_the_telephone(sound: Int16Array) -> Int16Array:
    return resample(decode_ulaw(encode_ulaw(resample(sound, 16_000, 8_000))), 8_000, 16_000)


class CountingSilero:
    """The model, with a count of the windows that it was shown."""

    def __init__(self, model: SileroVad) -> None:
        self._model = model
        self.windows = 0
        self.new_state = model.new_state

    def probabilities(
        self, windows: npt.NDArray[np.float32], states: npt.NDArray[np.float32]
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        self.windows += len(windows)
        return self._model.probabilities(windows, states)


async def judged(silero: SileroVad, sound: Int16Array, *, skips_quiet: bool) -> tuple[list[float], float]:
    """The probability of each window, and the share of windows that the model was shown."""
    model, found = CountingSilero(silero), list[float]()
    batcher = VadBatcher(model, pace_s=0.0, skips_quiet=skips_quiet)
    slot = batcher.open(lambda probability, end: found.append(probability))
    count = len(sound) // WINDOW_SAMPLES
    for number in range(count):
        window = sound[number * WINDOW_SAMPLES : (number + 1) * WINDOW_SAMPLES]
        slot.submit(to_float(window), (number + 1) * WINDOW_SAMPLES)
        if slot.waiting:
            await slot.settled()
    await batcher.close()
    return found, model.windows / count


def turns(probabilities: list[float], detection: TurnDetection) -> list[Fact]:
    detector = Detector(detection)
    windows = enumerate(probabilities, start=1)
    return [fact for number, each in windows for fact in detector.feed(each, number * WINDOW_SAMPLES)]


def positions(fact: Fact) -> Iterator[int]:
    for name in ("start_sample", "speech_end_sample", "end_sample"):
        if hasattr(fact, name):
            yield getattr(fact, name)


@pytest.mark.parametrize("law", ["pcm", "pcmu"])
@pytest.mark.parametrize(
    ("kind", "noise_rms", "loudness", "most"),
    [
        ("white", 0.0, 1.0, 0.7),
        ("white", 15.0, 1.0, 0.7),
        ("white", 15.0, 0.2, 0.7),
        ("white", 200.0, 1.0, 0.7),
        ("fan", 100.0, 1.0, 1.0),
        ("pink", 400.0, 1.0, 1.0),
    ],
)
async def test_turns_are_where_they_are_when_every_window_is_judged_or_begin_sooner(
    voices: list[Int16Array], silero: SileroVad, kind: str, noise_rms: float, loudness: float, most: float, law: str
) -> None:
    sound = call(voices, kind, noise_rms, loudness)
    if law != "pcm":
        sound = over_the_telephone(sound)
    whole, _ = await judged(silero, sound, skips_quiet=False)
    gated, share = await judged(silero, sound, skips_quiet=True)
    assert share <= most
    for detection in DETECTIONS.values():
        wanted, got = turns(whole, detection), turns(gated, detection)
        assert [type(fact) for fact in got] == [type(fact) for fact in wanted]
        for mine, theirs in zip(got, wanted, strict=True):
            for at, judged_at in zip(positions(mine), positions(theirs), strict=True):
                # After seconds of silence the model hears a voice later than a model that was spared them.
                sooner = SOONER_WINDOWS if isinstance(mine, SpeechStarted) else 1
                assert -sooner * WINDOW_SAMPLES <= at - judged_at <= WINDOW_SAMPLES
