"""Both speech roles as they are served: settings in, a real Valkey between, a caller understood and answered."""

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.kit.speech import CACHE, SESSION, Bench, as_caller, audio_of, said
from tests.kit.waiting import PATIENCE_S

from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.engine.inputs import SynthesisDone, Transcribed
from agentvoicebox.errors import ProviderUnavailable
from agentvoicebox.ports.broker import JobKind
from agentvoicebox.settings import Settings
from agentvoicebox.supervisor.embedded.data_folder import DataFolder
from agentvoicebox.supervisor.embedded.valkey import EmbeddedValkey
from agentvoicebox.telemetry.process_report import ProcessReport
from agentvoicebox.workers.stt import serve_stt
from agentvoicebox.workers.tts import serve_tts

pytestmark = pytest.mark.requirement("A6", "A7")


@pytest.fixture
async def settings(tmp_path: Path) -> AsyncIterator[Settings]:
    folder = DataFolder(tmp_path / "data")
    valkey = EmbeddedValkey(folder.path, folder.sockets)
    await valkey.start()
    (tmp_path / "data" / "models").mkdir(parents=True, exist_ok=True)
    for half in CACHE.glob("*.onnx"):
        shutil.copy(half, tmp_path / "data" / "models")
    try:
        yield Settings(redis_url=valkey.url, data_dir=str(tmp_path / "data"), tts_order="piper,espeak")
    finally:
        await valkey.stop()
        folder.close()


@contextlib.asynccontextmanager
async def served(role: object, settings: Settings) -> AsyncIterator[None]:
    ready, stop = asyncio.Event(), asyncio.Event()
    serving = asyncio.create_task(role(settings, ready.set, stop, ProcessReport()))  # type: ignore[operator]
    async with asyncio.timeout(PATIENCE_S):
        await asyncio.wait({serving, waiting := asyncio.create_task(ready.wait())}, return_when="FIRST_COMPLETED")
    waiting.cancel()
    assert ready.is_set(), serving.exception()
    try:
        yield
    finally:
        stop.set()
        async with asyncio.timeout(PATIENCE_S):
            await serving


async def test_the_speed_of_the_deployment_is_that_of_its_voices(settings: Settings) -> None:
    seconds = []
    for number, speed in enumerate((1.0, 2.0)):
        broker = RedisBroker(settings.redis_url)
        voice = Bench(broker, JobKind.TTS)
        try:
            chosen = settings.model_copy(update={"tts_order": "espeak", "tts_speed": speed})
            async with served(serve_tts, chosen):
                await voice.speak("Your parcel will arrive tomorrow.", job_id=f"job_{number}")
                seconds.append(audio_of(await voice.until_last(f"job_{number}")).size / 24_000)
        finally:
            await voice.close()
            await broker.forget(SESSION)
            await broker.close()
    assert 0.4 < seconds[1] / seconds[0] < 0.65


@pytest.mark.parametrize(
    "given", [{"stt_device": "cpu", "stt_compute_type": "float16"}, {"stt_device": "cuda"}], ids=["numbers", "device"]
)
async def test_the_recogniser_is_loaded_on_the_device_and_in_the_numbers_of_the_settings(
    settings: Settings, given: dict[str, str]
) -> None:
    ctranslate2 = pytest.importorskip("ctranslate2")
    if ctranslate2.get_cuda_device_count() or "float16" in ctranslate2.get_supported_compute_types("cpu"):
        pytest.skip("this machine has what the test needs to be absent")
    with pytest.raises(ProviderUnavailable, match="can't be loaded"):
        await serve_stt(settings.model_copy(update=given), lambda: None, asyncio.Event(), ProcessReport())


async def test_what_one_role_says_the_other_hears(settings: Settings) -> None:
    broker = RedisBroker(settings.redis_url)
    voice, ears = Bench(broker, JobKind.TTS), Bench(broker, JobKind.STT)
    try:
        async with served(serve_tts, settings), served(serve_stt, settings):
            await voice.speak("Your parcel will arrive tomorrow.", job_id="job_voice")
            spoken = await voice.until_last("job_voice")
            sound = as_caller(audio_of(spoken))
            await ears.listen("job_ears")
            await ears.append(0, sound, "job_ears")
            await ears.mark("end", sound.size - 8000, "job_ears")
            heard = said((await ears.until_last("job_ears"))[-1])
    finally:
        await voice.close()
        await ears.close()
        await broker.forget(SESSION)
        await broker.close()
    assert isinstance(said(spoken[-1]), SynthesisDone)
    assert isinstance(heard, Transcribed)
    assert heard.is_final
    assert heard.text == "Your parcel will arrive tomorrow."
