"""The delivery agent's evidence: the reader that looks numbers up says whether they are complete."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentvoicebox.turns.agent_evidence import ExpectedAnswer, Proof
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


@given(st.text(max_size=400), st.sampled_from(ExpectedAnswer))
def test_no_text_is_too_odd_for_it(text: str, expected: ExpectedAnswer) -> None:
    found = EVIDENCE.doubt(text, expected)
    assert found is None or 0 <= found <= 1
    assert EVIDENCE.expects(text) in ExpectedAnswer
    assert EVIDENCE.proves(tool_schema.NAME, text) in Proof


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
        code: EVIDENCE.proves(tool_schema.NAME, track.LookupOutcome(code, "A sentence.").as_json())
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
    assert EVIDENCE.proves("book_courier", '{"code":"FOUND"}') is Proof.NOTHING
    assert EVIDENCE.proves(tool_schema.NAME, '{"error":"outcome_unknown"}') is Proof.NOTHING
