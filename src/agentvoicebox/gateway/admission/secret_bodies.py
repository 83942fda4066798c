"""Bodies of the routes that mint ephemeral secrets, the current one and two retired ones: read, checked, answered.

Follows realtime-protocol §1.3. Pure: the route reads JSON, calls `read_…`, mints, and answers with `answer_…`. The gateway
authorizes; `wire.session_config` checks the session.
"""

from typing import Any, Literal

import msgspec

from agentvoicebox.agents import Agents
from agentvoicebox.errors import ClientError
from agentvoicebox.gateway.admission.session_support import Notes, SessionSupport
from agentvoicebox.tenancy.client_secrets import LEAST_S, MOST_S, MOST_SESSIONS, USUAL_S
from agentvoicebox.wire import bounds, checks, legacy
from agentvoicebox.wire.dialect import session_to_beta
from agentvoicebox.wire.session_config import SessionConfig, apply_update, session_to_wire, transcription_session

MAX_SESSIONS = "max_concurrent_sessions"
ANYTHING = SessionSupport()

Kind = Literal["realtime", "transcription"]


class _SecretLife(msgspec.Struct, frozen=True):
    """How long a secret lives, and how many sessions it may have open."""

    seconds: int = USUAL_S
    max_sessions: int = 1


class SecretRequest(msgspec.Struct, frozen=True):
    """What a body requests.

    Attributes:
        seconds: lifetime of the secret.
        session: the initial session of its holder, in the present spelling, with `type` and `model` (of a conversation).
        effective: the whole session that follows from it, for the answer.
        notes: what of it is not in force.
        max_sessions: how many sessions it may have open at a time. An extension of ours: OpenAI's secrets have no such limit.
    """

    seconds: int
    session: dict[str, Any]
    effective: SessionConfig
    max_sessions: int
    notes: Notes = ()


def read_client_secrets(
    body: object, *, agents: Agents, session_id: str, support: SessionSupport = ANYTHING
) -> SecretRequest:
    """`POST /v1/realtime/client_secrets`: `{expires_after?, session?, max_concurrent_sessions?}`.

    Args:
        body: the parsed JSON; None or {} asks for the defaults.
        agents: the available agents; `session.model` names one, and without it the default agent is used.
        session_id: a fresh `sess_…`, for the answer.
        support: what a session may ask for.

    Raises:
        ClientError: the first error, with its dotted path.
    """
    fields = {} if body is None else checks.read_object(body, "body")
    checks.reject_unknown(fields, ("expires_after", "session", MAX_SESSIONS))
    life = _SecretLife(
        _seconds(fields.get("expires_after"), "expires_after"), _max_sessions(fields.get(MAX_SESSIONS), MAX_SESSIONS)
    )
    session = {} if fields.get("session") is None else checks.read_object(fields["session"], "session")
    kind = checks.read_choice(session.get("type") or "realtime", "session.type", ("realtime", "transcription"))
    is_realtime = kind == "realtime"
    return _request(session, "realtime" if is_realtime else "transcription", life, agents, session_id, support)


def read_beta_session(
    body: object, *, kind: Kind, agents: Agents, session_id: str, support: SessionSupport = ANYTHING
) -> SecretRequest:
    """Beta's `POST /v1/realtime/sessions` and `/v1/realtime/transcription_sessions`: a flat session, maybe `client_secret`.

    Arguments and errors as in `read_client_secrets`.
    """
    session = {} if body is None else dict(checks.read_object(body, "body"))
    secret = session.pop("client_secret", None)
    life = _SecretLife()
    if secret is not None:
        secret = checks.read_object(secret, "client_secret")
        # The transcription route of the retired API calls the same thing `expires_at`.
        name = "expires_at" if "expires_at" in secret and "expires_after" not in secret else "expires_after"
        life = _SecretLife(
            _seconds(secret.get(name), f"client_secret.{name}"),
            _max_sessions(secret.get(MAX_SESSIONS), f"client_secret.{MAX_SESSIONS}"),
        )
    return _request({**legacy.session_to_ga(session), "type": kind}, kind, life, agents, session_id, support)


def answer_client_secrets(request: SecretRequest, value: str, expires_at: int) -> dict[str, Any]:
    """The body of a 200 from `/v1/realtime/client_secrets`."""
    return {"value": value, "expires_at": expires_at, "session": _shown(request)}


def answer_beta_session(request: SecretRequest, value: str, expires_at: int) -> dict[str, Any]:
    """The body of a 200 from the beta routes: the flat session with its secret."""
    flat = session_to_beta(_shown(request))
    return {**flat, "client_secret": {"value": value, "expires_at": expires_at}}


def _shown(request: SecretRequest) -> dict[str, Any]:
    return session_to_wire(request.effective, notes=request.notes)


def begin_with(config: SessionConfig, session: dict[str, Any] | None) -> SessionConfig:
    """The session of a caller with a secret: the agent's configuration, overridden by the secret's.

    A secret for a transcription session opens no other kind, and vice versa.

    Raises:
        InvalidEvent: the secret was minted for the other kind of session, or fields changed their meaning since.
    """
    return config if session is None else apply_update(config, session)


def _request(
    session: dict[str, Any], kind: Kind, life: _SecretLife, agents: Agents, session_id: str, support: SessionSupport
) -> SecretRequest:
    session = {name: value for name, value in session.items() if name not in ("id", "object", "expires_at")}
    session["type"] = kind
    bounds.check_options(legacy.session_to_ga(session), "session")
    language_model = ""
    if kind == "transcription":
        session.pop("model", None)
        base = transcription_session(session_id)
    else:
        model = session.get("model")
        model = "" if model is None else checks.read_text(model, "session.model")
        try:
            agent = agents.resolve(model or agents.default.name)
        except ClientError as error:
            raise ClientError(error.message, code=error.code, param="session.model") from error
        session["model"] = model or agent.name
        base = agent.session(session_id=session_id, model=session["model"], expires_at=0)
        language_model = agent.language_model
    # The secret keeps the session as it was sent, so that the notes are made anew by the gateway that opens it.
    adapted, notes = support.begin(base, session, language_model=language_model)
    return SecretRequest(life.seconds, session, begin_with(base, adapted), life.max_sessions, notes)


def _seconds(value: object, path: str) -> int:
    if value is None:
        return USUAL_S
    fields = checks.read_object(value, path)
    checks.reject_unknown(fields, ("anchor", "seconds"), path)
    if fields.get("anchor") is not None:
        checks.read_choice(fields["anchor"], f"{path}.anchor", ("created_at",))
    return _integer(fields.get("seconds"), f"{path}.seconds", LEAST_S, MOST_S, USUAL_S)


def _max_sessions(value: object, path: str) -> int:
    return _integer(value, path, 1, MOST_SESSIONS, 1)


def _integer(value: object, path: str, least: int, most: int, usual: int) -> int:
    if value is None:
        return usual
    if isinstance(value, bool) or not isinstance(value, int):
        raise checks.wrong_type(value, path, "an integer")
    if value < least:
        raise checks.fault(
            f"Invalid value for '{path}': {value} is less than {least}.", "integer_below_min_value", path
        )
    if value > most:
        raise checks.fault(f"Invalid value for '{path}': {value} is more than {most}.", "integer_above_max_value", path)
    return value
