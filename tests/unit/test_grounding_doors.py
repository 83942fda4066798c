"""What the check lets through in free words, and the falsehood that tries to use the same door."""

import pytest
from tests.kit.grounding_corpus import corpus, facts_of, passes

from agentvoicebox_delivery.grounding.grounder import check_whole

pytestmark = pytest.mark.requirement("C3")

CLAUSES_REFUSED_AT_MOST = 0.05


@pytest.mark.parametrize(
    ("scene", "true", "false"),
    [
        # a free part beside a statement
        (
            "hotline_way",
            "I wish I could tell you more, but it's in transit.",
            "I wish I could tell you more, but it's been delivered.",
        ),
        ("hotline_way", "It's due on Saturday, though that can change.", "It's due on Saturday, though it's delayed."),
        # advice
        (
            "hotline_way",
            "Your best bet is to get in touch with DHL.",
            "Your best bet is to get in touch with the driver.",
        ),
        (
            "hotline_way",
            "DHL would be the one to ask, since they handle deliveries.",
            "DHL would be the one to ask, since they damaged it.",
        ),
        ("hotline_way", "Please ask DHL, they may be able to help.", "Please ask DHL, the driver forgot it."),
        ("hotline_late_refund", "The seller should be able to help.", "The seller will give you another one."),
        # limits
        ("hotline_late_why", "No explanation was given.", "No explanation for the return was given."),
        ("hotline_way_time", "I'm not sure, sorry.", "I'm not sure, but in the morning."),
        ("hotline_trouble_what", "I really don't know, sorry!", "I really don't know, it was damaged."),
        # how long a caller says to have waited
        ("hotline_late_angry", "Three weeks is a long time to wait.", "Four weeks is a long time to wait."),
        # what a source says
        ("hotline_way", "DHL is expecting it to arrive on Saturday.", "DHL is expecting it to arrive on Friday."),
        ("hotline_way", "The latest update I have is from Hamburg.", "The latest update I have is from Bremen."),
        (
            "hotline_done",
            "Royal Mail recorded the delivery in Norwich.",
            "Royal Mail recorded the delivery in Ipswich.",
        ),
        # sympathy and talk
        (
            "hotline_late_angry",
            "I don't blame you, I'd be cross, too!",
            "I don't blame you, the driver was cross, too!",
        ),
        ("hotline_way_thanks", "I hope it arrives soon.", "I hope it arrives without more damage."),
    ],
)
def test_free_words_pass_and_a_falsehood_through_the_same_door_does_not(scene: str, true: str, false: str) -> None:
    assert passes(scene, true)
    assert not passes(scene, false)


@pytest.mark.parametrize(
    ("scene", "text"),
    [
        ("hotline_way_when", "I don't know yet, sorry!"),
        ("hotline_way_carrier", "I wish I knew!"),
        ("hotline_way_where", "That's the one thing I can't see."),
    ],
)
def test_what_the_results_hold_is_not_said_to_be_unknown(scene: str, text: str) -> None:
    assert not passes(scene, text)


def test_an_arrival_is_hoped_for_only_while_the_parcel_is_awaited() -> None:
    assert passes("hotline_way_thanks", "I hope it gets to you safely.")
    assert not passes("hotline_done", "I hope it gets to you safely.")


def test_a_request_without_a_question_mark_keeps_what_was_announced() -> None:
    assert passes("hotline_start", "I'll take a look. Please read me your tracking number.")
    assert not passes("hotline_start", "I'll take a look. It's a nice day.")


def test_of_the_development_corpora_nothing_false_passes_and_little_is_refused() -> None:
    assert [line.text for line in corpus("hotline_adversarial_development") if passes(line.scene, line.text)] == []
    verdicts = [
        each for line in corpus("hotline_honest_development") for each in check_whole(line.text, facts_of(line.scene))
    ]
    assert sum(not each.allowed for each in verdicts) <= CLAUSES_REFUSED_AT_MOST * len(verdicts)
