"""The delivery agent's evidence: the reader that looks numbers up says whether they are complete."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentvoicebox.turns.agent_evidence import ExpectedAnswer, Proof
from agentvoicebox.turns.rules import UNKNOWN
from agentvoicebox_delivery.dialogue import phrases
from agentvoicebox_delivery.kit import DeliveryKit
from agentvoicebox_delivery.parcel_evidence import ParcelEvidence
from agentvoicebox_delivery.parcels import reply, tool_schema, track

pytestmark = pytest.mark.requirement("C12")

EVIDENCE = ParcelEvidence()
ANYTHING, NUMBER = ExpectedAnswer.ANYTHING, ExpectedAnswer.NUMBER


def doubt(text: str, expected: ExpectedAnswer = NUMBER) -> float:
    found = EVIDENCE.doubt(text, expected)
    assert found is not None
    return found


def guess(tracking_id: str) -> str:
    """The look-up's output for a number that is to be read back."""
    return track.LookupOutcome(track.CONFIRM, reply.confirm(tracking_id), {"tracking_id": tracking_id}).as_json()


@given(st.text(max_size=400), st.sampled_from(ExpectedAnswer))
def test_no_text_is_too_odd_for_it(text: str, expected: ExpectedAnswer) -> None:
    found = EVIDENCE.doubt(text, expected)
    assert found is None or 0 <= found <= 1
    assert EVIDENCE.expects(text) in ExpectedAnswer
    assert EVIDENCE.proves(tool_schema.NAME, text, text) in Proof
    assert EVIDENCE.proves(tool_schema.NAME, guess("PKG004"), text) in Proof


def test_only_the_end_of_a_long_text_is_read() -> None:
    assert doubt("I waited and waited. " * 200 + "It's P K G zero zero four.") == doubt("It's P K G zero zero four.")
    assert EVIDENCE.doubt("P K G zero zero four. " + "I waited and waited. " * 200, ANYTHING) is None


def test_the_kit_brings_it() -> None:
    assert isinstance(DeliveryKit().turn_evidence(), ParcelEvidence)


@pytest.mark.parametrize(
    "text", ["Pkg zero zero four.", "It's p k g 0 0 4", "It's 1Z999AA10123456784.", "RB123456785GB"]
)
def test_whole_numbers_are_likely_finished_however_they_are_written(text: str) -> None:
    assert doubt(text) == doubt(text, ANYTHING) <= 0.3


@pytest.mark.parametrize("text", ["Pkg zero, zero.", "My number is 1Z 999 AA1 012.", "four two nine"])
def test_parts_of_numbers_are_unfinished_whatever_was_asked(text: str) -> None:
    assert doubt(text) == doubt(text, ANYTHING) >= 0.75


@pytest.mark.parametrize("text", ["It's p kg", "My number is pk", "seven"])
def test_letters_alone_are_unfinished_where_a_number_was_asked_for(text: str) -> None:
    assert doubt(text) >= 0.75
    assert EVIDENCE.doubt("Seven parcels came", ANYTHING) is None


@pytest.mark.parametrize(
    "text", ["I don't have the number.", "Where is my parcel?", "My number is", "P K G, um", "No.", ""]
)
def test_it_knows_nothing_of_texts_without_a_number_or_that_break_off(text: str) -> None:
    assert EVIDENCE.doubt(text, NUMBER) is None


@pytest.mark.parametrize(
    "line",
    [phrases.GREETING, phrases.ASK, phrases.GREETED_NEED, phrases.SAY_AGAIN, phrases.ASK_ENDING, phrases.so_far("1 2")],
)
def test_these_lines_ask_for_a_number(line: str) -> None:
    assert EVIDENCE.expects(line) is NUMBER


@pytest.mark.parametrize("line", [reply.confirm("PKG004"), phrases.ANYTHING_ELSE, phrases.NO_NUMBER])
def test_these_lines_ask_for_yes_or_no(line: str) -> None:
    assert EVIDENCE.expects(line) is ExpectedAnswer.YES_OR_NO


def test_a_parcel_that_was_found_ends_a_turn_and_several_do_not() -> None:
    codes = {
        code: EVIDENCE.proves(tool_schema.NAME, track.LookupOutcome(code, "A sentence.").as_json(), "PKG004")
        for code in (track.FOUND, track.AMBIGUOUS, track.NOT_FOUND, track.INVALID_ID, track.CONFIRM, track.UNAVAILABLE)
    }
    assert codes == {
        track.FOUND: Proof.COMPLETE,
        track.AMBIGUOUS: Proof.INCOMPLETE,
        track.NOT_FOUND: Proof.INCOMPLETE,
        track.INVALID_ID: Proof.INCOMPLETE,
        track.CONFIRM: Proof.NOTHING,
        track.UNAVAILABLE: Proof.NOTHING,
    }
    assert EVIDENCE.proves("book_courier", '{"code":"FOUND"}', "PKG004") is Proof.NOTHING
    assert EVIDENCE.proves(tool_schema.NAME, '{"error":"outcome_unknown"}', "PKG004") is Proof.NOTHING


@pytest.mark.parametrize(
    ("text", "tracking_id"),
    [
        ("My number is P K G 0 to 0.", "PKG020"),  # all of it
        ("B kg 641", "PKG641"),  # its end
        ("The tracking number is 92456462788.", "9245646278"),  # more than all of it
        ("It's 9 0 9 5 0 2 3 2 1 5", "9095023215"),
    ],
)
def test_a_number_that_is_read_back_ends_the_turn_if_its_end_was_said(text: str, tracking_id: str) -> None:
    assert EVIDENCE.proves(tool_schema.NAME, guess(tracking_id), text) is Proof.COMPLETE


def test_a_number_that_is_read_back_is_waited_for_if_less_was_said() -> None:
    assert EVIDENCE.proves(tool_schema.NAME, guess("5541455351"), "It's 554145 553") is Proof.INCOMPLETE
    assert EVIDENCE.proves(tool_schema.NAME, guess("PKG004"), "Yes.") is Proof.NOTHING
    assert EVIDENCE.proves(tool_schema.NAME, guess(""), "P K G 0 0 4") is Proof.NOTHING


def test_digits_after_words_that_nobody_can_read_may_be_the_end_of_a_number() -> None:
    assert UNKNOWN < doubt("It's Papa Keelo Golf 519") < 0.7
    assert doubt("It's Papa Keelo Golf") == doubt("My number is 519") >= 0.9
