"""What is spelled and what is read."""

import pytest

from agentvoicebox.providers.tts.text import speakable, spelled


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("Your number is AB123456789.", "Your number is A B 1, 2 3 4, 5 6 7, 8 9."),
        ("It is 784512, right?", "It is 7 8 4, 5 1 2, right?"),
        ("Parcel JD-0002-129 left.", "Parcel J D 0, 0 0 2, 1 2 9 left."),
        ("1Z999AA10123456784", "1 Z 9, 9 9 A, A 1 0, 1 2 3, 4 5 6, 7 8 4"),
        ("See https://example.com/track now", "See a link now"),
        ("**Good** news: `delivered`", "Good news: delivered"),
    ],
)
def test_codes_are_spelled_in_small_groups(text: str, spoken: str) -> None:
    assert speakable(text) == spoken


@pytest.mark.parametrize(
    "text",
    [
        "It arrives on 22 November 2026 between 9 and 11.",
        "That is 1,500 euros and 12.50 more.",
        "Delivered on the 21st at 10:30.",
        "On 2026-11-22 we sent it.",
        "DHL has it.",
        "Between nine and eleven.",
        "It weighs 1200g.",
        "Five o'clock, well-known place.",
    ],
)
def test_ordinary_words_dates_and_prices_are_left_alone(text: str) -> None:
    assert speakable(text) == text


@pytest.mark.parametrize("text", ["", "   ", "...", "—", "***"])
def test_nothing_speakable_is_empty(text: str) -> None:
    assert speakable(text) == ""


def test_no_character_of_a_code_is_lost() -> None:
    for length in range(1, 40):
        code = "".join("A7BK9"[n % 5] for n in range(length))
        assert spelled(code).replace(", ", "").replace(" ", "") == code
