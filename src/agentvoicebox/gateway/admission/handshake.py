"""Whom a caller wants, and how: reads the request of a WebSocket upgrade, before any state exists.

Follows realtime-protocol §1.1 and §1.2. Who may come in at all is `reception`'s. Leaves to the route: answering the upgrade, and
showing a refusal (one `error` event, then a close whose reason is `type.code`), because OpenAI's clients expect to be told
after the upgrade, not by a status.
"""

import re
from collections.abc import Mapping, Sequence

import msgspec

from agentvoicebox.agents import Agent, Agents
from agentvoicebox.errors import AgentVoiceBoxError, ClientError
from agentvoicebox.gateway.admission.credential_resolver import Admitted
from agentvoicebox.tenancy.principal import Principal
from agentvoicebox.wire.dialect import Dialect

SUBPROTOCOL = "realtime"
KEY_SUBPROTOCOL = "openai-insecure-api-key."
BETA_SUBPROTOCOL = "openai-beta.realtime-v1"
BETA_HEADER = "realtime=v1"

CLOSE_BAD_REQUEST = 4000  # what OpenAI closes with when the query is at fault
CLOSE_TRY_LATER = 1013  # clients' libraries reconnect on it
SESSION_ID = re.compile(r"sess_[0-9a-f]{20}")
NO_SUCH_SESSION = "There is no such session; it may have expired."
LIMITS_MARK = "_limits"
"""Stands in the id of a `rate_limits.updated`, after the id of the event that went before it."""
MAX_MS_DIGITS = 9  # eleven days
MAX_REASON_BYTES = 123  # RFC 6455, 5.5: a control frame carries 125 bytes, two of them the code


class Welcome(msgspec.Struct, frozen=True):
    """What a client that was let in asked for.

    Attributes:
        admitted: who it is, and what its session begins with.
        model: as the client wrote it; empty in a transcription session.
        wants_trace: it asked for `agentvoicebox.turn` events, which strict clients can't bear.
        can_resume: it will come back when the line breaks, and wants to be told where to go on.
        return_of: the session it comes back to, or None; that one must be its tenant's and have been opened with its key.
    """

    admitted: Admitted
    agent: Agent
    model: str
    dialect: Dialect = Dialect.GA
    is_transcription: bool = False
    wants_trace: bool = False
    can_resume: bool = False
    return_of: "Return | None" = None

    @property
    def principal(self) -> Principal:
        """Whose call it is."""
        return self.admitted.principal


class Return(msgspec.Struct, frozen=True):
    """A client that comes back.

    Attributes:
        last_event_id: of the last event it got, those of ours (`agentvoicebox.…`) not counted; empty: none.
        audio_from_ms, audio_until_ms: the caller's audio it can send again, counted from the first sample ever appended.
    """

    session_id: str
    last_event_id: str = ""
    audio_from_ms: int | None = None
    audio_until_ms: int | None = None


class BadQuery(ClientError):
    """The query of the upgrade makes no session."""

    close_code = CLOSE_BAD_REQUEST


class SessionNotFound(BadQuery):
    """No such session, or not for this caller: which of both is not told."""

    code = "session_not_found"


def choose_subprotocol(offered: Sequence[str]) -> str | None:
    """`realtime` if the client offers it, else none: never the one that carries the key."""
    return SUBPROTOCOL if SUBPROTOCOL in offered else None


def welcome(
    headers: Mapping[str, str],
    query: Mapping[str, str],
    subprotocols: Sequence[str],
    *,
    admitted: Admitted,
    agents: Agents,
) -> Welcome:
    """Decide about the request of somebody who may come in. Header names are lower case.

    Who comes with an ephemeral secret gets what it was minted for, and may name it once more, but nothing else.

    Raises:
        BadQuery: with the code it is to be closed with.
    """
    came_back = _return(query)
    minted = admitted.session or {}
    is_transcription = query.get("intent") == "transcription" or minted.get("type") == "transcription"
    if "call_id" in query and not is_transcription:
        raise BadQuery("There is no such call here; only WebSocket sessions are served.", code="call_not_found")
    model = query.get("model") or query.get("deployment") or minted.get("model") or ""
    if is_transcription:
        agent, model = agents.default, ""
    elif came_back is not None:
        agent = agents.default  # who answers is written in the session
    elif not model:
        raise BadQuery("You must provide a model parameter.", code="missing_model", param="model")
    else:
        try:
            agent = agents.resolve(model)
            is_another = "model" in minted and agent is not agents.resolve(minted["model"])
        except ClientError as error:
            raise BadQuery(error.message, code=error.code, param=error.param) from error
        if is_another:
            raise BadQuery("This client secret is for another model.", code="invalid_model", param="model")
    return Welcome(
        admitted=admitted,
        agent=agent,
        model=model,
        dialect=_dialect(headers, query, subprotocols),
        is_transcription=is_transcription,
        wants_trace=query.get("trace") == "1",
        can_resume=query.get("resume") == "1",
        return_of=came_back,
    )


def _return(query: Mapping[str, str]) -> Return | None:
    session_id = query.get("session_id")
    if session_id is None:
        return None
    if SESSION_ID.fullmatch(session_id) is None:
        raise SessionNotFound(NO_SUCH_SESSION)
    spans = [_milliseconds(query, name) for name in ("audio_from_ms", "audio_until_ms")]
    # What is left of the limits is no part of the conversation: it goes on after the event before.
    return Return(session_id, query.get("last_event_id", "").partition(LIMITS_MARK)[0], *spans)


def _milliseconds(query: Mapping[str, str], name: str) -> int | None:
    text = query.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_MS_DIGITS):
        raise BadQuery(f"{name} is a number of milliseconds.", code="invalid_value", param=name)
    return int(text)


def close_of(error: AgentVoiceBoxError) -> tuple[int, str]:
    """The close code and reason (`type.code`) of a refusal."""
    reason = error.error_type if error.code is None else f"{error.error_type}.{error.code}"
    code = error.close_code or (CLOSE_TRY_LATER if error.retryable else CLOSE_BAD_REQUEST)
    return code, reason.encode()[:MAX_REASON_BYTES].decode(errors="ignore")


def key_in(headers: Mapping[str, str], subprotocols: Sequence[str] = ()) -> str | None:
    """The key or ephemeral secret that a request carries, in either header or (a browser's) as a subprotocol."""
    scheme, _, key = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and key.strip():
        return key.strip()
    if headers.get("api-key"):
        return headers["api-key"]
    return next((each.removeprefix(KEY_SUBPROTOCOL) for each in subprotocols if each.startswith(KEY_SUBPROTOCOL)), None)


def _dialect(headers: Mapping[str, str], query: Mapping[str, str], subprotocols: Sequence[str]) -> Dialect:
    asks_for_beta = (
        BETA_HEADER in headers.get("openai-beta", "")
        or BETA_SUBPROTOCOL in subprotocols
        or "api-version" in query  # Azure's preview; its GA address has none
    )
    return Dialect.BETA if asks_for_beta else Dialect.GA
