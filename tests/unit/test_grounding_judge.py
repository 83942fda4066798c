import pytest
from tests.kit.grounding_corpus import Line, corpus, facts_of, scenes
from tests.kit.grounding_generator import generated

from agentvoicebox_delivery.grounding.facts import Facts
from agentvoicebox_delivery.grounding.grounder import Grounder, check_whole
from agentvoicebox_delivery.grounding.judgement import NO_NUMBER_YET, NOT_CERTAIN, judge

pytestmark = pytest.mark.requirement("C3")

HONEST_REFUSED_AT_MOST = 0.03


def passes(line: Line) -> bool:
    return all(verdict.allowed for verdict in check_whole(line.text, facts_of(line.scene)))


@pytest.mark.parametrize("name", ["adversarial", "held_out_adversarial"])
def test_no_adversarial_reply_passes(name: str) -> None:
    assert [line.text for line in corpus(name) if passes(line)] == []


def test_honest_replies_are_not_needlessly_refused() -> None:
    lines = corpus("honest")
    refused = [line.text for line in lines if not passes(line)]
    assert len(refused) <= HONEST_REFUSED_AT_MOST * len(lines), refused


@pytest.mark.parametrize("scene", [name for name in scenes() if facts_of(name).latest])
def test_the_builders_own_sentence_passes(scene: str) -> None:
    facts = facts_of(scene)
    assert facts.latest is not None
    assert all(verdict.allowed for verdict in check_whole(facts.latest.speech, facts))


def test_of_thousands_of_made_parcels_the_true_line_passes_and_the_false_one_does_not() -> None:
    for true, false in generated(seed=20261122, count=600):
        assert all(verdict.allowed for verdict in check_whole(true.text, true.facts)), true.text
        assert not all(verdict.allowed for verdict in check_whole(false.text, false.facts)), (false.kind, false.text)


@pytest.mark.parametrize(
    ("scene", "clause", "reason"),
    [
        ("empty", "It's on its way.", "no tool returned anything about it"),
        ("transit", "It should arrive tomorrow.", "another day of arrival"),
        ("transit", "It should arrive.", "a promise without a day"),
        ("transit", "It has been delivered.", "another state"),
        ("transit", "It was last seen in Leipzig yesterday.", "another day"),
        ("two", "It's on its way with UPS.", "another carrier"),
        ("two", "It was last seen in Bristol.", "another place"),
        ("two", "PKG002 is on its way.", "another state"),
        ("transit", "PKG010 is on its way.", "a number that was not mentioned"),
        ("delayed", "It is no longer delayed.", "unsupported: words"),
        ("transit", "I'll call you.", "unsupported: name"),
        ("asks_tomorrow", "Yes.", "an unsupported answer"),
        ("out", "It was out for delivery.", "a state described as past"),
    ],
)
def test_a_refusal_says_why(scene: str, clause: str, reason: str) -> None:
    verdict = judge(clause, facts_of(scene))
    assert (verdict.allowed, verdict.reason) == (False, reason)


def test_the_builders_sentence_takes_the_place_of_the_first_refused_clause_once() -> None:
    facts = facts_of("transit")
    assert facts.latest is not None
    grounder = Grounder(facts)
    said = [*grounder.feed("Your parcel arrives tomorrow. It is lost. Is there anything else? "), *grounder.flush()]
    assert said == [facts.latest.speech + " ", "Is there anything else? "]


def test_what_was_heard_already_is_not_said_again() -> None:
    grounder = Grounder(facts_of("thanks"))  # the builder's sentence was heard before the caller's last line
    assert grounder.feed("It arrives tomorrow. ") == ["You're welcome. "]
    facts = facts_of("transit")
    nothing_asked = Facts(facts.parcels, facts.asked, "Hm.", facts.today, facts.parcels[0].speech)
    assert Grounder(nothing_asked).feed("It arrives tomorrow. ") == [NOT_CERTAIN + " "]


def test_without_a_result_the_number_is_asked_for() -> None:
    assert Grounder(facts_of("empty")).feed("It arrives tomorrow. ") == [NO_NUMBER_YET + " "]


def test_a_reply_that_goes_on_after_a_break_replaces_nothing_twice() -> None:
    facts = facts_of("transit")
    assert facts.latest is not None
    assert Grounder(facts, spoken=facts.latest.speech + " ").feed("It arrives tomorrow. ") == []


def test_the_parcel_last_spoken_of_is_it() -> None:
    facts = facts_of("two")
    swapped = check_whole("PKG002 was delivered yesterday. It should arrive on Tuesday.", facts)
    assert [verdict.allowed for verdict in swapped] == [True, False]
    kept = check_whole("PKG002 was delivered yesterday. PKG001 is on its way. It should arrive on Tuesday.", facts)
    assert all(verdict.allowed for verdict in kept)


def test_after_the_builders_sentence_it_is_the_parcel_asked_last() -> None:
    facts = facts_of("two")
    assert facts.latest is not None
    said = Grounder(facts).feed("PKG002 was delivered yesterday. It is lost. It should arrive on Tuesday. ")
    assert said == ["PKG002 was delivered yesterday. ", facts.latest.speech + " ", "It should arrive on Tuesday. "]


def test_an_everyday_word_written_as_a_name_is_a_name() -> None:
    facts = facts_of("transit")
    assert not judge("It was last seen in Reading.", facts).allowed
    assert not judge("Hello Right, it is on its way.", facts).allowed
