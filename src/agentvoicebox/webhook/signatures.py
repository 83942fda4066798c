"""Signed requests: makes and verifies signatures over raw bytes in constant time, and detects replays.

`guard` decides which requests must be signed. A header may contain any byte, so everything is compared as bytes.
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

WINDOW_S = 300.0  # largest difference between a signature's time and now
MILLISECONDS_FROM = 10**11  # a larger number of seconds would be the year 5138
MOST_SEEN = 100_000

_PLACE = re.compile(r"\{([a-z-]+)\}")
_RETELL = re.compile(rb"v=(?P<at>\d{1,16}),d=(?P<signature>[0-9a-fA-F]{64})")

Headers = Mapping[bytes, bytes]


def places_of(payload_format: str) -> set[str]:
    """The names in braces in a payload format."""
    return set(_PLACE.findall(payload_format))


class HmacScheme(msgspec.Struct, frozen=True):
    """A signature scheme; every part of it can be configured in Vapi's dashboard.

    Attributes:
        secret: the key.
        header: name of the header with the signature.
        prefix: text before the signature, such as `sha256=`.
        payload_format: the signed text; may contain `{timestamp}`, `{body}`, `{method}`, `{svix-id}`.
        timestamp_header: name of the header with the time, in s or ms since 1970.
        id_header: name of the header with the message's id.
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
        """Whether the time is signed; otherwise replays can't be detected."""
        return "timestamp" in places_of(self.payload_format)

    def sign(self, body: bytes, *, timestamp: bytes = b"", method: str = "POST", message_id: bytes = b"") -> bytes:
        """The header's value."""
        values = {"timestamp": timestamp, "body": body, "method": method.encode(), "svix-id": message_id}
        # Split before the values are inserted, so that braces in a body are not replaced.
        parts = _PLACE.split(self.payload_format)
        signed = b"".join(values[part] if index % 2 else part.encode() for index, part in enumerate(parts))
        digest = hmac.new(self.secret, signed, getattr(hashlib, self.algorithm)).digest()
        text = digest.hex().encode() if self.encoding == "hex" else base64.b64encode(digest)
        return self.prefix.encode() + text

    def check(self, headers: Headers, method: str, body: bytes, *, wall_s: float) -> tuple[bytes, bytes] | None:
        """Verify that the request was signed with the key in the last five minutes.

        Returns:
            (time, signature) to detect a replay; None if the time is not signed.

        Raises:
            BadCredentials: the signature is missing, wrong or too old.
        """
        given = headers.get(self.header.lower().encode(), b"")
        timestamp = headers.get(self.timestamp_header.lower().encode(), b"").strip()
        message_id = headers.get(self.id_header.lower().encode(), b"")
        right = self.sign(body, timestamp=timestamp, method=method, message_id=message_id)
        if self.encoding == "hex":
            start = len(self.prefix.encode())
            given = given[:start] + given[start:].lower()
        if not hmac.compare_digest(right, given):
            raise BadCredentials("The signature is wrong.")
        if not self.has_time:
            return None
        check_time(timestamp, wall_s)
        return timestamp, right


def check_retell(signature: bytes, secret: bytes, body: bytes, *, wall_s: float) -> tuple[bytes, bytes]:
    """Verify Retell's signature of the body: `v=<ms>,d=<hex of HMAC-SHA256 over body and ms>`.

    Returns:
        (time, signature) to detect a replay.

    Raises:
        BadCredentials: the signature is wrong or too old.
    """
    match = _RETELL.fullmatch(signature.strip())
    if match is None:
        raise BadCredentials("The signature is wrong.")
    right = hmac.new(secret, body + match["at"], hashlib.sha256).hexdigest().encode()
    if not hmac.compare_digest(right, match["signature"].lower()):
        raise BadCredentials("The signature is wrong.")
    check_time(match["at"], wall_s)
    return match["at"], right


def check_time(timestamp: bytes, wall_s: float) -> None:
    """Raises BadCredentials unless `timestamp` (digits, s or ms) is within five minutes of now."""
    if not re.fullmatch(rb"\d{1,16}", timestamp):
        raise BadCredentials("The signature's time is invalid.")
    at_s = float(int(timestamp))
    if at_s >= MILLISECONDS_FROM:
        at_s /= 1000
    if abs(wall_s - at_s) > WINDOW_S:
        raise BadCredentials("The signature's time is more than five minutes from now.")


class SeenSignatures:
    """The accepted signatures of the last minutes. Bounded; the oldest is dropped first."""

    def __init__(self, *, most: int = MOST_SEEN) -> None:
        self._most = most
        self._until_s: OrderedDict[tuple[bytes, bytes], float] = OrderedDict()

    def check(self, key: tuple[bytes, bytes], now_s: float) -> None:
        """Raises BadCredentials when the signature was accepted before."""
        if self._until_s.get(key, now_s) > now_s:
            raise BadCredentials("This signed request was received before.")

    def add(self, key: tuple[bytes, bytes], now_s: float) -> None:
        """Remember an accepted signature until its time is outside of the window."""
        self._until_s[key] = now_s + 2 * WINDOW_S
        while self._until_s and (len(self._until_s) > self._most or next(iter(self._until_s.values())) <= now_s):
            self._until_s.popitem(last=False)
