"""A WebSocket request → an admitted call: authorized, with a parsed request, a session and its place in this gateway."""

import asyncio
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from agentvoicebox.agents import Agents
from agentvoicebox.clock import Clock
from agentvoicebox.engine import session_format
from agentvoicebox.errors import RateLimited
from agentvoicebox.gateway.admission.admission_control import AdmissionControl, Authorization
from agentvoicebox.gateway.admission.handshake import (
    NO_SUCH_SESSION,
    HandshakeRequest,
    SessionNotFound,
    UpgradeRequest,
    parse_handshake,
)
from agentvoicebox.gateway.admission.openings import Openings
from agentvoicebox.gateway.admission.session_registry import SessionRegistry, SessionSlot
from agentvoicebox.ports.broker import SessionRef
from agentvoicebox.sessions.directory import KEY, RESUME, SessionDirectory, format_of, new_owner
from agentvoicebox.sessions.resume_token import is_token
from agentvoicebox.tenancy.principal import Principal

REFUSED_AFTER_S = 1.0


@dataclass(frozen=True)
class AdmittedCall:
    """Everything that admission found out about a call. Its place must be released (`SessionRegistry.release`).

    Attributes:
        authorization: whose call it is, and what it may use.
        request: what the client asked for.
        slot: the place of its session, with the gateway's owner token.
        stored: the directory's fields of the session to resume; empty for a new one.
    """

    authorization: Authorization
    request: HandshakeRequest
    slot: SessionSlot
    stored: Mapping[str, str] = field(default_factory=dict)

    @property
    def principal(self) -> Principal:
        """Whose call it is."""
        return self.authorization.principal

    @property
    def session(self) -> SessionRef:
        """The call's session."""
        return self.slot.session


class CallAdmission:
    """Admits calls to one gateway."""

    def __init__(
        self,
        control: AdmissionControl,
        agents: Agents,
        directory: SessionDirectory,
        sessions: SessionRegistry,
        *,
        clock: Clock,
    ) -> None:
        self._control = control
        self._agents = agents
        self._directory = directory
        self._sessions = sessions
        self._openings = Openings(sessions.max_calls, clock)

    async def admit(self, upgrade: UpgradeRequest) -> AdmittedCall:
        """Decide about a call, and reserve its place.

        Raises:
            BadQuery: the request is invalid. SessionNotFound: the session to resume is gone, or was opened with another key.
            Overloaded, RateLimited: there is no place. Otherwise as `AdmissionControl.authorize`.
        """
        resumed_id = upgrade.query.get("session_id", "")
        authorization = await self._control.authorize(
            upgrade.headers, upgrade.subprotocols, session_id=resumed_id, source=upgrade.source
        )
        request = parse_handshake(upgrade, self._agents, minted=authorization.session)
        tenant_id = authorization.principal.tenant_id
        is_new, stored = request.resume is None, {}
        await self._wait_to_begin(tenant_id, is_new=is_new)
        if request.resume is None:
            session = SessionRef(tenant_id, new_session_id())
            await self._control.decisions.require(
                authorization.principal, "session.open", resource_id=request.agent.name
            )
        else:
            session = SessionRef(tenant_id, request.resume.session_id)
            stored = await self._find(session, authorization, request.resume.token)
        slot = self._sessions.reserve(session, new_owner(), is_new=is_new)
        try:
            await self._control.reserve_session(session, authorization, is_new=is_new)
        except BaseException:
            self._sessions.release(slot, is_over=is_new)
            raise
        return AdmittedCall(authorization, request, slot, stored)

    async def _wait_to_begin(self, tenant_id: str, *, is_new: bool) -> None:
        """Return when the tenant's call may begin. Raises RateLimited, a while later: an answer at once brings the next try."""
        try:
            wait_s = self._openings.take(tenant_id, is_new=is_new)
        except RateLimited:
            await asyncio.sleep(REFUSED_AFTER_S)
            raise
        await asyncio.sleep(wait_s)

    async def _find(self, session: SessionRef, authorization: Authorization, token: str) -> dict[str, str]:
        """The directory's fields of a session that the caller may resume.

        Raises:
            SessionNotFound: there is none, or it was opened with another key, or a browser does not know its token.
            NewerFormat: this version can't read it; a newer gateway can resume it.
            StorageLost, BrokerLost: it can't be checked now.
        """
        stored = await self._directory.find(session)
        if stored is None or not await self._control.is_same_key(authorization.principal, stored.get(KEY, "")):
            raise SessionNotFound(NO_SUCH_SESSION)
        secret = authorization.secret
        if secret is not None and not secret.session_id and RESUME in stored and not is_token(token, stored[RESUME]):
            raise SessionNotFound(NO_SUCH_SESSION)  # sessions of the version before have no token
        session_format.require_readable(format_of(stored))
        return stored


def new_session_id() -> str:
    """A fresh `sess_…` id. Random, not counted: a client later resumes the session by it."""
    return f"sess_{secrets.token_hex(10)}"
