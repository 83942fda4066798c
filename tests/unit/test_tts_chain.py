"""Fallback and memory of voice engines, with scripted ones."""

from collections.abc import Iterator

import numpy as np
import pytest

from agentvoicebox.clock import ManualClock
from agentvoicebox.errors import BadProviderAnswer, ProviderUnavailable
from agentvoicebox.ports.providers import Int16Array, Tts
from agentvoicebox.ports.voice import Voice
from agentvoicebox.providers.tts.cache import CachedTts, PhraseCache
from agentvoicebox.providers.tts.chain import TtsChain
from agentvoicebox.providers.tts.scripted import ScriptedTts
from agentvoicebox.providers.tts.voices import clamped_speed


class Engine:
    """Says its own number; fails when told to."""

    def __init__(self, value: int, voice: str) -> None:
        self.value = value
        self.voice = voice
        self.is_broken = False
        self.breaks_in_the_middle = False
        self.calls = 0

    def voices(self) -> list[Voice]:
        return [Voice(self.voice, self.voice, "en-US")]

    def synthesize(self, text: str, *, voice: str, speed: float = 1.0) -> Iterator[Int16Array]:
        self.calls += 1
        if self.is_broken:
            raise BadProviderAnswer("broken")
        yield np.full(10, self.value, np.int16)
        if self.breaks_in_the_middle:
            raise BadProviderAnswer("broken in the middle")
        yield np.full(10, self.value, np.int16)


def heard(tts: Tts, voice: str = "") -> list[int]:
    return [int(chunk[0]) for chunk in tts.synthesize("hello", voice=voice)]


def missing() -> Tts:
    raise ProviderUnavailable("its model is not installed: type x")


def test_the_first_engine_speaks() -> None:
    one, two = Engine(1, "one"), Engine(2, "two")
    assert heard(TtsChain([("one", lambda: one), ("two", lambda: two)])) == [1, 1]
    assert two.calls == 0


@pytest.mark.requirement("A7")
def test_the_speed_of_the_deployment_multiplies_that_of_each_call() -> None:
    def length(chain: TtsChain, speed: float) -> int:
        return sum(chunk.size for chunk in chain.synthesize("one two three four", voice="", speed=speed))

    plain = TtsChain([("tone", ScriptedTts)])
    fast = TtsChain([("tone", ScriptedTts)], default_speed=1.5)
    assert length(fast, 1.0) == length(plain, 1.5) < length(plain, 1.0)
    assert length(fast, 0.5) == length(plain, 0.75)


def test_an_engine_that_is_missing_or_fails_hands_over_within_the_same_call() -> None:
    two, three = Engine(2, "two"), Engine(3, "three")
    two.is_broken = True
    chain = TtsChain([("one", missing), ("two", lambda: two), ("three", lambda: three)])
    assert heard(chain) == [3, 3]
    assert chain.failures() == {"one": "its model is not installed: type x", "two": "broken"}


def test_an_engine_that_failed_is_left_alone_for_a_while_and_then_tried_again() -> None:
    clock, one, two = ManualClock(), Engine(1, "one"), Engine(2, "two")
    chain = TtsChain([("one", lambda: one), ("two", lambda: two)], clock=clock, retry_after_s=30)
    one.is_broken = True
    assert heard(chain) == [2, 2]
    one.is_broken = False
    clock.advance(29)
    assert heard(chain) == [2, 2]
    assert one.calls == 1
    clock.advance(1)
    assert heard(chain) == [1, 1]
    assert chain.failures() == {}


def test_when_all_failed_lately_they_are_tried_again_rather_than_nothing() -> None:
    one = Engine(1, "one")
    one.is_broken = True
    chain = TtsChain([("one", lambda: one)], clock=ManualClock())
    with pytest.raises(ProviderUnavailable, match="no speech engine works: one: broken"):
        heard(chain)
    one.is_broken = False
    assert heard(chain) == [1, 1]


def test_no_other_voice_goes_on_in_the_middle_of_a_sentence() -> None:
    one, two = Engine(1, "one"), Engine(2, "two")
    one.breaks_in_the_middle = True
    chain = TtsChain([("one", lambda: one), ("two", lambda: two)], clock=ManualClock())
    with pytest.raises(BadProviderAnswer):
        heard(chain)
    assert two.calls == 0
    assert heard(chain) == [2, 2]  # the next sentence is another matter


def test_a_voice_is_spoken_by_the_engine_that_owns_it() -> None:
    one, two = Engine(1, "one"), Engine(2, "two")
    chain = TtsChain([("one", lambda: one), ("two", lambda: two)])
    chain.warm_up()
    one.is_broken = True
    heard(chain)  # loads the second
    one.is_broken = False
    assert heard(chain, "two") == [2, 2]


def test_a_voice_finds_its_engine_before_that_is_loaded() -> None:
    one, two = Engine(1, "one"), Engine(2, "two")
    chain = TtsChain([("one", lambda: one), ("two", lambda: two)], voice_engines={"bella": "two"})
    assert heard(chain, "bella") == [2, 2]
    assert heard(chain, "alloy") == [1, 1]


def test_warm_up_names_the_engine_that_will_speak() -> None:
    assert TtsChain([("one", missing), ("two", lambda: Engine(2, "two"))]).warm_up() == "two"


def test_closing_a_speech_ends_it_without_an_error() -> None:
    speech = TtsChain([("tone", lambda: ScriptedTts(chunk_ms=20))]).synthesize("a long sentence", voice="")
    next(speech)
    speech.close()
    assert list(speech) == []


def test_a_phrase_is_rendered_once() -> None:
    engine = Engine(1, "one")
    cached = CachedTts("one", engine, PhraseCache())
    assert heard(cached) == heard(cached) == [1, 1]
    assert engine.calls == 1


def test_openai_names_share_one_rendering_with_the_default_voice() -> None:
    engine = Engine(1, "one")
    cached = CachedTts("one", engine, PhraseCache())
    for name in ("alloy", "verse", ""):
        heard(cached, name)
    assert engine.calls == 1


def test_a_phrase_that_was_broken_off_is_not_kept() -> None:
    engine, cache = Engine(1, "one"), PhraseCache()
    speech = CachedTts("one", engine, cache).synthesize("hello", voice="")
    next(speech)
    speech.close()
    assert cache.counts.phrases == 0
    engine.breaks_in_the_middle = True
    with pytest.raises(BadProviderAnswer):
        heard(CachedTts("one", engine, cache))
    assert cache.counts.phrases == 0


def test_engines_of_one_cache_keep_apart() -> None:
    cache = PhraseCache()
    assert heard(CachedTts("one", Engine(1, "one"), cache)) == [1, 1]
    assert heard(CachedTts("two", Engine(2, "two"), cache)) == [2, 2]


def test_the_cache_never_outgrows_its_room_and_drops_the_least_lately_used() -> None:
    cache = PhraseCache(most_bytes=8000)
    for number in range(20):
        cache.put(("e", str(number), "", 1.0), [np.zeros(400, np.int16)])
        cache.get(("e", "0", "", 1.0))
        assert cache.counts.size_bytes <= 8000
    assert cache.get(("e", "0", "", 1.0)) is not None
    assert cache.get(("e", "1", "", 1.0)) is None
    assert cache.counts.phrases == 10


def test_one_huge_phrase_does_not_empty_the_cache() -> None:
    cache = PhraseCache(most_bytes=8000)
    cache.put(("e", "small", "", 1.0), [np.zeros(10, np.int16)])
    cache.put(("e", "huge", "", 1.0), [np.zeros(3000, np.int16)])
    assert cache.get(("e", "small", "", 1.0)) is not None
    assert cache.get(("e", "huge", "", 1.0)) is None


def test_a_phrase_that_was_said_costs_nothing_later() -> None:
    engine = Engine(1, "one")
    cached = CachedTts("one", engine, PhraseCache())
    assert np.array_equal(heard(cached), heard(cached))
    assert engine.calls == 1


@pytest.mark.parametrize(("asked", "got"), [(0.1, 0.25), (1.5, 1.5), (9.0, 2.0), (float("nan"), 1.0)])
def test_speed_stays_in_range(asked: float, got: float) -> None:
    assert clamped_speed(asked) == got
