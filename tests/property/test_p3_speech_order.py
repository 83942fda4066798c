"""P3: the chunks of a segment keep their order, without gap or duplicate, also when workers die in the middle of it."""

import asyncio

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.kit.speech import Bench, audio_of, said, spoken_by

from agentvoicebox.broker.memory import MemoryBroker
from agentvoicebox.engine.inputs import SpeechDone
from agentvoicebox.ports.broker import JobKind
from agentvoicebox.providers.tts.scripted import ScriptedTts
from agentvoicebox.workers.tts import TtsWork
from agentvoicebox.workers.urgent_threads import UrgentThreads

LIVES = 3  # as often as a job is handed out before it counts as dead


@settings(max_examples=40, deadline=None)
@given(
    text=st.text(alphabet="abc .", min_size=1, max_size=80),
    chunk_ms=st.lists(st.integers(20, 400), min_size=LIVES, max_size=LIVES),
    deaths=st.lists(st.integers(0, 6), max_size=LIVES - 1),
)
def test_p3_no_gap_no_duplicate_across_worker_deaths(text: str, chunk_ms: list[int], deaths: list[int]) -> None:
    asyncio.run(_play(text, chunk_ms, deaths))


async def _play(text: str, chunk_ms: list[int], deaths: list[int]) -> None:
    """Each worker renders with chunks of its own size; the first ones die after so many of them."""
    made = Bench(MemoryBroker(), JobKind.TTS)
    try:
        await made.speak(text)
        lives = [*deaths, None]
        attempts = [0]

        async def work(task: object) -> None:
            attempt = attempts[0]
            attempts[0] += 1
            tts = ScriptedTts(chunk_ms=chunk_ms[attempt], fails_after_chunks=lives[attempt])
            await TtsWork(tts, threads)(task)  # type: ignore[arg-type]

        threads = UrgentThreads(1, name="p3")
        async with made.worker(work):
            records = await made.until_last()
        threads.close()
    finally:
        await made.close()
    assert np.array_equal(audio_of(records), spoken_by(ScriptedTts(), text))
    assert [record.sequence for record in records] == list(range(1, len(records) + 1))
    assert [isinstance(said(record), SpeechDone) for record in records].count(True) == 1
    assert isinstance(said(records[-1]), SpeechDone)
