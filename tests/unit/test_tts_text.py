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


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("Great 👍🎉, your order is ready 😀.", "Great, your order is ready."),
        ("✅ Done", "Done"),
        ("Oslo → Rome ⇒ home ➡️", "Oslo Rome home"),
        ("A family 👨‍👩‍👧‍👦!", "A family!"),
        ("Thumbs 👍🏽 up", "Thumbs up"),
        ("Flag 🇳🇴 of Norway", "Flag of Norway"),
        ("Press 1️⃣ now", "Press 1 now"),
        ("Half \ud83d of it", "Half of it"),
        ("Private \ue000 use", "Private use"),
        ("❤️ you ☎️", "you"),
        ("[Our page](https://x.example/a?b=c) has it.", "Our page has it."),
        ("![A map](map.png) Here.", "A map Here."),
        ("See https://example.com/track. Then call.", "See a link. Then call."),
        ("See www.example.com for more", "See a link for more"),
        ("(laughs) Of course!", "Of course!"),
        ("*smiles warmly* Hello.", "Hello."),
        ("[sighs] Well, no.", "Well, no."),
        ("Yes (chuckles), sure.", "Yes, sure."),
        ("*clears throat* So.", "So."),
        ('<tool_call>{"name": "book_table", "arguments": {"time": "8"}}</tool_call>', ""),
        ('Sure. {"name": "book_table", "arguments": {"at": {"hour": 8}}} Done.', "Sure. Done."),
        ('{"name": "book_table", "arguments": {"time":', ""),
        ('<function=book_table>{"a": 1}', ""),
        ("<think>hmm</think> Hello.", "Hello."),
        ("<b>Good</b> news", "Good news"),
        ("# Title\n- one\n- two", "Title - one - two"),
    ],
)
def test_what_is_only_seen_is_not_said(text: str, spoken: str) -> None:
    assert speakable(text) == spoken


@pytest.mark.parametrize(
    "text",
    [
        "Call (555) 123 now.",
        "It is (as I said) on its way.",
        "The red button (pauses the timer) is broken.",
        "It is 20 °C and 5 \u00d7 3 = 15.",
        "It costs €5, £4 or $3.",
        "Acme™ is here, and so is José.",
        "你好\uff0c世界",
        "Привет, мир",
        "नमस्ते",
        "Say “hello” … please",
    ],
)
def test_ordinary_parentheses_signs_and_scripts_stay(text: str) -> None:
    assert speakable(text) == text


def test_emphasis_is_said() -> None:
    assert speakable("This is *very* important, _really_.") == "This is very important, really ."


@pytest.mark.parametrize("text", ["👍", "😀 🎉", "→", "(laughs)", "\ud83d", "🇳🇴"])
def test_only_pictures_are_no_sound(text: str) -> None:
    assert speakable(text) == ""
