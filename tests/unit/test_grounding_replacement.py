"""The answer that takes the place of a refused sentence: to the question that was asked, once a reply."""

import pytest
from tests.kit.grounding_corpus import facts_of, scenes

from agentvoicebox_delivery.grounding.acts import Act, ActName, Manner, worded
from agentvoicebox_delivery.grounding.grounder import Grounder, check_whole

pytestmark = pytest.mark.requirement("C3")


def heard(scene: str, text: str) -> str:
    grounder = Grounder(facts_of(scene))
    return "".join([*grounder.feed(text), *grounder.flush()]).strip()


@pytest.mark.parametrize(
    ("scene", "answer"),
    [
        ("hotline_way_when", "It should arrive on Saturday."),
        ("hotline_way_where", "It was last seen in Hamburg today."),
        ("hotline_way_tomorrow", "No, it should arrive on Saturday."),
        ("hotline_way_saturday", "Yes, it should arrive on Saturday."),
        ("hotline_way_carrier", "It's with DHL."),
        ("hotline_way_time", "I'm sorry, I can't see what time it will come. Please ask DHL."),
        ("hotline_way_neighbour", "I'm sorry, I can't change the delivery. Please ask DHL."),
        ("hotline_done_who", "I'm sorry, I can't see who signed for it. Please ask Royal Mail."),
        ("hotline_late_why", "I'm sorry, I can't see why that is. Please ask GLS."),
        ("hotline_late_refund", "I'm sorry, I can't help you with refunds."),
        ("hotline_late_unknown", "I don't have an expected date for it yet."),
        ("hotline_duty_pay", "I'm sorry, I can't see whether there are any charges. Please ask FedEx."),
        ("hotline_shop_until", "I'm sorry, I can't see how long it will be kept. Please ask Evri."),
        ("hotline_both_first", "It should arrive on Saturday."),
        ("hotline_way_yet", "It is on its way."),
        ("asks_delivered", "No, it is on its way."),
        ("hotline_trouble_how", "There's a delivery problem with it."),
        ("hotline_way_thanks", "You're welcome."),
        ("hotline_late_angry", "I'm very sorry about that. It should arrive on Monday."),
        ("hotline_missing_again", "I couldn't find a parcel with that number."),
        ("hotline_start_person", "I can't transfer you to a person; I can only look up parcels."),
        ("hotline_start_small", "Hello. What's your tracking number?"),
        ("hotline_void_who", "It has been cancelled by the sender."),
    ],
)
def test_a_false_sentence_becomes_the_answer_to_the_question(scene: str, answer: str) -> None:
    assert heard(scene, "It was eaten by a whale. Its driver is called Dave.") == answer


def test_a_refused_clause_takes_its_whole_sentence() -> None:
    text = "Thanks for waiting! It's in transit with DHL, and it should arrive tomorrow. Is there anything else?"
    said = heard("hotline_way", text)
    assert said.startswith("Thanks for waiting! Your parcel ending in zero four one seven is on its way.")
    assert said.endswith("It should arrive on Saturday. Is there anything else?") and said.count("on its way") == 1


def test_an_announcement_is_said_before_a_tool_call_only() -> None:
    grounder = Grounder(facts_of("empty"))
    assert grounder.feed("I'll check that for you. ") == []
    assert grounder.flush(is_replacing=False) == ["I'll check that for you. "]
    assert heard("hotline_way", "I'll check that for you. It's on its way.") == "It's on its way."
    assert heard("empty", "I'll look it up for you. What's the tracking number?").startswith("I'll look it up")


@pytest.mark.parametrize("scene", sorted(scenes()))
@pytest.mark.parametrize("manner", list(Manner))
def test_all_words_of_the_builder_pass_the_check(scene: str, manner: Manner) -> None:
    facts = facts_of(scene)
    topics = (
        "",
        "time_of_day",
        "sender",
        "signature",
        "reason",
        "exact_place",
        "charges",
        "how_long",
        "change_delivery",
    )
    for name in ActName:
        for topic in topics if name in (ActName.NOT_KNOWN, ActName.CANNOT) else ("",):
            said = worded(Act(name, facts.latest, manner, topic, is_named=name is ActName.STATUS), facts)
            refused = [verdict.reason for verdict in check_whole(said, facts) if not verdict.allowed]
            assert refused == [], said
