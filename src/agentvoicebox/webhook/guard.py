"""Who a request is from, and whether they may ask: several kinds of credential at once; any that is shown must be right.

Decides what counts as one source for the limit. Fails closed: once any credential is set, who shows none is refused; with none
set only this very machine is let in, and nothing that came through a proxy or tunnel.
"""

import hashlib
import hmac
import ipaddress
from collections.abc import Mapping, Sequence

import msgspec

from agentvoicebox.clock import Clock, SystemClock
from agentvoicebox.errors import BadCredentials
from agentvoicebox.loopback import is_loopback
from agentvoicebox.webhook.signatures import Headers, HmacScheme, Seen, check_retell

SECRET_HEADER = b"x-vapi-secret"
RETELL_HEADER = b"x-retell-signature"
PROXY_HEADERS = (b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-real-ip", b"cf-connecting-ip", b"via")


class Credentials(msgspec.Struct, frozen=True):
    """What a door accepts.

    Attributes:
        secrets: for `X-Vapi-Secret`.
        tokens: for `Authorization: Bearer`.
        hmac: a signature; None: no such.
        retell_key: Retell's API key, with which it signs; "": no such.
    """

    secrets: tuple[str, ...] = ()
    tokens: tuple[str, ...] = ()
    hmac: HmacScheme | None = None
    retell_key: str = ""

    def __repr__(self) -> str:
        return "Credentials(…)"

    @property
    def is_none(self) -> bool:
        """Whether nothing is set."""
        return not (self.secrets or self.tokens or self.hmac or self.retell_key)


class Source(msgspec.Struct, frozen=True):
    """Who asks.

    Attributes:
        key: for the limit; holds no secret.
        kind: how they were recognised, for the log.
        signatures: shown, and to be remembered once the request is taken.
    """

    key: str
    kind: str
    signatures: tuple[tuple[bytes, bytes], ...] = ()


class Guard:
    """Of one door.

    Args:
        seen: signatures of the last minutes; shared by the doors that accept the same ones.
    """

    def __init__(self, credentials: Credentials, seen: Seen, clock: Clock | None = None) -> None:
        self._credentials = credentials
        self._seen = seen
        self._clock = clock or SystemClock()

    def check(self, raw_headers: Sequence[tuple[bytes, bytes]], method: str, body: bytes, address: str) -> Source:
        """Who asks.

        Args:
            raw_headers: as ASGI has them.
            method: of HTTP.
            body: raw, as it came.
            address: of the sender, for those without credentials.

        Raises:
            BadCredentials: they may not.
        """
        accepted = self._credentials
        if accepted.is_none:
            return self._open(raw_headers, address)
        headers = _single(raw_headers)
        shown: list[str] = []
        signatures: list[tuple[bytes, bytes]] = []
        if accepted.secrets and SECRET_HEADER in headers:
            shown.append(f"secret {_which(headers[SECRET_HEADER], accepted.secrets)}")
        if accepted.tokens and b"authorization" in headers:
            scheme, _, token = headers[b"authorization"].strip().partition(b" ")
            if scheme.lower() != b"bearer":
                raise BadCredentials("Send Authorization: Bearer <token>.")
            shown.append(f"bearer {_which(token.strip(), accepted.tokens)}")
        wall_s = self._clock.wall_s()
        if accepted.hmac is not None and accepted.hmac.header.lower().encode() in headers:
            signature = accepted.hmac.check(headers, method, body, wall_s=wall_s)
            shown.append("hmac")
            signatures += [signature] if signature else []
        if accepted.retell_key and RETELL_HEADER in headers:
            key = accepted.retell_key.encode()
            signatures.append(check_retell(headers[RETELL_HEADER], key, body, wall_s=wall_s))
            shown.append("retell")
        if not shown:
            raise BadCredentials("This address needs a credential, and the request shows none of the configured kinds.")
        for each in signatures:
            self._seen.check(each, wall_s)
        return Source(shown[0], shown[0].partition(" ")[0], tuple(signatures))

    def taken(self, source: Source) -> None:
        """The request is being answered: the same signature is not accepted again."""
        for each in source.signatures:
            self._seen.add(each, self._clock.wall_s())

    def _open(self, raw_headers: Sequence[tuple[bytes, bytes]], address: str) -> Source:
        if not is_loopback(address) or any(name.lower() in PROXY_HEADERS for name, _ in raw_headers):
            raise BadCredentials(
                "No credential is configured, so only this machine is let in, and not through a proxy or tunnel. "
                "Set AVB_VAPI_SECRETS, AVB_VAPI_BEARER_TOKENS or AVB_VAPI_HMAC_SECRET."
            )
        return Source(f"address {address}", "open")


def address_of(peer: str, headers: Mapping[str, str], trusted_header: str) -> str:
    """The sender's address: the peer's, or what our own proxy wrote last into its header. IPv6 counts by /64, one household."""
    written = headers.get(trusted_header, "").rpartition(",")[2].strip() if trusted_header else ""
    try:
        address = ipaddress.ip_address(written or peer)
    except ValueError:
        return peer
    if isinstance(address, ipaddress.IPv6Address) and not address.is_loopback:
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False).network_address)
    return str(address)


def _single(raw_headers: Sequence[tuple[bytes, bytes]]) -> Headers:
    """Headers by lower-case name. One that comes twice with different values means nothing, so it fits nothing."""
    headers: dict[bytes, bytes] = {}
    for raw_name, value in raw_headers:
        name = raw_name.lower()
        headers[name] = value if headers.get(name, value) == value else b""
    return headers


def _which(given: bytes, known: Sequence[str]) -> int:
    """The index of the right one. All are compared, whole, whatever was given. Raises BadCredentials when none is."""
    digest = hashlib.sha256(given).digest()
    found = -1
    for index, each in enumerate(known):
        if hmac.compare_digest(digest, hashlib.sha256(each.encode()).digest()):
            found = index
    if found < 0:
        raise BadCredentials("The credential is not known here.")
    return found
