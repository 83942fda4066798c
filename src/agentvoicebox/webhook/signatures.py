"""Signed requests: how a signature is made, which one fits, and whether it was seen before. Over raw bytes, in constant time.

Decides nothing about who must sign; that is `guard`'s. A header may hold any byte, so everything is compared as bytes.
"""

import base64
import hashlib
import hmac
import re
from collections import OrderedDict
from collections.abc import Mapping
from typing import Literal

import msgspec

from agentvoicebox.errors import BadCredentials

WINDOW_S = 300.0  # how far a signature's time may lie from now
MILLISECONDS_FROM = 10**11  # a larger number of seconds would be the year 5138
MOST_SEEN = 100_000
PLACES = frozenset({"timestamp", "body", "method", "svix-id"})

_PLACE = re.compile(r"\{([a-z-]+)\}")
_RETELL = re.compile(rb"v=(?P<at>\d{1,16}),d=(?P<signature>[0-9a-fA-F]{64})")

Headers = Mapping[bytes, bytes]


def places_of(payload_format: str) -> set[str]:
    """The names in braces that a payload format holds."""
    return set(_PLACE.findall(payload_format))


class HmacScheme(msgspec.Struct, frozen=True):
    """How a sender signs: every part of it can be chosen in Vapi's dashboard.

    Attributes:
        secret: the key.
        header: that holds the signature; `timestamp_header` the time, in s or ms since 1970; `id_header` the message's id.
        prefix: before the signature, such as `sha256=`.
        payload_format: what is signed; may hold `{timestamp}`, `{body}`, `{method}`, `{svix-id}`.
    """

    secret: bytes
    header: str = "x-signature"
    prefix: str = ""
    encoding: Literal["hex", "base64"] = "hex"
    algorithm: Literal["sha256", "sha512", "sha1"] = "sha256"
    payload_format: str = "{timestamp}.{body}"
    timestamp_header: str = "x-timestamp"
    id_header: str = "svix-id"

    def __repr__(self) -> str:
        return f"HmacScheme(header={self.header!r})"

    @property
    def has_time(self) -> bool:
        """Whether the time is signed; without it a replay can't be told."""
        return "timestamp" in places_of(self.payload_format)

    def sign(self, body: bytes, *, timestamp: bytes = b"", method: str = "POST", message_id: bytes = b"") -> bytes:
        """The header's value."""
        values = {"timestamp": timestamp, "body": body, "method": method.encode(), "svix-id": message_id}
        # Split first, so that braces inside a body are never filled in.
        parts = _PLACE.split(self.payload_format)
        signed = b"".join(values[part] if index % 2 else part.encode() for index, part in enumerate(parts))
        digest = hmac.new(self.secret, signed, getattr(hashlib, self.algorithm)).digest()
        text = digest.hex().encode() if self.encoding == "hex" else base64.b64encode(digest)
        return self.prefix.encode() + text

    def check(self, headers: Headers, method: str, body: bytes, *, wall_s: float) -> tuple[bytes, bytes] | None:
        """Whether the request is signed with the key, and lately.

        Returns:
            (time, signature) to recognise a replay by; None when the time isn't signed.

        Raises:
            BadCredentials: it isn't.
        """
        given = headers.get(self.header.lower().encode(), b"")
        timestamp = headers.get(self.timestamp_header.lower().encode(), b"").strip()
        message_id = headers.get(self.id_header.lower().encode(), b"")
        right = self.sign(body, timestamp=timestamp, method=method, message_id=message_id)
        if self.encoding == "hex":
            start = len(self.prefix.encode())
            given = given[:start] + given[start:].lower()
        if not hmac.compare_digest(right, given):
            raise BadCredentials("The signature does not fit.")
        if not self.has_time:
            return None
        check_time(timestamp, wall_s)
        return timestamp, right


def check_retell(signature: bytes, secret: bytes, body: bytes, *, wall_s: float) -> tuple[bytes, bytes]:
    """Whether Retell signed the body: `v=<ms>,d=<hex of HMAC-SHA256 over body and ms>`.

    Returns:
        (time, signature) to recognise a replay by.

    Raises:
        BadCredentials: it did not, or not lately.
    """
    match = _RETELL.fullmatch(signature.strip())
    if match is None:
        raise BadCredentials("The signature does not fit.")
    right = hmac.new(secret, body + match["at"], hashlib.sha256).hexdigest().encode()
    if not hmac.compare_digest(right, match["signature"].lower()):
        raise BadCredentials("The signature does not fit.")
    check_time(match["at"], wall_s)
    return match["at"], right


def check_time(timestamp: bytes, wall_s: float) -> None:
    """Raises BadCredentials unless `timestamp` (digits, s or ms) is within five minutes of now."""
    if not re.fullmatch(rb"\d{1,16}", timestamp):
        raise BadCredentials("The signature's time can't be read.")
    at_s = float(int(timestamp))
    if at_s >= MILLISECONDS_FROM:
        at_s /= 1000
    if abs(wall_s - at_s) > WINDOW_S:
        raise BadCredentials("The signature is not of these minutes.")


class Seen:
    """The signatures of the last minutes. Bounded; the oldest goes first."""

    def __init__(self, *, most: int = MOST_SEEN) -> None:
        self._most = most
        self._until_s: OrderedDict[tuple[bytes, bytes], float] = OrderedDict()

    def check(self, key: tuple[bytes, bytes], now_s: float) -> None:
        """Raises BadCredentials when the signature was accepted before."""
        if self._until_s.get(key, now_s) > now_s:
            raise BadCredentials("This signed request was received before.")

    def add(self, key: tuple[bytes, bytes], now_s: float) -> None:
        """It is accepted. Remembered until its time has left the window, wherever in it that lay."""
        self._until_s[key] = now_s + 2 * WINDOW_S
        while self._until_s and (len(self._until_s) > self._most or next(iter(self._until_s.values())) <= now_s):
            self._until_s.popitem(last=False)
