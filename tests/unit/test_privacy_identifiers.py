"""What a hosted platform sends is masked: secrets of every type go, identifiers and numbers keep their last four characters."""

from typing import Any

import pytest

from agentvoicebox.privacy.identifiers import IdentifierMask
from agentvoicebox.privacy.redact import HIDDEN

MASK = IdentifierMask(lambda text: text if text.startswith("PKG") else None)


def masked(value: Any) -> Any:
    return MASK.request(value, known_names=frozenset({"track"}))


@pytest.mark.parametrize("secret", [1234, 12.5, True, "hush", ["hush"], {"inner": "hush"}])
def test_a_secret_of_any_type_is_hidden(secret: Any) -> None:
    assert masked({"server": {"apiKey": secret}}) == {"server": {"apiKey": HIDDEN}}


def test_a_secret_that_is_absent_stays_absent() -> None:
    assert masked({"secret": None}) == {"secret": None}


def test_an_identifier_keeps_its_last_four_characters_as_value_and_as_key() -> None:
    assert masked({"note": "PKG123456"}) == {"note": "*****3456"}
    assert masked({"PKG123456": 1}) == {"*****3456": 1}


def test_a_telephone_number_keeps_its_last_four_digits_as_text_and_as_number() -> None:
    assert masked({"caller": "+1 415 555 0123"}) == {"caller": "*******0123"}
    assert masked({"caller": 14155550123}) == {"caller": "*******0123"}


def test_words_become_their_shape_and_the_vocabulary_of_platforms_stays() -> None:
    assert masked({"text": "Call Wilhelmina", "type": "tool-calls", "name": "track"}) == {
        "text": "Xxxx Xxxxxxxxxx",
        "type": "tool-calls",
        "name": "track",
    }
