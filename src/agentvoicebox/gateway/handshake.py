"""Who may call, and whom: reads the request of a WebSocket upgrade and decides, before any state exists.

Follows realtime-protocol §1.1 and §1.2. Leaves to the route: answering the upgrade, and showing a refusal (one `error` event,
then a close whose reason is `type.code`), because OpenAI's clients expect to be told after the upgrade, not by a status.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

import msgspec

from agentvoicebox.agents import Agent, Agents
from agentvoicebox.errors import AgentVoiceBoxError, BadCredentials, ClientError, PolicyDenied, Refused
from agentvoicebox.settings import DEFAULT_TENANT, is_loopback
from agentvoicebox.wire.dialect import Dialect

SUBPROTOCOL = "realtime"
KEY_SUBPROTOCOL = "openai-insecure-api-key."
BETA_SUBPROTOCOL = "openai-beta.realtime-v1"
BETA_HEADER = "realtime=v1"

CLOSE_BAD_REQUEST = 4000  # what OpenAI closes with when the query is at fault
CLOSE_TRY_LATER = 1013  # clients' libraries reconnect on it
SESSION_ID = re.compile(r"sess_[0-9a-f]{20}")
NO_SUCH_SESSION = "There is no such session; it may have expired."
MAX_MS_DIGITS = 9  # eleven days
MAX_REASON_BYTES = 123  # RFC 6455, 5.5: a control frame carries 125 bytes, two of them the code


class Welcome(msgspec.Struct, frozen=True):
    """What a client that was let in asked for.

    Attributes:
        model: as the client wrote it; empty in a transcription session.
        wants_trace: it asked for `agentvoicebox.turn` events, which strict clients can't bear.
        can_resume: it will come back when the line breaks, and wants to be told where to go on.
        return_of: the session it comes back to, or None.
        key_digest: of the key it came with; the session it comes back to must have been opened with the same.
    """

    tenant_id: str
    agent: Agent
    model: str
    dialect: Dialect = Dialect.GA
    is_transcription: bool = False
    wants_trace: bool = False
    can_resume: bool = False
    return_of: "Return | None" = None
    key_digest: str = ""


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


class Keys:
    """The configured bearer keys."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = [key.encode() for key in keys]

    @property
    def is_open(self) -> bool:
        """No key is configured (settings allow that on loopback only): whoever can connect is let in."""
        return not self._keys

    def check(self, headers: Mapping[str, str], subprotocols: Sequence[str] = ()) -> None:
        """Raise NoCredentials or BadCredentials unless the request carries a good key, or none is needed.

        Without keys a page of any web site could call a server on the visitor's own machine, so then the page's origin must be
        on this machine, too (PolicyDenied).
        """
        if self.is_open:
            origin = urlsplit(headers.get("origin", "")).hostname
            if origin is not None and not is_loopback(origin):
                raise PolicyDenied(
                    f"Pages of {origin} may not call this server without a key.", code="origin_not_allowed"
                )
            return
        given = _key_in(headers, subprotocols)
        if given is None:
            raise NoCredentials("Missing bearer authentication in header.")
        # every key is compared, in constant time: how long it takes says nothing about how near a guess was
        matches = [hmac.compare_digest(given.encode("utf-8", "surrogateescape"), key) for key in self._keys]
        if not any(matches):
            raise BadCredentials("Incorrect API key provided.")


class NoCredentials(Refused):
    """No key at all. OpenAI gives this refusal no code."""

    close_code = 3000


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
    headers: Mapping[str, str], query: Mapping[str, str], subprotocols: Sequence[str], *, keys: Keys, agents: Agents
) -> Welcome:
    """Decide about a request. Header names are lower case.

    Raises:
        NoCredentials, BadCredentials, PolicyDenied, BadQuery: each with the code it is to be closed with.
    """
    keys.check(headers, subprotocols)
    came_back = _return(query)
    is_transcription = query.get("intent") == "transcription"
    if "call_id" in query and not is_transcription:
        raise BadQuery("There is no such call here; only WebSocket sessions are served.", code="call_not_found")
    model = query.get("model") or query.get("deployment") or ""
    if is_transcription:
        agent, model = agents.default, ""
    elif came_back is not None:
        agent = agents.default  # who answers is written in the session
    elif not model:
        raise BadQuery("You must provide a model parameter.", code="missing_model", param="model")
    else:
        try:
            agent = agents.resolve(model)
        except ClientError as error:
            raise BadQuery(error.message, code=error.code, param=error.param) from error
    return Welcome(
        tenant_id=DEFAULT_TENANT,
        agent=agent,
        model=model,
        dialect=_dialect(headers, query, subprotocols),
        is_transcription=is_transcription,
        wants_trace=query.get("trace") == "1",
        can_resume=query.get("resume") == "1",
        return_of=came_back,
        key_digest=_digest(_key_in(headers, subprotocols)),
    )


def _return(query: Mapping[str, str]) -> Return | None:
    session_id = query.get("session_id")
    if session_id is None:
        return None
    if SESSION_ID.fullmatch(session_id) is None:
        raise SessionNotFound(NO_SUCH_SESSION)
    spans = [_milliseconds(query, name) for name in ("audio_from_ms", "audio_until_ms")]
    return Return(session_id, query.get("last_event_id", ""), *spans)


def _milliseconds(query: Mapping[str, str], name: str) -> int | None:
    text = query.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_MS_DIGITS):
        raise BadQuery(f"{name} is a number of milliseconds.", code="invalid_value", param=name)
    return int(text)


def _digest(key: str | None) -> str:
    """What the directory keeps of a key, to know it again."""
    return hashlib.blake2b((key or "").encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()


def close_of(error: AgentVoiceBoxError) -> tuple[int, str]:
    """The close code and reason (`type.code`) of a refusal."""
    reason = error.error_type if error.code is None else f"{error.error_type}.{error.code}"
    code = error.close_code or (CLOSE_TRY_LATER if error.retryable else CLOSE_BAD_REQUEST)
    return code, reason.encode()[:MAX_REASON_BYTES].decode(errors="ignore")


def _key_in(headers: Mapping[str, str], subprotocols: Sequence[str]) -> str | None:
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
