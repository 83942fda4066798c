"""The id of a WebRTC call, `rtc_<mark>_<random>`. The mark names the role that carries it.

It is made from the role's address, so every gateway with the same `AVB_WEBRTC_URLS` finds the call, in whatever order they stand.
"""

import hashlib
import re
import secrets

MARK_CHARS = 8
RANDOM_BYTES = 16  # an id alone opens nothing: a request needs a key of its tenant
_CALL_ID = re.compile(rf"rtc_(?P<mark>[0-9a-f]{{{MARK_CHARS}}})_[0-9a-f]{{{2 * RANDOM_BYTES}}}")


def mark_of_role(url: str) -> str:
    """The mark of the role at an address."""
    return hashlib.sha256(url.rstrip("/").lower().encode()).hexdigest()[:MARK_CHARS]


def new_call_id(mark: str) -> str:
    """A fresh id for a call that this role is to carry."""
    return f"rtc_{mark}_{secrets.token_hex(RANDOM_BYTES)}"


def mark_in(call_id: str) -> str:
    """The mark in an id; empty when it is not one of ours."""
    found = _CALL_ID.fullmatch(call_id)
    return "" if found is None else found["mark"]
