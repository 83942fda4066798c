"""Ephemeral secrets (`ek_…`): a server mints one with its key, and a browser opens sessions with it until it expires.

Stored under a hash of the secret, with its validity as time to live; a secret of 256 random bits needs no slow
hash. Bound to the tenant, to the initial session, and optionally to one session's id.
"""

import hashlib
import secrets
from typing import Any

import msgspec

from agentvoicebox.broker.connection import Connection
from agentvoicebox.broker.keys import PREFIX
from agentvoicebox.clock import Clock, SystemClock
from agentvoicebox.errors import UNREADABLE, BadCredentials
from agentvoicebox.telemetry.logs import get_logger
from agentvoicebox.tenancy.principal import Principal

LEAD = "ek_"
LEAST_S, MOST_S, USUAL_S = 10, 7200, 600  # realtime-protocol §1.3; requirement A12.1
MOST_SESSIONS = 100  # at a time; a page has one
SECRET_BYTES = 32


class RedeemedSecret(msgspec.Struct, frozen=True):
    """A valid secret that a request showed.

    Attributes:
        principal: of the key that minted it, with the right to open sessions only.
        session: the initial `session.update` body of its sessions.
        session_id: the only session that it opens or resumes; empty: any.
        secret_id: names the secret; not the secret itself.
        max_sessions: most sessions at a time.
    """

    principal: Principal
    session: dict[str, Any]
    session_id: str
    secret_id: str
    max_sessions: int


class _Bound(msgspec.Struct, frozen=True, omit_defaults=True):
    """The stored data of a secret: everything but the secret itself."""

    tenant_id: str
    key_id: str
    session: dict[str, Any]
    session_id: str = ""
    max_sessions: int = 1


log = get_logger(__name__)
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Bound)


class ClientSecrets:
    """Mints and redeems."""

    def __init__(self, connection: Connection, *, clock: Clock | None = None) -> None:
        self._connection = connection
        self._clock = clock or SystemClock()

    async def mint(
        self,
        principal: Principal,
        session_config: dict[str, Any],
        seconds: int = USUAL_S,
        *,
        session_id: str = "",
        max_sessions: int = 1,
    ) -> tuple[str, int]:
        """Create a secret.

        Args:
            principal: the minting principal (right `client_secrets`), whose tenant the secret gets.
            session_config: the initial `session.update` body of its sessions; checked by `rest_bodies`.
            seconds: 10 to 7200.
            session_id: the only session that may be opened or resumed; empty: any new ones.
            max_sessions: how many may be open at a time, 1 to 100.

        Returns:
            (the secret, unix seconds of its expiry).

        Raises:
            PolicyDenied: the key may not mint. BrokerLost: the store is away.
            ValueError: `seconds` or `max_sessions` is out of range.
        """
        principal.require("client_secrets")
        if not LEAST_S <= seconds <= MOST_S:
            raise ValueError(f"a secret lives {LEAST_S} to {MOST_S} s, not {seconds}")
        if not 1 <= max_sessions <= MOST_SESSIONS:
            raise ValueError(f"a secret opens 1 to {MOST_SESSIONS} sessions at a time, not {max_sessions}")
        value = LEAD + secrets.token_urlsafe(SECRET_BYTES)
        kept = _encoder.encode(_Bound(principal.tenant_id, principal.key_id, session_config, session_id, max_sessions))
        expires_at = int(self._clock.wall_s()) + seconds
        await self._connection.call(lambda: self._connection.commands.set(_key(value), kept, ex=seconds))
        return value, expires_at

    async def redeem(self, value: str, *, session_id: str = "") -> RedeemedSecret:
        """What a secret stands for. It may be used repeatedly until it expires.

        Args:
            value: the secret.
            session_id: the session to open or resume; empty for a new one.

        Raises:
            BadCredentials: unknown, expired, or bound to another session. BrokerLost: the store is away.
        """
        kept: Any = None
        if value.startswith(LEAD) and value.isascii():
            kept = await self._connection.call(lambda: self._connection.commands.get(_key(value)))
        bound = None if kept is None else _read(kept)
        if bound is None or (bound.session_id and bound.session_id != session_id):
            raise BadCredentials("Incorrect API key provided.")
        principal = Principal(bound.tenant_id, bound.key_id, ("realtime",))
        return RedeemedSecret(principal, bound.session, bound.session_id, _id(value), bound.max_sessions)


def _read(kept: bytes) -> _Bound | None:
    try:
        return _decoder.decode(kept)
    except UNREADABLE as error:
        log.error("a secret's record can't be read", error=type(error).__name__)
        return None


def _key(value: str) -> str:
    return f"{PREFIX}secret:{_id(value)}"


def _id(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()
