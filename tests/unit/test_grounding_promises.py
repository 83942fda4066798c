"""The one reader of promises: before a sentence is spoken, and in finished calls."""

import pytest

from agentvoicebox_delivery.grounding.promises import Promise, promised

pytestmark = pytest.mark.requirement("C3")


@pytest.mark.parametrize(
    ("sentence", "promise"),
    [
        ("I'll look that up.", Promise.LOOK_UP),
        ("I'm just going to check it again.", Promise.LOOK_UP),
        ("I will personally call you back.", Promise.DEED),
        ("Our team will notify you.", Promise.DEED),
        ("You'll be refunded.", Promise.DEED),
        ("I've already asked the driver to ring twice.", Promise.DEED),
        ("I'll repeat it.", None),
        ("I'll do my best to help.", None),
        ("It will arrive on Tuesday.", None),
        ("I have found it.", None),
    ],
)
def test_a_promise_is_read_in_any_wording(sentence: str, promise: Promise | None) -> None:
    assert promised(sentence) is promise
