"""The real recognisers on real speech (made by the real voice): what is heard, and that nothing is heard in nothing."""

import wave
from pathlib import Path

import numpy as np
import pytest
from tests.kit.speech import CACHE, as_caller, bench, catalogue, said, spoken_by

from agentvoicebox.audio.pcm import Int16Array
from agentvoicebox.engine.inputs import Transcribed
from agentvoicebox.errors import ProviderUnavailable
from agentvoicebox.ports.broker import JobKind
from agentvoicebox.ports.providers import Stt
from agentvoicebox.providers.registry import build_stt
from agentvoicebox.providers.stt.mel import log_mel
from agentvoicebox.providers.stt.whisper_short import WhisperShort
from agentvoicebox.providers.tts.piper import Piper
from agentvoicebox.workers.stt import SttWork
from agentvoicebox.workers.urgent_threads import UrgentThreads

# In order: each model of the parametrised fixture is loaded once, and not once more for each test.
pytestmark = [pytest.mark.requirement("A6"), pytest.mark.random_order(disabled=True)]

PROFILES = ("fast", "accurate", "moonshine", "faster-whisper")
SECOND = 16_000


@pytest.fixture(scope="module")
def caller() -> Piper:
    return Piper(catalogue().locate("piper-joe"), CACHE)


@pytest.fixture(scope="module", params=PROFILES)
def ears(request: pytest.FixtureRequest) -> Stt:
    try:
        return build_stt(request.param, catalogue(), threads=1, device="cpu")
    except ProviderUnavailable as error:
        if request.param == "fast":
            raise
        pytest.skip(error.message)


@pytest.fixture(scope="module")
def fast() -> Stt:
    return build_stt("fast", catalogue(), threads=2, device="cpu")


def plain(text: str) -> str:
    """Letters and digits alone, for comparing what was heard with what was said."""
    return "".join(character for character in text.lower().replace("where's", "where is") if character.isalnum())


def test_the_mel_picture_is_the_one_faster_whisper_makes() -> None:
    extractor = pytest.importorskip("faster_whisper.feature_extractor").FeatureExtractor()
    sound = (np.random.default_rng(0).standard_normal(3 * SECOND) * 0.1).astype(np.float32)
    theirs = extractor(np.pad(sound, (0, 9 * SECOND)), padding=0)[:, :1200]
    assert np.abs(log_mel(sound, 12) - theirs).max() < 1e-5


def test_a_question_is_heard(ears: Stt, caller: Piper) -> None:
    sound = as_caller(spoken_by(caller, "Where is my parcel?"))
    assert plain(ears.transcribe(sound).text) == "whereismyparcel"


def test_a_spelled_number_is_heard(fast: Stt, caller: Piper) -> None:
    sound = as_caller(spoken_by(caller, "My tracking number is A B C 1 2 3 4 5 6."))
    assert plain(fast.transcribe(sound).text) == "mytrackingnumberisabc123456"


def test_a_person_is_heard(ears: Stt) -> None:
    recording = catalogue().locate("moonshine-tiny-en").parent / "beckett.wav"
    if not recording.is_file():
        pytest.skip("the recording comes with moonshine-voice")
    heard = plain(ears.transcribe(read_wav(recording)).text)
    assert heard.removeprefix("n") == "evertriedeverfailednomattertryagainfailagainfailbetter"  # base hears "never"


def test_silence_noise_hum_and_clicks_are_no_words(ears: Stt) -> None:
    noise = np.random.default_rng(0).standard_normal(2 * SECOND)
    click = np.zeros(SECOND, np.int16)
    click[8000:8020] = 20_000
    nothings = {
        "nothing": np.zeros(0, np.int16),
        "silence": np.zeros(2 * SECOND, np.int16),
        "hiss": (noise * 30).astype(np.int16),
        "noise": (noise * 300).astype(np.int16),
        "loud noise": (noise * 3000).astype(np.int16),
        "hum": (2000 * np.sin(2 * np.pi * 100 * np.arange(2 * SECOND) / SECOND)).astype(np.int16),
        "click": click,
    }
    assert {name: ears.transcribe(sound).text for name, sound in nothings.items()} == dict.fromkeys(nothings, "")


def test_very_short_and_very_long_audio_raise_nothing(ears: Stt, caller: Piper) -> None:
    voice = as_caller(spoken_by(caller, "Where is my parcel?"))
    for sound in (voice[8000:8160], voice[8000:9600], np.tile(voice, 20)[: 30 * SECOND]):
        assert isinstance(ears.transcribe(sound).text, str)


def test_a_missing_model_says_what_to_type(tmp_path: Path) -> None:
    with pytest.raises(ProviderUnavailable, match="can't be loaded"):
        WhisperShort(tmp_path)


async def test_a_call_is_heard_through_the_worker_while_it_is_spoken(fast: Stt, caller: Piper) -> None:
    sound = as_caller(spoken_by(caller, "Where is my parcel?"))
    end = sound.size - 8000
    async with bench(JobKind.STT) as made:
        work = SttWork(fast, UrgentThreads(2, name="stt"))
        await work.warm_up()
        async with made.worker(work):
            await made.listen(start_sample=5000)
            await made.append(5000, sound[: end + 2560])
            await made.mark("probe", 5000 + end)
            probe = (await made.until(lambda records: len(records) == 1))[0]
            await made.append(5000 + end + 2560, sound[end + 2560 :])
            await made.mark("end", 5000 + end)
            final = (await made.until_last())[-1]
    heard, settled = said(probe), said(final)
    assert isinstance(heard, Transcribed)
    assert plain(heard.text) == "whereismyparcel"
    assert heard == Transcribed("job_1", heard.text, 5000 + end)
    assert settled == Transcribed("job_1", heard.text, 5000 + end, is_final=True)


async def test_half_a_minute_of_speech_loses_no_word_at_the_cuts(fast: Stt, caller: Piper) -> None:
    sentences = [f"This is sentence number {word}, and I would like to know where my parcel is." for word in WORDS]
    sound = np.concatenate([as_caller(spoken_by(caller, sentence)) for sentence in sentences])
    async with bench(JobKind.STT) as made, made.worker(SttWork(fast, UrgentThreads(2, name="stt"))):
        await made.listen()
        await made.append(0, sound)
        await made.mark("end", sound.size - 8000)
        report = said((await made.until_last())[-1])
    assert sound.size > 40 * SECOND
    assert isinstance(report, Transcribed)
    text = plain(report.text)
    for digit, word in enumerate(WORDS, start=1):
        assert f"sentencenumber{word}" in text or f"sentencenumber{digit}" in text
    assert text.count("parcel") == len(WORDS)


WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def read_wav(path: Path) -> Int16Array:
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getnchannels()) == (SECOND, 1)
        return np.frombuffer(file.readframes(file.getnframes()), np.int16)
