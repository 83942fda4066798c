"""Which words sound finished."""

import pytest

from agentvoicebox.turns.rules import UNKNOWN, incompleteness, is_short_answer


@pytest.mark.parametrize(
    "text",
    [
        "Where is my parcel?",
        "Hello, I would like to know where my parcel is.",
        "Can you tell me what it is for?",
        "Yes.",
        "Yes, it is.",
        "No thank you.",
        "That's all I need.",
        "I don't have a tracking number.",
        "It was sent on the 5th of May.",
        "Is it possible to change the address?",
        "I'd like to know when it comes.",
    ],
)
def test_finished(text: str) -> None:
    assert incompleteness(text) <= 0.3


@pytest.mark.parametrize(
    "text",
    [
        "My tracking number is",
        "My tracking number is.",
        "It's coming to",
        "I sent it on",
        "My",
        "um",
        "It starts with A, um",
        "I sent it in May and",
        "Well, I ordered it last week,",
        "I was wondering...",
        "I\u2019m",
        "Can you",
        "Can you tell me?",
        "I want to know when.",
        "I was wondering if",
        "And where?",
        "Hold on a second.",
        "Okay, let me see.",
        "My tracking number",
        "The number is A",
        "Double",
        "It's 4 7 double",
    ],
)
def test_unfinished(text: str) -> None:
    assert incompleteness(text) >= 0.7


@pytest.mark.parametrize(
    "text",
    [
        "I ordered it last week.",
        "Hi, my mum sent me a parcel.",
        "It says delivered.",
        "I was at home all day",
        "I got a card saying you were here.",
    ],
)
def test_who_only_tells_what_happened_has_not_said_yet_what_he_wants(text: str) -> None:
    assert UNKNOWN < incompleteness(text) < 0.8


@pytest.mark.parametrize(
    "text",
    [
        "I ordered it last week and it hasn't arrived.",
        "The driver left it at the wrong house.",
        "My parcel is late.",
        "I lost the number.",
        "It was sent on Monday.",
        "Has it arrived?",
    ],
)
def test_trouble_a_request_or_a_question_is_what_he_wants(text: str) -> None:
    assert incompleteness(text) <= 0.3


@pytest.mark.parametrize(
    "text",
    [
        "1 Z 9 9 9",
        "It's p kg",
        "My number is pk.",
        "It's A B 1 2",
        "four five six",
        "alpha bravo double nine",
        "It is 12",
    ],
)
def test_a_number_that_is_too_short_is_unfinished(text: str) -> None:
    assert incompleteness(text) >= 0.7


@pytest.mark.parametrize("text", ["A B 1 2 3 4 5 6", "one two three four five six seven", "9 4 oh oh triple 1"])
def test_a_number_that_may_go_on_is_undecided(text: str) -> None:
    assert 0.5 < incompleteness(text) < 0.7


@pytest.mark.parametrize("text", ["one two three four five six seven eight nine zero", "9865 7878 8855 1234"])
def test_a_number_of_a_common_length_is_probably_finished(text: str) -> None:
    assert incompleteness(text) <= 0.3


@pytest.mark.parametrize("text", ["It comes at 10 30", "Since May 2024", "three parcels", "Plan B"])
def test_other_numbers_are_no_tracking_numbers(text: str) -> None:
    assert incompleteness(text) <= UNKNOWN


@pytest.mark.parametrize("text", ["Hello.", "Good morning", "Can I ask?"])
def test_a_greeting_or_a_short_question_may_go_on(text: str) -> None:
    assert 0.3 <= incompleteness(text) <= UNKNOWN


@pytest.mark.parametrize(
    "text",
    ["Yes.", "No", "Yes, please.", "That's right", "No, that's wrong.", "Yeah, it\u2019s right.", "No, thank you."],
)
def test_short_answers(text: str) -> None:
    assert is_short_answer(text)


@pytest.mark.parametrize(
    "text", ["Yes,", "Yes, and", "Yes...", "No, it's", "", "Yes, where is it?", "My parcel is late."]
)
def test_these_are_no_short_answers(text: str) -> None:
    assert not is_short_answer(text)


@pytest.mark.parametrize("text", ["", "   ", "...", "?!"])
def test_no_words_tell_nothing(text: str) -> None:
    assert incompleteness(text) == UNKNOWN
