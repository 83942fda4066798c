"""Reads the request of a WebSocket upgrade, before any state exists: which agent, which protocol dialect, new or resumed.

Follows realtime-protocol §1.1 and §1.2. `admission_control` decides who may connect; `http.realtime` sends refusals.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from agentvoicebox.agents import Agent, Agents
from agentvoicebox.errors import AgentVoiceBoxError, ClientError
from agentvoicebox.wire.dialect import Dialect

SUBPROTOCOL = "realtime"
KEY_SUBPROTOCOL = "openai-insecure-api-key."
BETA_SUBPROTOCOL = "openai-beta.realtime-v1"
BETA_HEADER = "realtime=v1"

CLOSE_BAD_REQUEST = 4000  # OpenAI's close code for a bad query
CLOSE_TRY_LATER = 1013  # client libraries reconnect on it
SESSION_ID = re.compile(r"sess_[0-9a-f]{20}")
NO_SUCH_SESSION = "There is no such session; it may have expired."
LIMITS_MARK = "_limits"
"""In the id of a `rate_limits.updated`, after the id of the event that went before it."""
MAX_MS_DIGITS = 9  # eleven days
MAX_REASON_BYTES = 123  # RFC 6455, 5.5: a control frame carries 125 bytes, two of them the code


class UpgradeRequest(msgspec.Struct, frozen=True):
    """What a client sends to open a WebSocket. Header names are lower case. `source`: see `AdmissionControl.source_of`."""

    headers: Mapping[str, str]
    query: Mapping[str, str]
    subprotocols: Sequence[str] = ()
    source: str = ""


class ResumeRequest(msgspec.Struct, frozen=True):
    """A client that wants to resume its session.

    Attributes:
        last_event_id: of the last event it got, those of ours (`agentvoicebox.…`) not counted; empty: none.
        token: of the session's first `session.created`; only browsers need it.
        audio_from_ms, audio_until_ms: the caller's audio it can send again, counted from the first sample ever appended.
    """

    session_id: str
    last_event_id: str = ""
    token: str = ""
    audio_from_ms: int | None = None
    audio_until_ms: int | None = None

    def __repr__(self) -> str:
        return f"ResumeRequest({self.session_id})"


class HandshakeRequest(msgspec.Struct, frozen=True):
    """What a client asked for in its query and headers.

    Attributes:
        agent: who answers; in a resumed session its state names the agent instead.
        model: as the client wrote it; empty in a transcription session.
        wants_trace: it asked for `agentvoicebox.turn` events, which strict clients can't parse.
        can_resume: it reconnects when the connection breaks, and wants `agentvoicebox.session.resumed`.
        resume: the session to resume, or None. It must belong to its tenant and have been opened with its key.
    """

    agent: Agent
    model: str
    dialect: Dialect = Dialect.GA
    is_transcription: bool = False
    wants_trace: bool = False
    can_resume: bool = False
    resume: ResumeRequest | None = None


class BadQuery(ClientError):
    """The query of the upgrade is invalid."""

    close_code = CLOSE_BAD_REQUEST


class SessionNotFound(BadQuery):
    """No such session, or not for this caller: the answer does not say which."""

    code = "session_not_found"


def subprotocols_in(headers: Mapping[str, str]) -> tuple[str, ...]:
    """The subprotocols that an upgrade offers."""
    return tuple(each.strip() for each in headers.get("sec-websocket-protocol", "").split(",") if each.strip())


def choose_subprotocol(offered: Sequence[str]) -> str | None:
    """`realtime` if the client offers it, else none; never the one that carries the key."""
    return SUBPROTOCOL if SUBPROTOCOL in offered else None


def parse_handshake(upgrade: UpgradeRequest, agents: Agents, *, minted: Mapping[str, Any] | None) -> HandshakeRequest:
    """Read the request of an authorized client.

    Args:
        upgrade: the request.
        agents: that can be called.
        minted: the session body of its ephemeral secret; the client may name the same model again, but no other. None with a key.

    Raises:
        BadQuery: with the code for the close.
    """
    query, secret = upgrade.query, minted or {}
    resume = _resume_request(query)
    is_transcription = query.get("intent") == "transcription" or secret.get("type") == "transcription"
    if "call_id" in query and not is_transcription:
        raise BadQuery("There is no such call here; only WebSocket sessions are served.", code="call_not_found")
    model = query.get("model") or query.get("deployment") or secret.get("model") or ""
    if is_transcription:
        agent, model = agents.default, ""
    elif resume is not None:
        agent = agents.default
    else:
        agent = _agent(model, agents, secret.get("model"))
        model = model or agent.name
    return HandshakeRequest(
        agent=agent,
        model=model,
        dialect=_dialect(upgrade),
        is_transcription=is_transcription,
        wants_trace=query.get("trace") == "1",
        can_resume=query.get("resume") == "1",
        resume=resume,
    )


def _agent(model: str, agents: Agents, minted_model: str | None) -> Agent:
    try:
        agent = agents.resolve(model)
        is_other = minted_model is not None and agent is not agents.resolve(minted_model)
    except ClientError as error:
        raise BadQuery(error.message, code=error.code, param=error.param) from error
    if is_other:
        raise BadQuery("This client secret is for another model.", code="invalid_model", param="model")
    return agent


def _resume_request(query: Mapping[str, str]) -> ResumeRequest | None:
    session_id = query.get("session_id")
    if session_id is None:
        return None
    if SESSION_ID.fullmatch(session_id) is None:
        raise SessionNotFound(NO_SUCH_SESSION)
    spans = [_milliseconds(query, name) for name in ("audio_from_ms", "audio_until_ms")]
    # A `rate_limits.updated` is not part of the conversation: resume after the event before it.
    last_event_id = query.get("last_event_id", "").partition(LIMITS_MARK)[0]
    return ResumeRequest(session_id, last_event_id, query.get("resume_token", ""), *spans)


def _milliseconds(query: Mapping[str, str], name: str) -> int | None:
    text = query.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_MS_DIGITS):
        raise BadQuery(f"{name} is a number of milliseconds.", code="invalid_value", param=name)
    return int(text)


def close_of(error: AgentVoiceBoxError) -> tuple[int, str]:
    """The close code and reason (`type.code`) for an error."""
    reason = error.error_type if error.code is None else f"{error.error_type}.{error.code}"
    code = error.close_code or (CLOSE_TRY_LATER if error.retryable else CLOSE_BAD_REQUEST)
    return code, reason.encode()[:MAX_REASON_BYTES].decode(errors="ignore")


def credential_in(headers: Mapping[str, str], subprotocols: Sequence[str] = ()) -> str | None:
    """The key or ephemeral secret in a request: in a header (names are lower case) or, from a browser, as a subprotocol."""
    scheme, _, key = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and key.strip():
        return key.strip()
    if headers.get("api-key"):
        return headers["api-key"]
    return next((each.removeprefix(KEY_SUBPROTOCOL) for each in subprotocols if each.startswith(KEY_SUBPROTOCOL)), None)


def _dialect(upgrade: UpgradeRequest) -> Dialect:
    asks_for_beta = (
        BETA_HEADER in upgrade.headers.get("openai-beta", "")
        or BETA_SUBPROTOCOL in upgrade.subprotocols
        or "api-version" in upgrade.query  # Azure's preview; its GA address has none
    )
    return Dialect.BETA if asks_for_beta else Dialect.GA
