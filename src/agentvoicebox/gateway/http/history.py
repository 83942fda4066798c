"""Records over REST: a tenant's sessions, their items and turns, and its usage.

Decides addresses, parameters and shapes; lists are as in OpenAI's APIs (`object`, `data`, `first_id`, `last_id`, `has_more`, and
`after` for the next page). `admit` authorizes, and the database shows only the tenant's rows. Another tenant's session and an
unknown one give the same answer.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from datetime import UTC, date, datetime, timedelta
from functools import wraps
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from agentvoicebox.errors import ClientError
from agentvoicebox.gateway.http.credentials import KEYED
from agentvoicebox.gateway.http.history_bodies import ItemPage, SessionBody, SessionPage, TurnPage, UsageBody
from agentvoicebox.http_server import described
from agentvoicebox.http_server.described import answered, file_answered, refusals
from agentvoicebox.storage.call_audio import CallAudioReader
from agentvoicebox.storage.history import MOST, History, Order, Page, StoredItem, StoredSession, StoredTurn
from agentvoicebox.storage.session_filter import MAX_WORDS, MOST_SEARCHED, SessionFilter
from agentvoicebox.storage.usage import DailyUsage, UsageReader
from agentvoicebox.tenancy.principal import Principal
from agentvoicebox.wire.faults import rest_body_of, status_of

DEFAULT_PAGE = 20  # as OpenAI
MAX_ID_LENGTH = 128
MAX_DAYS = 366
DEFAULT_DAYS = 30
VERDICT_FIELDS = ("replay", "invariant_broken", "claims", "unfounded", "due", "reported")
MAX_SEARCH_LENGTH = 200  # characters
SESSION_ID_LEAD = "sess_"

Admit = Callable[[Request], Awaitable[Principal]]
Answer = Callable[..., Coroutine[Any, Any, Response]]

After = Annotated[str | None, Query(description="Id of the last entry of the previous page.")]
Limit = Annotated[str | None, Query(description=f"1 to {MOST}; {DEFAULT_PAGE} when absent.")]
Sorting = Annotated[
    str | None, Query(description="`desc` (the default) begins with the newest, `asc` with the oldest.")
]
From = Annotated[str | None, Query(alias="from", description="First day (UTC), as 2026-11-01.")]
To = Annotated[str | None, Query(description="Last day (UTC), included; today when absent.")]
Began = Annotated[str | None, Query(alias="from", description="First day (UTC) on which they began, as 2026-11-01.")]
BeganUntil = Annotated[str | None, Query(alias="to", description="Last day (UTC) on which they began, included.")]
Agent = Annotated[str | None, Query(description="Name of their agent.")]
State = Annotated[str | None, Query(description="`open` or `ended`.")]
Search = Annotated[
    str | None,
    Query(
        description=f"The beginning of an id (`{SESSION_ID_LEAD}…`), or up to {MAX_WORDS} words that are all in one item. "
        f"Words are found in the newest {MOST_SEARCHED} sessions of the days, and only where they are stored in clear."
    ),
]


class UnknownSession(ClientError):
    """The tenant has no such session."""

    code = "session_not_found"


class BadParameter(ClientError):
    """A parameter of the query is invalid."""

    code = "invalid_value"


def history_routes(
    history: History, usage: UsageReader, admit: Admit, audio: CallAudioReader | None = None
) -> APIRouter:
    """The routes over one database.

    Args:
        history: sessions and items.
        usage: of tenants.
        audio: of calls; None: its route does not exist.
        admit: the owner of a request's key; raises Refused.
    """
    router = described.router(tag="history", responses=KEYED)

    @router.get(
        "/v1/realtime/sessions",
        summary="Sessions, the newest first",
        response_model=None,
        responses={**refusals(400), **answered(SessionPage, "A page.")},
    )
    @_refusing
    async def sessions(
        request: Request,
        after: After = None,
        limit: Limit = None,
        order: Sorting = None,
        agent: Agent = None,
        state: State = None,
        first: Began = None,
        last: BeganUntil = None,
        q: Search = None,
    ) -> JSONResponse:
        tenant_id = (await admit(request)).tenant_id
        asked: dict[str, Any] = {"after": _id(after), "limit": _limit(limit), "order": _order(order)}
        page = await history.sessions(tenant_id, **asked, only=_filter(agent, state, first, last, q))
        return _list([_session(each) for each in page.records], page)

    @router.get(
        "/v1/realtime/sessions/{session_id}",
        summary="One session, over or not",
        response_model=None,
        responses={**refusals(404), **answered(SessionBody, "The session.")},
    )
    @_refusing
    async def session(request: Request, session_id: str) -> JSONResponse:
        tenant_id = (await admit(request)).tenant_id
        found = await history.session(tenant_id, session_id) if _can_be_an_id(session_id) else None
        if found is None:
            raise _no_session(session_id)
        return JSONResponse(_session(found))

    @router.get(
        "/v1/realtime/sessions/{session_id}/items",
        summary="What was said and done in a session",
        response_model=None,
        responses={**refusals(400, 404), **answered(ItemPage, "A page.")},
    )
    @_refusing
    async def items(
        request: Request, session_id: str, after: After = None, limit: Limit = None, order: Sorting = None
    ) -> JSONResponse:
        tenant_id = (await admit(request)).tenant_id
        asked: dict[str, Any] = {"after": _id(after), "limit": _limit(limit), "order": _order(order)}
        page = await history.items(tenant_id, session_id, **asked) if _can_be_an_id(session_id) else None
        if page is None:
            raise _no_session(session_id)
        return _list([_item(each) for each in page.records], page)

    @router.get(
        "/v1/realtime/sessions/{session_id}/turns",
        summary="How long each answer of a session took, by part",
        response_model=None,
        responses={**refusals(400, 404), **answered(TurnPage, "A page.")},
    )
    @_refusing
    async def turns(
        request: Request, session_id: str, after: After = None, limit: Limit = None, order: Sorting = None
    ) -> JSONResponse:
        tenant_id = (await admit(request)).tenant_id
        asked: dict[str, Any] = {"after": _id(after), "limit": _limit(limit), "order": _order(order)}
        page = await history.turns(tenant_id, session_id, **asked) if _can_be_an_id(session_id) else None
        if page is None:
            raise _no_session(session_id)
        return _list([_turn(each) for each in page.records], page)

    if audio is not None:
        _add_audio(router, history, audio, admit)

    @router.get(
        "/v1/usage",
        summary="What was used, by day",
        response_model=None,
        responses={**refusals(400), **answered(UsageBody, "The days with any usage, and their sum.")},
    )
    @_refusing
    async def used(request: Request, first: From = None, to: To = None) -> JSONResponse:
        tenant_id = (await admit(request)).tenant_id
        last_day = _day(to, "to") or datetime.now(UTC).date()
        first_day = _day(first, "from") or last_day - timedelta(days=DEFAULT_DAYS - 1)
        if not timedelta(0) <= last_day - first_day < timedelta(days=MAX_DAYS):
            raise BadParameter(f"From `from` to `to` there are 1 to {MAX_DAYS} days.", param="from")
        return JSONResponse(usage_report(first_day, last_day, await usage.by_day(tenant_id, first_day, last_day)))

    return router


def _add_audio(router: APIRouter, history: History, audio: CallAudioReader, admit: Admit) -> None:
    @router.get(
        "/v1/realtime/sessions/{session_id}/audio",
        summary="What was heard, where a tenant's rule keeps it: caller left, agent right",
        response_model=None,
        response_class=Response,
        responses={**refusals(404), **file_answered({"audio/ogg": {}}, "Ogg Opus, stereo.")},
    )
    @_refusing
    async def heard(request: Request, session_id: str) -> Response:
        tenant_id = (await admit(request)).tenant_id
        found = await history.session(tenant_id, session_id) if _can_be_an_id(session_id) else None
        if found is None or not found.has_audio:
            raise _no_session(session_id) if found is None else UnknownSession("No audio of this session is stored.")
        named = f'attachment; filename="{_file_name(session_id)}.ogg"'
        headers = {"Content-Disposition": named, "Cache-Control": "no-store"}
        pieces = audio.pieces(tenant_id, session_id)
        first = await anext(pieces, b"")  # here, so that a piece that can't be decrypted is an error and no broken file
        return StreamingResponse(_joined(first, pieces), media_type="audio/ogg", headers=headers)


async def _joined(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in rest:
        yield piece


def _file_name(session_id: str) -> str:
    """The id, of letters that any file may be named with."""
    return "".join(
        letter if letter.isascii() and (letter.isalnum() or letter in "-_") else "_" for letter in session_id
    )


def usage_report(first: date, last: date, days: list[DailyUsage]) -> dict[str, Any]:
    """The body of `GET /v1/usage`: the days with any usage, and their sum."""
    days_figures = [_figures(each) for each in days]
    totals = {name: round(sum(each[name] for each in days_figures), 3) for name in _figures(DailyUsage(first))}
    return {
        "object": "usage",
        "from": first.isoformat(),
        "to": last.isoformat(),
        "data": [{"day": each.day.isoformat(), **figures} for each, figures in zip(days, days_figures, strict=True)],
        "total": totals,
    }


def _figures(day: DailyUsage) -> dict[str, Any]:
    return {
        "sessions": day.sessions,
        "connection_minutes": round(day.connected_s / 60, 3),
        "audio_in_seconds": day.audio_in_s,
        "audio_out_seconds": day.audio_out_s,
        "input_tokens": day.input_tokens,
        "output_tokens": day.output_tokens,
    }


def _session(session: StoredSession) -> dict[str, Any]:
    return {
        "id": session.session_id,
        "object": "realtime.session",
        "agent": session.opened.get("agent"),
        "model": session.opened.get("model"),
        "created_at": int(session.opened_s),
        "closed_at": None if session.closed_s is None else int(session.closed_s),
        "close": session.closed or None,
        "state": "open" if session.is_open else "ended",
        "duration_s": None if session.closed_s is None else round(session.closed_s - session.opened_s, 3),
        "turns": session.turns,
        "has_audio": session.has_audio,
        "tool_calls": session.verdict.get("tool_calls"),
        "verdict": {name: session.verdict.get(name) for name in VERDICT_FIELDS} if session.verdict else None,
    }


def _item(item: StoredItem) -> dict[str, Any]:
    """The item as the client knows it; `is_hidden` marks calls of the server's own tools."""
    known = {name: value for name, value in item.body.items() if name not in ("item", "transcript")}
    return {"id": item.item_id, **item.body.get("item", {}), "object": "realtime.item", **known}


def _turn(turn: StoredTurn) -> dict[str, Any]:
    return {"id": turn.response_id, "object": "agentvoicebox.turn", **turn.body}


def _list(data: list[dict[str, Any]], page: Page[StoredSession] | Page[StoredItem] | Page[StoredTurn]) -> JSONResponse:
    ids = [each["id"] for each in data]
    ends: dict[str, Any] = {"first_id": ids[0] if ids else None, "last_id": ids[-1] if ids else None}
    return JSONResponse({"object": "list", "data": data, **ends, "has_more": page.has_more})


def _refusing(answer: Answer) -> Answer:
    """Turn client errors into a 404, or a 400 that names the parameter. The application handles all others."""

    @wraps(answer)
    async def answered(*args: Any, **kwargs: Any) -> Response:
        try:
            return await answer(*args, **kwargs)
        except ClientError as error:
            status = 404 if isinstance(error, UnknownSession) else status_of(error)
            return JSONResponse({"error": rest_body_of(error)}, status)

    return answered


def _no_session(session_id: str) -> UnknownSession:
    return UnknownSession(f"There is no session {session_id[:MAX_ID_LENGTH]!r}.")


def _can_be_an_id(text: str) -> bool:
    return len(text) <= MAX_ID_LENGTH and text.isprintable()


def _id(text: str | None) -> str | None:
    if text is not None and not (text and _can_be_an_id(text)):
        raise BadParameter("`after` is the id of an entry of the list.", param="after")
    return text


def _limit(text: str | None) -> int:
    if text is None:
        return DEFAULT_PAGE
    if not (text.isascii() and text.isdigit() and len(text) < 9 and 1 <= int(text) <= MOST):
        raise BadParameter(f"`limit` is a number from 1 to {MOST}.", param="limit")
    return int(text)


def _order(text: str | None) -> Order:
    match text:
        case None | "desc":
            return "desc"
        case "asc":
            return "asc"
        case _:
            raise BadParameter("`order` is asc or desc.", param="order")


def _filter(agent: str | None, state: str | None, first: str | None, last: str | None, q: str | None) -> SessionFilter:
    if state not in (None, "open", "ended"):
        raise BadParameter("`state` is open or ended.", param="state")
    if agent is not None and not (agent and _can_be_an_id(agent)):
        raise BadParameter("`agent` is the name of an agent.", param="agent")
    days = _day(first, "from"), _day(last, "to")
    if days[0] is not None and days[1] is not None and days[0] > days[1]:
        raise BadParameter("`from` is not after `to`.", param="from")
    text = "" if q is None else q.strip()
    words = tuple(text.split())
    if q is not None and not (
        words and len(text) <= MAX_SEARCH_LENGTH and text.isprintable() and len(words) <= MAX_WORDS
    ):
        raise BadParameter(f"`q` is the beginning of a session's id, or 1 to {MAX_WORDS} words.", param="q")
    is_id = text.startswith(SESSION_ID_LEAD)
    return SessionFilter(
        agent,
        None if state is None else state == "open",
        *days,
        id_prefix=text if is_id else None,
        words=() if is_id else words,
    )


def _day(text: str | None, param: Literal["from", "to"]) -> date | None:
    try:
        return None if text is None else msgspec.convert(text, date)
    except msgspec.ValidationError as error:
        raise BadParameter(f"`{param}` is a day like 2026-11-01.", param=param) from error
