"""Numbers around a tracking number that are none: what the words call a telephone number, a date, a price, a postcode."""

import pytest

from agentvoicebox_delivery.numbers.fuzzy_reading import read_fuzzy
from agentvoicebox_delivery.numbers.other_numbers import SET_ASIDE, without_other_numbers
from agentvoicebox_delivery.numbers.tracking import candidates


@pytest.mark.parametrize(
    "sentence",
    [
        "The parcel is {}. My phone is 07700 900123.",
        "My phone number is 07700. 900 123. It's {}.",
        "Call me back on 020 7946 0958. The tracking number is {}.",
        "my mobile number's oh double seven double oh nine hundred one two three and it's {}",
        "07700 900123 is my phone number, {} is my tracking number",
        "{} ordered on 11 12 2026",
        "{} ordered on the 11th of December 2026",
        "It's {}. I ordered it on December 11th, 2026.",
        "the eleventh of december twenty twenty six, it's {}",
        "the twenty first of November 2026, it's {}",
        "it was sent on 2026-12-11, number {}",
        "it was 11/12/2026, {}",
        "It's {}, I paid 24.99 for it",
        "It's £24.99 and {}",
        "I paid one hundred and twenty pounds fifty for {}",
        "{} for 30 pounds",
        "{}. My postcode is SW1A 1AA.",
        "post code is S W one A one A A, tracking number {}",
        "{}, zip code 90210",
        "my order number is ORD88123 and the tracking number is {}",
        "{}, my order number is 302-5512345-998",
        "302-5512345-998 is my order number, {}",
    ],
)
@pytest.mark.parametrize("said", ["PKG0044", "986578788855", "P K G zero zero four four"])
def test_a_number_that_the_words_call_something_else_is_never_offered(sentence: str, said: str) -> None:
    found, alone = candidates(sentence.format(said)), candidates(said)
    assert found[0] == alone[0]
    # At most one character more, of a word like "for" that may be a digit.
    assert all(len(each.tracking_id) <= len(alone[0].tracking_id) + 1 for each in found)


@pytest.mark.parametrize(
    "text",
    [
        "My phone is 07700 900123.",
        "I paid 24.99 on 11/12/2026",
        "my postcode is SW1A 1AA",
        "Peter Miller, SW1A 1AA",
        "my card number is 4111 1111 1111 1111",
        "my account number is 99887766",
        "my house number is twenty four",
        "it's bob123456@example.com",
    ],
)
def test_alone_such_a_number_is_no_tracking_number_either(text: str) -> None:
    assert candidates(text) == []


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("my order number is PKG0044", "PKG0044"),  # many callers call it so
        ("on my phone 9400 1112 0620 6406 2607 87", "9400111206206406260787"),
        ("It's on my phone: PKG0044", "PKG0044"),
        ("On my phone it says PKG0044.", "PKG0044"),
        ("It's in my email: PKG0044", "PKG0044"),
        ("my email is bob one two three at example dot com and the number is PKG0044", "PKG0044"),
        ("my customer number is 12345678 and the parcel is PKG0044", "PKG0044"),
        ("My name is Mike Victor, and it's PKG0044.", "PKG0044"),
        ("AB12 3CD 456 789", "AB123CD456789"),  # a postcode's shape inside a longer number
        ("phone 9400 1112 0620 6406 2607 87", "9400111206206406260787"),  # longer than any telephone number
        ("november one two three four five", "N12345"),  # the alphabet's
        ("november 11 11 11", "N111111"),
        ("since 11 12 20 26 45 67", "111220264567"),
        ("I want to pay. 9400 1112 0620 6406 2607 87", "9400111206206406260787"),
        ("11/12/2026", "11122026"),  # typed alone
        ("may one two three four five six seven eight nine zero one two", "123456789012"),
    ],
)
def test_a_tracking_number_among_such_words_is_still_read(text: str, meant: str) -> None:
    assert candidates(text)[0].tracking_id == meant


def test_the_tolerant_reading_leaves_them_out_too() -> None:
    heard = read_fuzzy("My phone is 07700 900123 and it's P K G 12")
    assert heard is not None and heard.text == "PKG12"


@pytest.mark.parametrize(
    "text", ["", "my phone is", "order number", "paid", "january", "1", "zip", "is my phone", "call me on"]
)
def test_words_without_a_number_are_left_alone(text: str) -> None:
    assert without_other_numbers(text, with_references=True) == text


def test_what_is_set_aside_separates_what_is_around_it() -> None:
    text = without_other_numbers("PKG 004 £24.99 7", with_references=False)
    assert text.split() == ["PKG", "004", SET_ASIDE, "7"]
