"""Numbers that a recogniser got wrong: what is compared, what is asked, and what is never told."""

import sys

import pytest
from tests.kit.parcel_calls import TOOL, Call, ask, shelf

from agentvoicebox.engine.jobs import ChatMessage
from agentvoicebox_delivery.dialogue import phrases
from agentvoicebox_delivery.dialogue.moves import next_move
from agentvoicebox_delivery.numbers import likeness
from agentvoicebox_delivery.numbers.fuzzy_reading import read_fuzzy
from agentvoicebox_delivery.numbers.inquiry import Inquiry
from agentvoicebox_delivery.parcels import reply, track

MOST_CALLS = 16_000  # of Python functions: twice what it takes, a few milliseconds


# -- how far apart -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("heard", "meant"),
    [
        ("PKG0004", "PKG004"),  # a repeat too many
        ("PKG04", "PKG004"),  # and one too few
        ("TKG004", "PKG004"),  # a rhyme
        ("FCM417", "FTM417"),
        ("RBA785150028FR", "RB8785150028FR"),
        ("KG004", "PKG004"),  # the first letter was lost
        ("PKG00412", "PKG0042"),  # a word before the number's last character
    ],
)
def test_a_slip_that_recognisers_make_is_cheaper_than_any_other(heard: str, meant: str) -> None:
    assert likeness.distance(heard, meant, 9.0) <= 1.0 < likeness.distance("PKG777", "PKG004", 9.0)


def test_distance_is_nothing_only_for_the_same_number_and_grows_with_slips() -> None:
    assert likeness.distance("PKG004", "PKG004", 9.0) == 0
    assert 0 < likeness.distance("PKG009", "PKG005", 9.0) < likeness.distance("PKG002", "PKG005", 9.0)


def test_nobody_is_told_how_a_number_goes_on() -> None:
    assert likeness.distance("98657878", "986578788855", 99.0) == float("inf")
    assert ask(shelf("986578788855"), "9865 7878").code == track.NOT_FOUND


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("zero full one", "041"),
        ("It's 5th, or 8th", "548"),
        ("Romeo Rovio Gulf 12", "RRG12"),
        ("double five two", "552"),
        ("P.K.G. thirty one", "PKG31"),
    ],
)
def test_the_second_ear_takes_words_for_characters(written: str, meant: str) -> None:
    heard = read_fuzzy(written)
    assert heard is not None and heard.text == meant and heard.cost >= 1


def test_the_second_ear_hears_nothing_in_nothing() -> None:
    assert read_fuzzy("") is None and read_fuzzy("where is my parcel please") is None


# -- what the finds mean ----------------------------------------------------------------------------------------------


def test_a_number_plainly_heard_and_far_from_all_others_is_told_at_once() -> None:
    assert ask(shelf("PKG004", "PKG777"), "P K G zero zero four").code == track.FOUND


@pytest.mark.parametrize("neighbour", ["PKG0004", "PKG04", "PKG001", "BKG004", "PKG009", "PKG040"])
def test_a_number_plainly_heard_is_read_back_when_another_parcel_is_a_slip_away(neighbour: str) -> None:
    outcome = ask(shelf("PKG004", neighbour), "P K G zero zero four")
    assert (outcome.code, outcome.data) == (track.CONFIRM, {"tracking_id": "PKG004"})


def test_an_earlier_hearing_that_made_no_sense_hides_no_neighbour() -> None:
    assert ask(shelf("PKG004", "PKG0004"), "X Y Z nine eight seven six", "P K G zero zero four").code == track.CONFIRM


def test_without_a_look_at_the_neighbours_nothing_is_told_unconfirmed() -> None:
    assert ask(shelf("PKG004"), "P K G zero zero four", knows_near=False).code == track.CONFIRM


def test_a_number_misheard_is_found_and_read_back() -> None:
    outcome = ask(shelf("PKG004", "ORD777"), "It's pkg0004.")
    assert (outcome.code, outcome.data) == (track.CONFIRM, {"tracking_id": "PKG004"})


def test_a_wrong_check_digit_is_a_doubt_even_when_the_parcel_exists() -> None:
    assert ask(shelf("1Z999AA10123456785"), "1Z 999 AA1 01 2345 6785").code == track.CONFIRM


def test_two_parcels_as_near_as_each_other_are_told_apart_by_their_endings() -> None:
    outcome = ask(shelf("FTM417", "FTM412"), "F T M four one")
    assert outcome.code == track.NOT_FOUND  # a part that both have: the rest will come
    outcome = ask(shelf("FTM41793", "FTM41752"), "F T M four one seven nine two")
    assert outcome.code in (track.AMBIGUOUS, track.CONFIRM)


def test_endings_of_which_one_ends_the_other_are_never_a_choice() -> None:
    outcome = ask(shelf("FTM417", "FTM4417"), "F E M 417")
    assert (outcome.code, outcome.data) == (track.CONFIRM, {"tracking_id": "FTM417"})


def test_what_two_hearings_have_in_common_finds_the_parcel() -> None:
    parcels = shelf("9400111206206406260787")
    first, second = "9400 3332 0620 6777 2607 87", "9400 1112 9999 6406 2607 87"
    assert (
        ask(parcels, first, second).code == track.CONFIRM
        or ask(parcels, first, second, ending="0787").code == track.CONFIRM
    )
    assert ask(parcels, "9411 3332 5555 6777 2609 11").code == track.NOT_FOUND


def test_the_last_four_bring_a_far_hearing_home() -> None:
    parcels = shelf("TBA388368595748", "TBA111222335749")
    far = "D B 38 83 68 54 1"
    assert ask(parcels, far).code == track.NOT_FOUND
    outcome = ask(parcels, far, ending="five seven four eight")
    assert (outcome.code, outcome.data) == (track.CONFIRM, {"tracking_id": "TBA388368595748"})


def test_a_number_that_is_far_from_what_was_heard_is_offered_if_all_others_are_much_further() -> None:
    heard = "X A one zero five nine nine one six"
    assert ask(shelf("SH1409916"), heard).data == {"tracking_id": "SH1409916"}
    assert ask(shelf("SH1409916", "SH1459976"), heard).data == {"tracking_id": "SH1409916"}
    assert ask(shelf("SH1409916", "SH1450916"), heard).code == track.NOT_FOUND
    assert ask(shelf("SH1409916"), "X A one two five nine two one six").code == track.NOT_FOUND


def test_what_may_be_the_beginning_of_a_longer_number_is_never_reported_without_a_yes() -> None:
    assert ask(shelf("940011120"), "9400 1112 0").code == track.CONFIRM


def test_last_four_that_fit_no_hearing_find_nobody() -> None:
    assert ask(shelf("TBA388368595748"), "P K G one two three", ending="5748").code == track.NOT_FOUND


def test_a_number_refused_is_not_offered_again() -> None:
    parcels = shelf("PKG0049", "PKG0046")
    assert ask(parcels, "PKG0045").data == {"tracking_id": "PKG0049"}
    assert ask(parcels, "PKG0045", refused=("PKG0049",)).data == {"tracking_id": "PKG0046"}


def test_a_double_digit_heard_as_a_letter_is_a_double_digit() -> None:
    outcome = ask(shelf("558697127889889"), "W 5 8 6 9 7 1 2 7 W 8 9 W 8 9")
    assert (outcome.code, outcome.data) == (track.CONFIRM, {"tracking_id": "558697127889889"})


def test_without_hearings_there_is_no_inquiry() -> None:
    assert Inquiry.of({"tracking_id": "PKG004"}) is None
    assert Inquiry.of({"tracking_id": "PKG004", "heard": ["", " "]}) is None


# -- whole calls -------------------------------------------------------------------------------------------------------


def test_a_misheard_number_takes_one_yes() -> None:
    call = Call("PKG004", "ORD777")
    assert call.turn("It's pkg0004.") == reply.confirm("PKG004")
    assert reply.found(call.parcels["PKG004"]) in call.turn("Yes, that's right.")


def test_a_no_brings_the_next_likely_number_and_never_the_same_again() -> None:
    call = Call("PKG0049", "PKG0046")
    assert call.turn("PKG0045") == reply.confirm("PKG0049")
    assert call.turn("No, that's not it.") == reply.confirm("PKG0046")
    assert call.turn("No, that's not it.").endswith(phrases.SAY_SLOWLY)


def test_a_long_number_not_found_is_asked_for_its_last_four() -> None:
    call = Call("TBA388368595748")
    assert call.turn("D B 38 83 68 54 1").endswith(phrases.AFTER_FAILURE[2])  # first the whole number in groups
    assert call.turn("D B, 38, 83, 68, 54, 1").endswith(phrases.ASK_ENDING)
    assert call.turn("five seven four eight") == reply.confirm("TBA388368595748")
    assert reply.found(call.parcels["TBA388368595748"]) in call.turn("yes")


def test_a_number_that_is_short_of_a_few_characters_is_compared_before_more_is_asked_for() -> None:
    call = Call("9400111206206406260787")
    assert call.turn("9400 1112 0620 6406 260 87") == reply.confirm("9400111206206406260787")
    other = Call("PKG004")
    assert "What comes next?" in other.turn("9400 1112 0620 6406 260 87")


def test_a_number_that_looks_like_a_beginning_is_compared_with_what_exists_at_once() -> None:
    call = Call("9200146096")  # ten digits that begin as one of 22 does; a double zero was lost
    assert call.turn("It's 920, 146, 096.") == reply.confirm("9200146096")


@pytest.mark.parametrize("number", ["nine two zero, one four six, zero nine", "six five six nine"])
def test_the_rest_is_not_asked_for_again_when_the_caller_repeats_the_number(number: str) -> None:
    call = Call("PKG004")
    assert "What comes next?" in call.turn(f"It's {number}.")
    again = [call.turn(f"No, that's wrong. It's {number}."), call.turn(f"It's {number}.")]
    assert not any("What comes next?" in line for line in again)
    assert again[0] != again[1]


def test_the_rest_of_a_number_may_follow_a_failed_look_up() -> None:
    call = Call("PKG004123")
    call.turn("PKG004")
    assert call.turn("one two three") == reply.confirm("PKG004123")


def test_a_no_to_the_first_part_starts_the_number_anew() -> None:
    call = Call("FTM417")
    assert "What comes next?" in call.turn("It's after you have 417.")
    assert call.turn("No, that's wrong. It's F-E-M, 417.") == reply.confirm("FTM417")


def test_a_choice_is_read_back_whole_before_anything_is_told() -> None:
    call = Call("ORD3121", "ORD30121")
    question = call.turn("O R D thirty one twenty one")
    assert "one two one" in question and not call.turn("the one ending three one two one").startswith("Your parcel")
    assert "on its way" in call.turn("yes")


def test_an_utterly_strange_number_ends_honestly() -> None:
    call = Call("PKG004")
    call.turn("XYZ998877", "XYZ998877")
    assert call.turn("XYZ998877") == phrases.CANT_FIND


def test_the_hardest_turn_costs_a_bounded_number_of_calls() -> None:
    call = Call(*(f"PKG{number:05}" for number in range(300)))
    call.turn("P K G zero zero one", "no", "P K G zero zero one two", "no", "P K G 0 0 1 2 3", "no")
    lines = [*call.lines, ChatMessage("user", "nine four hundred one one one two oh six two oh six four oh")]
    next_move(lines, [TOOL])
    calls = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        next_move(lines, [TOOL])
    finally:
        sys.setprofile(None)
    assert calls < MOST_CALLS


@pytest.mark.parametrize("text", ["", "\x00", "😀" * 50, "0" * 500, "a" * 500, ", ".join(["nine"] * 100)])
def test_no_hearing_breaks_an_inquiry(text: str) -> None:
    question = Inquiry.of({"heard": [text, "P K G"], "ending": text, "refused": [text]})
    if question is not None:
        question.keys()
        assert question.outcome([], []).code in (track.NOT_FOUND, track.INVALID_ID)
