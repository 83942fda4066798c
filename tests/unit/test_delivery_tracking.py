"""What people type and say, as recognisers write it, becomes the number they mean."""

import pytest

from agentvoicebox_delivery.numbers.tracking import candidates, fragment, is_certain, normalize, rivals

pytestmark = pytest.mark.requirement("B1.2")

FULL_WIDTH = "".join(chr(ord(character) + 0xFEE0) for character in "1Z999AA10123456784")

SPOKEN = {
    "PKG004": "PKG004",
    "pkg-004": "PKG004",
    " PKG 004 ": "PKG004",
    "Pkg 004.": "PKG004",
    "P K G zero zero four": "PKG004",
    "Pkg Zero Zero Four": "PKG004",
    "P-K-G-0-0-4": "PKG004",
    "my number is P.K.G. 0 0 4, thanks": "PKG004",
    "It's P K G dash zero zero seven": "PKG007",
    "papa kilo golf zero zero four": "PKG004",
    "P as in Peter, K as in king, G for golf, double oh four": "PKG004",
    "it's, um, I think P K G, er, zero zero four, are you there": "PKG004",
    "PKG004, that's P K G zero zero four": "PKG004",
    "1z999aa1-0123-4567-84": "1Z999AA10123456784",
    "1Z 999 AA1 01 2345 6784": "1Z999AA10123456784",
    "one zee nine nine nine a a one oh one two three four five six seven eight four": "1Z999AA10123456784",
    "One Z triple nine double A one, zero one two three four five six seven eight four.": "1Z999AA10123456784",
    "one zed treble nine A A one nought one two three four five six seven eight four": "1Z999AA10123456784",
    "B as in boy D E S zero zero one": "BDES001",
    "M is in mike T for Tango five five one two": "MT5512",
    "D E S 4 5 6 7": "DES4567",
    "ninety four hundred one one one two oh six two oh six four oh six two six oh seven eight seven":
        "9400111206206406260787",
    "9400 1112 0620 6406 2607 87": "9400111206206406260787",
    "1,234,567": "1234567",
    "R B one two three four five six seven eight five G B": "RB123456785GB",
    "romeo bravo 123456785 golf bravo": "RB123456785GB",
    "tango bravo alpha five oh two eight eight seven two seven four triple zero": "TBA502887274000",
    "one two three four five six seven eight nine oh one two": "123456789012",
    "won too three for five six seven ate niner": "123456789",
    "five five one three zeros": "551000",
    "a Bc123456": "ABC123456",
    "x-ray yankee four four five five": "XY4455",
    "double-u W four four five five": "WW4455",
    FULL_WIDTH: "1Z999AA10123456784",
    "P\u200bKG\u200b004": "PKG004",
    "I ordered two parcels on the 24th of November, number PKG004": "PKG004",
    "order 24 hours ago, number 123-456-789": "123456789",
    "two thousand twenty six four four one": "2026441",
}  # fmt: skip

CORRECTED = {
    "PKG double zero five, no, sorry, six": "PKG006",
    "PKG zero zero five no wait zero zero six": "PKG006",
    "PKG004. No, P K G zero zero five.": "PKG005",
    "PKG001, the last digit is 4": "PKG004",
    "PKG 1 2 3 4 5 6, the last two are 7 8": "PKG123478",
    "one two three let me start again four five six seven eight nine": "456789",
    "five five one two three no sorry that's wrong it's five five one two four nine": "551249",
    "nine eight six five seven eight seven eight eight no wait eight five five": "986578788855",
}

NOTHING = (
    "", "uh", "where is my parcel", "I have been waiting for three days", "I ordered two parcels last week",
    "can you see if they are at home", "no one is here", "I'd like to know too", "why are you so slow", "hold on one second",
    "😀", "\x00\x01", "the last four are 6 7 8 4", "SMITHSON", "P K G",
)  # fmt: skip


@pytest.mark.parametrize(("text", "meant"), [*SPOKEN.items(), *CORRECTED.items()])
def test_the_first_candidate_is_what_was_meant(text: str, meant: str) -> None:
    assert candidates(text)[0].tracking_id == meant


@pytest.mark.parametrize("text", NOTHING)
def test_ordinary_talk_holds_no_number(text: str) -> None:
    assert candidates(text) == []


def test_the_pronoun_and_the_verb_are_no_letters_and_the_letters_are() -> None:
    assert candidates("I think they are four four five five six six")[0].tracking_id == "445566"
    assert candidates("P I R four four five five")[0].tracking_id == "PIR4455"
    assert candidates("four I five are six six seven")[0].tracking_id == "4I5R667"


def test_a_number_said_in_tens_has_its_other_reading_as_a_rival() -> None:
    found = candidates("PKG thirty one twenty two")
    assert found[0].tracking_id == "PKG3122"
    assert {"PKG30122", "PKG31202"} <= {each.tracking_id for each in rivals(found)}
    assert not is_certain(found)


def test_a_fitting_check_digit_settles_between_readings() -> None:
    found = candidates("nine eighty six fifty seven eighty seven eighty eight eight fifty five")
    assert (found[0].tracking_id, found[0].check_digit_ok) == ("986578788855", True)


def test_a_wrong_check_digit_makes_a_number_uncertain_not_invalid() -> None:
    found = candidates("1Z999AA10123456785")
    assert found[0].check_digit_ok is False and not is_certain(found)


def test_a_plain_number_is_certain_although_letters_sound_alike() -> None:
    found = candidates("P K G zero zero four")
    assert is_certain(found)
    assert {"BKG004", "PJG004"} <= {each.tracking_id for each in found}
    assert all(each.cost >= 3 for each in found[1:])


def test_the_letter_o_typed_for_nought_is_only_a_guess() -> None:
    found = candidates("PKGOO4")
    assert {found[0].tracking_id, found[1].tracking_id} == {"PKG004", "PKGOO4"}
    assert not is_certain(found)


def test_there_are_never_more_candidates_than_asked_for() -> None:
    text = "thirty one twenty two forty three fifty four sixty five seventy six"
    assert len(candidates(text)) == 16 and len(candidates(text, limit=3)) == 3


def test_length_bounds_hold() -> None:
    assert candidates("12345") == [] and candidates("1" * 33) == []
    assert candidates("123456")[0].tracking_id == "123456" and candidates("1" * 32)[0].tracking_id == "1" * 32


def test_all_zeros_are_no_likely_number() -> None:
    assert candidates("000000000000")[0].score < 0.3


def test_a_part_of_a_number_is_heard_as_that() -> None:
    assert fragment("it starts with one Z nine nine") == "1Z99"
    assert fragment("well I don't know") == ""


def test_normalising_keeps_only_what_counts() -> None:
    assert normalize(" pkg\u2011004\u200b / x.y ") == "PKG004XY"
