"""Authenticates requests. Several kinds of credential may be configured; every one that a request shows must be valid.

Fails closed: if a credential is configured, a request without one is refused. If
none is configured, only requests from this machine are accepted (`http_server.local_only`).
"""

import hashlib
import hmac
from collections.abc import Sequence

import msgspec

from agentvoicebox.clock import Clock, SystemClock
from agentvoicebox.errors import BadCredentials
from agentvoicebox.http_server.local_only import find_foreign
from agentvoicebox.loopback import is_loopback
from agentvoicebox.webhook.signatures import Headers, HmacScheme, SeenSignatures, check_retell

SECRET_HEADER = b"x-vapi-secret"
RETELL_HEADER = b"x-retell-signature"


class Credentials(msgspec.Struct, frozen=True):
    """The credentials that a route accepts.

    Attributes:
        secrets: for `X-Vapi-Secret`.
        tokens: for `Authorization: Bearer`.
        hmac: the signature scheme; None: signatures are not accepted.
        retell_key: Retell's API key, which verifies its signatures; "": they are not accepted.
    """

    secrets: tuple[str, ...] = ()
    tokens: tuple[str, ...] = ()
    hmac: HmacScheme | None = None
    retell_key: str = ""

    def __repr__(self) -> str:
        return "Credentials(…)"

    @property
    def is_none(self) -> bool:
        """Whether no credential is configured."""
        return not (self.secrets or self.tokens or self.hmac or self.retell_key)


class Source(msgspec.Struct, frozen=True):
    """The authenticated sender of a request.

    Attributes:
        key: for the limit; contains no secret.
        kind: the kind of credential, for the log.
        signatures: signatures of the request, to be remembered when it is accepted.
    """

    key: str
    kind: str
    signatures: tuple[tuple[bytes, bytes], ...] = ()


class Guard:
    """Checks the credentials of some routes.

    Args:
        credentials: that the routes accept.
        seen: signatures of the last minutes; shared by guards that accept the same signatures.
        clock: for the age of signatures.
    """

    def __init__(self, credentials: Credentials, seen: SeenSignatures, clock: Clock | None = None) -> None:
        self._credentials = credentials
        self._seen = seen
        self._clock = clock or SystemClock()

    def check(self, raw_headers: Sequence[tuple[bytes, bytes]], method: str, body: bytes, address: str) -> Source:
        """Authenticate a request.

        Args:
            raw_headers: the headers from ASGI.
            method: the HTTP method.
            body: raw bytes.
            address: the sender's address, used if no credential is configured.

        Raises:
            BadCredentials: the request is refused.
        """
        accepted = self._credentials
        if accepted.is_none:
            return self._without_credentials(raw_headers, address)
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
            raise BadCredentials("This route requires a credential, and the request has none of the configured kinds.")
        for each in signatures:
            self._seen.check(each, wall_s)
        return Source(shown[0], shown[0].partition(" ")[0], tuple(signatures))

    def remember_signatures(self, source: Source) -> None:
        """The request was accepted: its signatures are not accepted again."""
        for each in source.signatures:
            self._seen.add(each, self._clock.wall_s())

    def _without_credentials(self, raw_headers: Sequence[tuple[bytes, bytes]], address: str) -> Source:
        foreign = find_foreign({name.decode("latin-1"): value.decode("latin-1") for name, value in raw_headers})
        if foreign is not None or not is_loopback(address):
            found = "" if foreign is None else f" ({foreign.code})"
            raise BadCredentials(
                "No credential is configured, so only requests from this machine to localhost are accepted, and none from a page "
                f"of another site, a proxy or a tunnel{found}. Set AVB_VAPI_SECRETS, AVB_VAPI_BEARER_TOKENS or "
                "AVB_VAPI_HMAC_SECRET."
            )
        return Source(f"address {address}", "open")


def _single(raw_headers: Sequence[tuple[bytes, bytes]]) -> Headers:
    """Headers by lower-case name. A header that is repeated with different values becomes b"", which matches no credential."""
    headers: dict[bytes, bytes] = {}
    for raw_name, value in raw_headers:
        name = raw_name.lower()
        headers[name] = value if headers.get(name, value) == value else b""
    return headers


def _which(given: bytes, known: Sequence[str]) -> int:
    """Index of the matching credential. All are compared, in constant time. Raises BadCredentials if none matches."""
    digest = hashlib.sha256(given).digest()
    found = -1
    for index, each in enumerate(known):
        if hmac.compare_digest(digest, hashlib.sha256(each.encode()).digest()):
            found = index
    if found < 0:
        raise BadCredentials("The credential is invalid.")
    return found
