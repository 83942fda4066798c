"""A header that a request carries twice with different values is no credential, whichever of them is right."""

import pytest

from agentvoicebox.errors import BadCredentials
from agentvoicebox.webhook.guard import Credentials, Guard
from agentvoicebox.webhook.signatures import SeenSignatures

GUARD = Guard(Credentials(secrets=("right",)), SeenSignatures())
RIGHT, WRONG = (b"X-Vapi-Secret", b"right"), (b"x-vapi-secret", b"wrong")


@pytest.mark.parametrize("headers", [[RIGHT, WRONG], [WRONG, RIGHT]], ids=["right first", "right last"])
def test_two_different_values_of_a_header_are_refused(headers: list[tuple[bytes, bytes]]) -> None:
    with pytest.raises(BadCredentials):
        GUARD.check(headers, "POST", b"{}", "203.0.113.1")


def test_the_same_value_twice_counts_once() -> None:
    assert GUARD.check([RIGHT, RIGHT], "POST", b"{}", "203.0.113.1").kind == "secret"
