"""Lines that are known before a call come from the cache of the speech engine."""

import re
from collections.abc import Iterator

import numpy as np
import pytest
from tests.kit.speech import spoken_by

from agentvoicebox.engine.segmenter import Segmenter
from agentvoicebox.providers.tts.cache import CachedTts, PhraseCache
from agentvoicebox.providers.tts.scripted import ScriptedTts
from agentvoicebox.wire.session_config import SessionConfig
from agentvoicebox.workers.prepared_lines import MOST_SEGMENTS, prepare, segments_of
from agentvoicebox.workers.urgent_threads import UrgentThreads
from agentvoicebox_delivery.kit import DeliveryKit

VOICE = SessionConfig(id="", model="", expires_at=0).voice


@pytest.fixture
def threads() -> Iterator[UrgentThreads]:
    made = UrgentThreads(1, name="t")
    yield made
    made.close()


def test_prepared_segments_are_those_that_are_spoken() -> None:
    line = "Hello there, my friend. I can look that up. What's the number?"
    segmenter, spoken = Segmenter(), []
    for word in re.findall(r"\s*\S+", line):
        spoken += segmenter.feed(word)
    assert segments_of([line, line]) == [*spoken, *segmenter.flush()]
    assert spoken[0] == "Hello there,"


async def test_a_prepared_line_comes_from_the_cache_and_sounds_the_same(threads: UrgentThreads) -> None:
    cache = PhraseCache()
    tts = CachedTts("scripted", ScriptedTts(), cache)
    lines = DeliveryKit().prepared_lines()
    await prepare(tts, threads, lines)
    assert cache.counts.hits == 0 and cache.counts.phrases == len(segments_of(lines)) > 5
    heard = spoken_by(tts, "What's the tracking number?", voice=VOICE)
    assert cache.counts.hits == 1
    assert np.array_equal(heard, spoken_by(ScriptedTts(), "What's the tracking number?"))


async def test_no_more_is_prepared_than_the_bound(threads: UrgentThreads) -> None:
    cache = PhraseCache()
    await prepare(
        CachedTts("scripted", ScriptedTts(), cache), threads, [f"Line {n}." for n in range(MOST_SEGMENTS + 9)]
    )
    assert cache.counts.phrases == MOST_SEGMENTS


async def test_an_engine_that_fails_ends_the_preparation_and_nothing_else(threads: UrgentThreads) -> None:
    cache = PhraseCache()
    tts = CachedTts("scripted", ScriptedTts(chunk_ms=50, fails_after_chunks=1), cache)
    await prepare(tts, threads, ["What's the tracking number?"])
    assert cache.counts.phrases == 0
