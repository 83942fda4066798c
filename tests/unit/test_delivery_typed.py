"""A number that was typed is looked up as it is; one that was spoken may have been misheard."""

import pytest
from tests.kit.parcel_calls import TOOL, Call

from agentvoicebox.engine.jobs import ChatMessage
from agentvoicebox_delivery.dialogue import phrases
from agentvoicebox_delivery.dialogue.moves import ToolRequest, next_move
from agentvoicebox_delivery.parcels import reply, tool_schema

pytestmark = pytest.mark.requirement("B1.6")

ALIKE = ("PKG002", "PKG003", "PKG0002")  # each a slip away from another
LONG = "1Z999AA10123456784"


def state_of(call: Call, tracking_id: str) -> str:
    return reply.found(call.parcels[tracking_id])


def test_the_first_answer_to_a_typed_number_states_the_parcels_state() -> None:
    call = Call(*ALIKE)
    assert state_of(call, "PKG002") in call.type("Where is parcel PKG002?")
    assert call.codes == ["FOUND"]


def test_the_same_number_spoken_is_read_back() -> None:
    assert Call(*ALIKE).turn("Where is parcel PKG002?") == reply.confirm("PKG002")


@pytest.mark.parametrize("typed", ["PKG002", "pkg-002", "it's PKG 002, thanks", "PKG002, ordered on 11 12 2026"])
def test_a_typed_number_may_be_written_in_any_way(typed: str) -> None:
    call = Call(*ALIKE)
    assert state_of(call, "PKG002") in call.type(typed)


def test_a_typed_number_ends_the_read_back_of_a_spoken_one() -> None:
    call = Call(*ALIKE)
    assert call.turn("P K G zero zero three") == reply.confirm("PKG003")
    assert state_of(call, "PKG002") in call.type("PKG002")
    other = Call(*ALIKE)
    other.turn("P K G zero zero three")
    assert state_of(other, "PKG003") in other.type("PKG003")


def test_a_typed_number_is_no_rest_of_a_spoken_one() -> None:
    call = Call("123456", "123457", "123456123457")
    call.turn("one two three four five six")
    assert state_of(call, "123457") in call.type("123457")


def test_a_number_spoken_after_a_typed_one_is_read_back() -> None:
    call = Call(*ALIKE)
    call.type("PKG002")
    assert call.turn("and P K G zero zero three") == reply.confirm("PKG003")
    assert state_of(call, "PKG003") in call.turn("yes")


def test_a_number_that_the_caller_refused_may_be_typed_all_the_same() -> None:
    call = Call(*ALIKE)
    call.turn("P K G zero zero two", "no")
    assert state_of(call, "PKG002") in call.type("PKG002")


def test_a_whole_number_is_taken_where_its_ending_was_asked_for() -> None:
    call = Call("TBA388368595748")
    assert call.turn("D B 38 83 68 54 1", "D B, 38, 83, 68, 54, 1").endswith(phrases.ASK_ENDING)
    assert state_of(call, "TBA388368595748") in call.type("TBA388368595748")


def test_one_of_several_offered_numbers_may_be_typed_whole() -> None:
    call = Call("ORD3121", "ORD30121")
    call.turn("O R D thirty one twenty one")
    assert state_of(call, "ORD30121") in call.type("ORD30121")


def test_a_number_typed_in_parts_is_typed_and_one_begun_by_voice_is_spoken() -> None:
    call = Call(LONG, "1Z999AA10123456783")
    assert "What comes next?" in call.type("1Z 999 AA1")
    assert state_of(call, LONG) in call.type("01 2345 6784")
    begun_by_voice = Call(LONG, "1Z999AA10123456783")
    begun_by_voice.turn("one Z nine nine nine A A one")
    assert begun_by_voice.type("01 2345 6784") == reply.confirm(LONG)


def test_a_number_typed_over_our_answer_stands_for_the_spoken_words_before_it() -> None:
    spoken, typed = ChatMessage("user", "It's P K G, wait, I'll type it"), ChatMessage("user", "PKG002", is_typed=True)
    unheard = ChatMessage("assistant", "")
    literal = ToolRequest(tool_schema.NAME, {"tracking_id": "PKG002"})
    assert next_move([spoken, unheard, typed], [TOOL]) == literal
    assert next_move([typed, ChatMessage("user", "")], [TOOL]) == literal, "a cough says nothing"
    after_it = [typed, unheard, ChatMessage("user", "no, sorry, P K G zero zero three")]
    move = next_move(after_it, [TOOL])
    assert isinstance(move, ToolRequest) and move.arguments["heard"]


def test_a_typed_number_that_does_not_exist_is_asked_to_be_checked_and_never_added_to() -> None:
    call = Call("PKG002", "12345678")
    answer = call.type("PKG999")
    assert answer == f"{reply.not_found('PKG999')} {phrases.AFTER_TYPED_FAILURE[1]}"
    assert call.type("1234") == phrases.so_far("one two three four")
    assert state_of(call, "12345678") in call.type("5678")


def test_three_typed_numbers_that_do_not_exist_end_the_call() -> None:
    call = Call("PKG002")
    assert call.type("PKG991", "PKG992", "PKG993") == phrases.CANT_FIND


def test_a_typed_number_with_a_wrong_check_digit_is_looked_up_and_not_doubted() -> None:
    call = Call("1Z999AA10123456785")
    assert state_of(call, "1Z999AA10123456785") in call.type("1Z999AA10123456785")


def test_a_number_that_looks_like_the_typed_one_is_a_question_before_its_state() -> None:
    call = Call("PKG002")
    assert call.type("PKGOO2") == "Did you mean P K G, zero zero two?"
    assert state_of(call, "PKG002") in call.type("yes")


MUMBLING = ("mm", "uh")


@pytest.mark.parametrize("lines", [MUMBLING, ("PKG991 please", "PKG992 please"), ("P K G zero zero three", "no", "no")])
def test_nobody_who_only_speaks_is_asked_to_type(lines: tuple[str, ...]) -> None:
    call = Call(*ALIKE)
    assert not any("type" in call.turn(line) for line in lines)


def test_a_caller_who_has_typed_before_is_told_that_typing_helps() -> None:
    call = Call(*ALIKE)
    call.type("hello")
    assert call.turn(*MUMBLING) == phrases.or_type_it(phrases.AFTER_MISS[1])
    assert call.turn("PKG991", "PKG992").endswith(phrases.or_type_it(phrases.AFTER_FAILURE[2]))
