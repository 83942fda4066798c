"""How a call's session begins: opened here, or (`session_resume`) restored from another gateway's log.

Both give one value: what the call's parts are made from, and how they begin.
"""

import secrets
from abc import ABC, abstractmethod
from dataclasses import dataclass

from agentvoicebox.engine import rules
from agentvoicebox.engine.inputs import Opened
from agentvoicebox.gateway.admission.call_admission import AdmittedCall
from agentvoicebox.gateway.admission.secret_bodies import begin_with
from agentvoicebox.gateway.admission.session_support import Notes, SessionSupport
from agentvoicebox.gateway.call.call_parts import CallParts
from agentvoicebox.gateway.state import GatewayState
from agentvoicebox.ports.broker import ResultStream
from agentvoicebox.sessions.directory import KEY, RESUME
from agentvoicebox.sessions.resume_token import new_token, token_hash
from agentvoicebox.wire.session_config import SessionConfig, transcription_session

SESSION_S = 3_600  # realtime-protocol §1.2: 60 minutes at most


@dataclass(kw_only=True)
class SessionStart(ABC):
    """A session that this gateway owns, about to run.

    Attributes:
        config: the session's configuration.
        language_model: of its agent.
        results: what its workers publish from now on.
        start_sample: position of the next sample of the caller's audio.
        degraded: modes that its client already knows.
        is_recordable: whether the recording has the session from its start.
        resume_token: sent with `session.created`, to a browser that can resume; empty: none.
    """

    config: SessionConfig
    language_model: str
    results: ResultStream
    start_sample: int = 0
    degraded: tuple[str, ...] = ()
    is_recordable: bool = True
    resume_token: str = ""

    @property
    @abstractmethod
    def agent_name(self) -> str:
        """Name of the agent that answers."""

    @property
    def opened_s(self) -> float:
        """Wall time at which the session was opened, wherever that was; to a second."""
        return float(self.config.expires_at - SESSION_S)

    @abstractmethod
    async def begin(self, parts: CallParts) -> None:
        """Bring the parts into the session's state and send the client its first events. Raises SessionTaken."""


@dataclass(kw_only=True)
class NewSession(SessionStart):
    """A session that begins now.

    Attributes:
        opened: the first input of its engine.
    """

    opened: Opened

    @property
    def agent_name(self) -> str:
        """See SessionStart."""
        return self.opened.agent.name

    @property
    def opened_s(self) -> float:
        """Wall time."""
        return self.opened.wall_s

    async def begin(self, parts: CallParts) -> None:
        """See SessionStart."""
        await parts.driver.open(self.opened)


async def open_session(state: GatewayState, admitted: AdmittedCall) -> NewSession:
    """Create a session. Raises BrokerLost."""
    request, wall_s, token = admitted.request, state.clock.wall_s(), new_token()
    config, notes = _config(state.support, admitted, int(wall_s) + SESSION_S)
    opened = Opened(
        config=config,
        agent=request.agent.profile(),
        seed=secrets.token_hex(16),
        wall_s=wall_s,
        rules=rules.PRESENT,
        notes=notes,
    )
    fields = {
        "agent": request.agent.name,
        "model": request.model,
        "opened_s": f"{wall_s:.3f}",
        KEY: admitted.principal.key_id,
        RESUME: token_hash(token),
    }
    await state.directory.open(admitted.session, fields, owner=admitted.slot.owner)
    return NewSession(
        config=opened.config,
        language_model=request.agent.language_model,
        results=await state.broker.results(admitted.session),
        opened=opened,
        # Without it, no secret resumes the session: neither a live one, nor one that was opened with the key itself.
        resume_token=token if request.can_resume and admitted.authorization.secret is not None else "",
    )


def _config(support: SessionSupport, admitted: AdmittedCall, expires_at: int) -> tuple[SessionConfig, Notes]:
    """The session as agent and secret make it, and what of it is not in force."""
    request, session_id = admitted.request, admitted.session.session_id
    if request.is_transcription:  # no agent answers in such a session
        config = transcription_session(session_id, expires_at)
    else:
        config = request.agent.session(session_id=session_id, model=request.model, expires_at=expires_at)
    session, notes = support.begin(config, admitted.authorization.session, language_model=request.agent.language_model)
    return begin_with(config, session), notes
