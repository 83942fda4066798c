"""Combinations of known words that once passed although they were false; and promises."""

import pytest
from tests.kit.grounding_corpus import corpus, facts_of, passes

from agentvoicebox_delivery.grounding.grounder import check_whole

pytestmark = pytest.mark.requirement("C3")


@pytest.mark.parametrize(
    ("scene", "false", "true"),
    [
        (
            "two",
            "The second one is on its way with DHL, and the first one as well.",
            "The second one is on its way with DHL.",
        ),
        ("two", "It's on its way. The other one too.", "It's on its way."),
        ("delivered", "It was delivered just now.", "It was delivered yesterday."),
        ("delivered", "It arrived right now.", "It arrived yesterday."),
        (
            "asks_tomorrow",
            "Absolutely, is there anything else I can help with?",
            "Is there anything else I can help with?",
        ),
        ("hotline_start_tomorrow", "Sure, anything else?", "What's the tracking number?"),
        ("out", "It should arrive today, but it is not.", "It should arrive today."),
        ("transit", "It is on its way. No, it is not.", "It is on its way."),
        ("transit", "It is on its way. That is wrong.", "It is on its way."),
        ("cancelled", "It has been cancelled by DPD.", "It has been cancelled by the sender."),
        ("hotline_trouble_how", "Fine.", "There's a problem with the delivery."),
        ("transit", "I can't look up parcels right now.", "I can only look up parcels."),
    ],
)
def test_a_hole_is_closed_and_the_honest_sentence_beside_it_passes(scene: str, false: str, true: str) -> None:
    assert not passes(scene, false)
    assert passes(scene, true)


@pytest.mark.parametrize(
    "text",
    [
        "I will look into it for you right away.",
        "I will find out.",
        "I will find your parcel.",
        "I'll check on it again now.",
        "I will try again.",
        "I've asked the driver to ring twice.",
    ],
)
def test_a_promise_that_nothing_follows_is_not_said(text: str) -> None:
    assert not passes("transit", text)


def test_a_day_of_arrival_that_has_passed_is_not_promised() -> None:
    assert not passes("hotline_overdue", "It should arrive on Monday.")
    assert passes("hotline_overdue", "It was expected on Monday, but it hasn't been recorded as delivered.")


def test_of_the_hotline_corpora_nothing_false_passes_and_little_is_refused() -> None:
    for half in ("seen", "unseen"):
        false = [line for line in corpus(f"hotline_adversarial_{half}") if passes(line.scene, line.text)]
        assert len(false) == 0, half
    verdicts = [each for line in corpus("hotline_honest_seen") for each in check_whole(line.text, facts_of(line.scene))]
    assert sum(not each.allowed for each in verdicts) <= 0.05 * len(verdicts)
