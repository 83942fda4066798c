"""What a recogniser must not be believed."""

import numpy as np
import pytest

from agentvoicebox.providers.stt.cutting import quietest_cut
from agentvoicebox.providers.stt.guards import is_silent, loop_start, without_echo


@pytest.mark.parametrize("count", [0, 1, 319, 320, 16_000])
def test_a_dead_line_is_silent(count: int) -> None:
    assert is_silent(np.zeros(count, np.int16))


def test_one_short_sound_is_enough_not_to_be_silent() -> None:
    line = np.zeros(16_000, np.int16)
    line[8_000:8_320] = 500
    assert not is_silent(line)


def test_the_hiss_of_a_quiet_line_is_silent_and_a_whisper_is_not() -> None:
    noise = np.random.default_rng(0).standard_normal(16_000)
    assert is_silent((noise * 5).astype(np.int16))
    assert not is_silent((noise * 60).astype(np.int16))


def test_a_phrase_that_goes_round_is_cut_after_its_first_round() -> None:
    assert loop_start([9, 8, *[1, 2, 3] * 8]) == 5
    assert loop_start([7, *[4] * 30]) == 2


def test_a_round_may_be_broken_off_in_the_middle() -> None:
    assert loop_start([9, *[1, 2, 3, 4] * 6, 1, 2]) == 5


@pytest.mark.parametrize(
    "tokens",
    [
        [],
        [5, 5, 5, 5, 5, 5],  # a caller who spells 555555
        [1, 2] * 5,
        list(range(200)),
        [*[1, 2, 3] * 8, 4],  # it found its way out
    ],
)
def test_what_people_say_is_no_loop(tokens: list[int]) -> None:
    assert loop_start(tokens) is None


@pytest.mark.parametrize(
    ("text", "seconds", "said"),
    [
        ("I don't have the number. I don't have the number", 1.9, "I don't have the number."),
        ("Well, no number. I don't have it. I don't have it.", 1.9, "Well, no number. I don't have it."),
        ("Hello. I don't have the number! I don't have the number.", 2.0, "Hello. I don't have the number!"),
        ("I don't have the number. I don't have the number.", 3.2, "I don't have the number. I don't have the number."),
        ("No. No. No. No.", 0.6, "No. No. No. No."),
        ("It is 1 2 3. It is 1 2 3.", 0.9, "It is 1 2 3. It is 1 2 3."),
        ("It is P K G. It is P K G.", 0.9, "It is P K G. It is P K G."),
        ("", 0.0, ""),
    ],
)  # fmt: skip
def test_a_sentence_that_stands_there_twice_was_said_once_if_there_was_no_time_for_more(
    text: str, seconds: float, said: str
) -> None:
    assert without_echo(text, seconds) == said


def test_a_long_utterance_is_cut_in_its_pause() -> None:
    sound = (np.random.default_rng(0).standard_normal(16_000 * 26) * 3000).astype(np.int16)
    sound[16_000 * 20 : 16_000 * 20 + 4_800] = 0
    assert 16_000 * 20 <= quietest_cut(sound) <= 16_000 * 20 + 4_800


def test_a_pause_too_near_the_ends_is_not_taken() -> None:
    sound = (np.random.default_rng(0).standard_normal(16_000 * 26) * 3000).astype(np.int16)
    sound[:16_000] = 0
    assert quietest_cut(sound) >= 16_000 * 15


def test_short_audio_has_no_cut() -> None:
    with pytest.raises(ValueError, match="no cut"):
        quietest_cut(np.zeros(16_000, np.int16))
