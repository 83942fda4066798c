"""Free words: sympathy, small talk, questions, advice and limits pass; a fact among them does not."""

import pytest
from tests.kit.grounding_corpus import facts_of

from agentvoicebox_delivery.grounding.grounder import check_whole

pytestmark = pytest.mark.requirement("C3")


def passes(text: str, scene: str = "hotline_way") -> bool:
    return all(verdict.allowed for verdict in check_whole(text, facts_of(scene)))


@pytest.mark.parametrize(
    "text",
    [
        "I completely understand your frustration, and I'm truly sorry.",
        "You have every right to be upset, and I apologise.",
        "Waiting is never fun!",
        "Great question!",
        "That must be really stressful.",
        "Have you checked with the neighbours?",
        "Could you give me the rest?",
        "Please contact DHL directly.",
        "DHL may be able to help you with that.",
        "I can't see the reason for the delay.",
        "I don't have a live location, I'm afraid.",
        "No idea about the hour, sorry!",
    ],
)
def test_words_without_a_fact_pass(text: str) -> None:
    assert passes(text)


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, the machine ate it.",
        "I understand the van broke down.",
        "I know the box was open.",
        "I hope it survives the flood.",
        "I'm sorry, you'll be compensated.",
        "I can't see who stole it.",
        "I can't tell you why it was damaged.",
        "I can't tell you why it was stolen.",
        "I can't see why it was delivered to the wrong house.",
        "Could you check with the neighbour who took it?",
        "Is it damaged, like the other one?",
        "Thank you for collecting it.",
        "You can call them on their hotline.",
        "Please look under the mat.",
        "Please give the driver this code.",
        "The sender may have cancelled it.",
        "Would you like me to cancel it?",
        "DHL will pay you back.",
        "Please tell me your credit card number.",
        "It seems fine.",
        "There it is!",
        "Glad it worked out!",
    ],
)
def test_a_fact_among_free_words_does_not_pass(text: str) -> None:
    assert not passes(text)


@pytest.mark.parametrize(("scene", "is_true"), [("hotline_back_why", True), ("hotline_way", False)])
def test_what_a_limit_takes_for_granted_must_be_so(scene: str, is_true: bool) -> None:
    assert passes("I can't see why it was returned.", scene) is is_true
