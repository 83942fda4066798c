"""The real voices: Piper in pieces, Kokoro, eSpeak, and what happens when the first of them is really missing."""

import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
from tests.kit.speech import CACHE, as_caller, audio_of, bench, catalogue, said, settled, spoken_by
from tests.kit.waiting import PATIENCE_S

from agentvoicebox.audio.pcm import Int16Array
from agentvoicebox.engine.inputs import SynthesisDone
from agentvoicebox.errors import ProviderUnavailable
from agentvoicebox.ports.broker import JobKind
from agentvoicebox.providers.catalogue import ModelCatalogue
from agentvoicebox.providers.registry import build_stt, build_tts
from agentvoicebox.providers.stt.whisper_short import WhisperShort
from agentvoicebox.providers.tts import espeak
from agentvoicebox.providers.tts.espeak import Espeak
from agentvoicebox.providers.tts.kokoro import Kokoro, pieces
from agentvoicebox.providers.tts.piper import FIRST_FRAMES, HOP_SAMPLES, Piper
from agentvoicebox.providers.tts.piper_split import LATENT, split_voice
from agentvoicebox.providers.tts.scripted import ScriptedTts
from agentvoicebox.providers.tts.stopping import Stop
from agentvoicebox.workers.tts import TtsWork
from agentvoicebox.workers.urgent_threads import UrgentThreads

pytestmark = pytest.mark.requirement("A7")

LONG = (
    "Your parcel left the sorting centre this morning, and it will be with you tomorrow before noon. Is that all right?"
)


@pytest.fixture(scope="module")
def piper() -> Piper:
    return Piper(catalogue().locate("piper-joe"), CACHE)


@pytest.fixture(scope="module")
def ears() -> WhisperShort:
    whisper = build_stt("fast", catalogue(), threads=1, device="cpu")
    assert isinstance(whisper, WhisperShort)
    return whisper


def test_the_split_voice_is_the_whole_voice(piper: Piper, tmp_path: Path) -> None:
    """Without noise the original graph is deterministic: front end and decoder together give its very samples."""
    import onnxruntime

    model = catalogue().locate("piper-joe") / "en_US-joe-medium.onnx"
    [phonemes] = piper._phonemes("Let me check that.")
    inputs = {
        "input": np.array([phonemes]),
        "input_lengths": np.array([len(phonemes)]),
        "scales": np.array([0.0, 1.0, 0.0], np.float32),
    }
    whole = onnxruntime.InferenceSession(str(model)).run(None, inputs)[0].ravel()
    front, decoder = (onnxruntime.InferenceSession(str(half)) for half in split_voice(model, tmp_path))
    split = decoder.run(None, {LATENT: front.run(None, inputs)[0]})[0].ravel()
    assert whole.size == split.size
    assert np.abs(whole - split).max() < 1e-3


def test_a_folder_where_a_voice_cant_be_prepared_is_named_with_a_fix(tmp_path: Path) -> None:
    (tmp_path / "models").symlink_to(tmp_path / "a-folder-that-is-gone")
    with pytest.raises(ProviderUnavailable, match=r"can't be prepared in .*models: .*AVB_DATA_DIR"):
        split_voice(catalogue().locate("piper-joe") / "en_US-joe-medium.onnx", tmp_path / "models")


def test_speech_in_pieces_equals_the_whole_sentence(piper: Piper, monkeypatch: pytest.MonkeyPatch) -> None:
    [phonemes, *_] = piper._phonemes(LONG)
    streamed = list(piper._waves(phonemes, 1.0, Stop()))
    monkeypatch.setattr("agentvoicebox.providers.tts.piper.FIRST_FRAMES", 100_000)
    [whole] = piper._waves(phonemes, 1.0, Stop())
    assert len(streamed) > 3
    assert streamed[0].size == FIRST_FRAMES * HOP_SAMPLES
    assert np.abs(np.concatenate(streamed) - whole).max() < 1e-3


def test_the_same_text_gives_the_same_samples_in_every_process(piper: Piper) -> None:
    other = Piper(catalogue().locate("piper-joe"), CACHE)
    first = spoken_by(piper, LONG)
    spoken_by(piper, "Something else in between.")
    assert np.array_equal(first, spoken_by(piper, LONG))
    assert np.array_equal(first, spoken_by(other, LONG))


def test_speech_begins_without_the_voices_own_silence(piper: Piper) -> None:
    first = next(piper.synthesize("Let me check that.", voice=""))
    assert np.abs(first[:720]).max() > 200  # within 30 ms


def test_speed_changes_the_length(piper: Piper) -> None:
    slow, usual, fast = (spoken_by(piper, LONG, speed=speed).size for speed in (0.5, 1.0, 2.0))
    assert 1.7 < slow / usual < 2.3
    assert 0.4 < fast / usual < 0.75  # no phoneme gets shorter than a frame


@pytest.mark.parametrize("text", ["", "...", "?!"])
def test_nothing_speakable_is_no_sound(piper: Piper, text: str) -> None:
    assert spoken_by(piper, text).size == 0
    assert spoken_by(Espeak(), text).size == 0


def test_calls_from_several_threads_do_not_mix(piper: Piper) -> None:
    texts = ["Where is my parcel?", "It is on its way.", "Tomorrow before noon.", "Good bye, and thank you."]
    alone = [spoken_by(piper, text) for text in texts]
    together: dict[int, list[bool]] = {}

    def speak(number: int) -> None:
        together[number] = [np.array_equal(spoken_by(piper, t), a) for t, a in zip(texts, alone, strict=True)]

    threads = [threading.Thread(target=speak, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert together == {number: [True] * len(texts) for number in range(3)}


def test_closing_interrupts_the_model_in_the_middle_of_its_run(piper: Piper) -> None:
    speech = piper.synthesize(LONG * 5, voice="")
    chunks: list[Int16Array] = []
    running = threading.Thread(target=lambda: chunks.extend(speech))
    running.start()
    speech.close()
    running.join(PATIENCE_S)
    assert not running.is_alive()
    assert sum(chunk.size for chunk in chunks) < 24_000


@pytest.mark.parametrize("text", ["Where is my parcel?", "Your parcel will arrive tomorrow before noon."])
def test_espeak_is_understood_and_keeps_its_timing(ears: WhisperShort, text: str) -> None:
    voice = Espeak()
    sound = spoken_by(voice, text)
    for between in ("No.", "Something else in between.", "No."):
        spoken_by(voice, between)
        assert spoken_by(voice, text).size == sound.size
    assert ears.transcribe(as_caller(sound)).text.strip(".?").lower() == text.strip(".?").lower()


def test_espeak_finds_its_voice_however_deep_the_project_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = tmp_path / ("a folder+with a long name " * 4) / espeak.VOICE_FILE.name
    deep.parent.mkdir()
    deep.write_bytes(espeak.VOICE_FILE.read_bytes())
    monkeypatch.setattr(espeak, "VOICE_FILE", deep)
    assert spoken_by(Espeak(), LONG).size > 24_000


def test_espeak_and_piper_live_in_one_process(piper: Piper) -> None:
    before = spoken_by(piper, LONG)
    spoken_by(Espeak(), LONG)
    assert np.array_equal(before, spoken_by(piper, LONG))


def test_kokoro_is_understood_and_repeats_itself(ears: WhisperShort) -> None:
    here = [s.folder for s in catalogue().list_models() if s.model.name.startswith("kokoro-voices") and s.folder]
    if not here:
        pytest.skip("no Kokoro voice is installed: agentvoicebox models pull kokoro-voices")
    kokoro = Kokoro(catalogue().locate("kokoro-82m") / "kokoro-v1.0.int8.onnx", here[0])
    sound = spoken_by(kokoro, "Where is my parcel?")
    assert np.array_equal(sound, spoken_by(kokoro, "Where is my parcel?"))
    assert ears.transcribe(as_caller(sound)).text == "Where is my parcel?"


def test_the_kokoro_model_is_joined_from_its_parts_and_checked() -> None:
    catalogue().verify("kokoro-82m")


def test_kokoro_reads_the_first_clause_alone_and_later_sentences_whole() -> None:
    assert [text for text, _ in pieces("Yes, I see. It left today, and comes tomorrow.")] == [
        "Yes,",
        "I see.",
        "It left today, and comes tomorrow.",
    ]
    assert " ".join(text for text, _ in pieces("word " * 500)).split() == ["word"] * 500


def test_when_pipers_file_is_gone_the_next_voice_speaks(tmp_path: Path) -> None:
    """Piper really fails: its folder holds a voice of the right size whose graph is rubbish."""
    models = tmp_path / "models" / "piper-joe"
    shutil.copytree(catalogue().locate("piper-joe"), models)
    voice = models / "en_US-joe-medium.onnx"
    voice.write_bytes(b"\0" * voice.stat().st_size)
    broken = ModelCatalogue(models_dir=tmp_path / "models", cache_dir=tmp_path / "cache")
    chain = build_tts(["piper", "kokoro", "espeak"], broken)
    sound = spoken_by(chain, "Where is my parcel?")
    assert sound.size > 12_000
    assert "piper" in chain.failures()
    assert [voice.engine for voice in chain.voices()][-1] in ("kokoro", "espeak")


def test_a_missing_voice_says_what_to_type(tmp_path: Path) -> None:
    with pytest.raises(ProviderUnavailable, match="agentvoicebox models pull"):
        Piper(tmp_path, tmp_path / "cache")
    with pytest.raises(ProviderUnavailable, match="agentvoicebox models pull kokoro-voices"):
        Kokoro(tmp_path / "model.onnx", tmp_path)


async def test_a_second_worker_goes_on_with_the_real_voice_at_the_very_sample(piper: Piper) -> None:
    class Dying(ScriptedTts):
        """Piper for three chunks, then nothing: as a worker that is killed there."""

        def synthesize(self, text: str, *, voice: str, speed: float = 1.0):  # type: ignore[no-untyped-def]
            for number, chunk in enumerate(piper.synthesize(text, voice=voice, speed=speed)):
                if number == 3:
                    raise ProviderUnavailable("killed")
                yield chunk

    async with bench(JobKind.TTS) as made:
        await made.speak(LONG)
        async with made.worker(TtsWork(Dying(), UrgentThreads(1, name="t"))):
            await made.until(lambda records: len(records) >= 3)
        async with made.worker(TtsWork(piper, UrgentThreads(1, name="t"))):
            records = await made.until_last()
    assert {record.attempt for record in records} > {1}
    assert isinstance(said(records[-1]), SynthesisDone)
    assert np.array_equal(audio_of(records), spoken_by(piper, LONG))


async def test_a_cancelled_segment_frees_the_real_voice(piper: Piper) -> None:
    threads = UrgentThreads(1, name="t")
    async with bench(JobKind.TTS) as made, made.worker(TtsWork(piper, threads)) as runner:
        await made.speak(LONG * 10)
        await made.until(lambda records: len(records) >= 1)
        await made.cancel()
        await settled(lambda: runner.busy == 0)
        await made.speak("Let me check that.", job_id="job_2")
        records = await made.until_last("job_2")
    assert np.array_equal(audio_of(records), spoken_by(piper, "Let me check that."))
