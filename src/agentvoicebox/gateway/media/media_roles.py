"""Client of the `webrtc` roles, which carry the media of WebRTC calls: opens calls, ends them, and joins their events.

Offers go to the roles in turn; one that is away or full is passed over. Nothing else is tried twice. Every wait, every answer and
the number of offers that wait are bounded, so that a role that hangs costs the gateway's other calls nothing.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx
import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, InvalidStatus

from agentvoicebox.errors import AgentVoiceBoxError, Overloaded, RateLimited
from agentvoicebox.gateway.media.call_ids import mark_in, mark_of_role, new_call_id
from agentvoicebox.gateway.media.role_answers import (
    CREATED,
    ELSEWHERE,
    INVALID_TOKEN,
    NO_CONTENT,
    NOT_FOUND,
    RETRY_AFTER_S,
    TOKEN_HINT,
    TOO_MANY,
    CallNotFound,
    WebRtcUnavailable,
    read_sdp,
    refusal_in,
)
from agentvoicebox.telemetry.logs import get_logger

ANSWER_S = 20.0  # for a session to be opened and addresses to be gathered
CONNECT_S = 2.0
HANG_UP_S = 5.0
MOST_ANSWER_BYTES = 256 * 1024  # an answer of SDP has some KiB
MOST_WAITING = 64  # offers at a time
MOST_SIDEBANDS = 256  # at a time
MAX_EVENT_BYTES = 24 * 1024 * 1024  # `conversation.item.retrieved` carries audio
QUEUED_EVENTS = 16  # read ahead from a role for a client that is slow
AWAY = "The process that carries WebRTC calls can't be reached; please try again. AVB_WEBRTC_URLS names it."

log = get_logger(__name__)


class MediaOffer(msgspec.Struct, frozen=True):
    """An offer of WebRTC whose caller was judged.

    Attributes:
        sdp: as the client sent it.
        session: the first `session.update`, or None.
        model: which agent.
        credential: with which the session is opened; "" where none is needed.
        tenant_id: to whom the call belongs.
        headers: that go with the session's upgrade.
    """

    sdp: str
    session: dict[str, Any] | None
    model: str
    credential: str
    tenant_id: str
    headers: Mapping[str, str]

    def __repr__(self) -> str:
        return f"MediaOffer({self.tenant_id}, {self.model})"


class OpenedCall(msgspec.Struct, frozen=True):
    """A call that a role has begun. `sdp` is the answer to the offer."""

    call_id: str
    sdp: str


class _Away(WebRtcUnavailable):
    """Nothing was sent: another role may be asked."""


class MediaRoles:
    """One gateway's client of all of them.

    Args:
        urls: of their ports, at least one (`http://127.0.0.1:8006`).
        token: that is shown to them; empty: none.
        answer_s: how long an offer waits for its answer.
    """

    def __init__(self, urls: Sequence[str], *, token: str = "", answer_s: float = ANSWER_S) -> None:
        self._urls = {mark_of_role(url): url.rstrip("/") for url in urls}
        self._headers = {"authorization": f"Bearer {token}"} if token else {}
        self._answer_s = answer_s
        self._turn = 0
        self._waiting = 0
        self._sidebands = 0
        self._hanging_up: set[asyncio.Task[None]] = set()
        self._client = httpx.AsyncClient(
            headers={**self._headers, "content-type": "application/json", "accept-encoding": "identity"},
            timeout=httpx.Timeout(None, connect=CONNECT_S),  # the whole of a request: see _post
            limits=httpx.Limits(max_connections=2 * MOST_WAITING, max_keepalive_connections=8),
            follow_redirects=False,
            trust_env=False,  # a proxy of the environment must not see callers' keys
        )

    async def close(self) -> None:
        """Close the connections, after calls that are given up were ended."""
        if self._hanging_up:
            await asyncio.wait(list(self._hanging_up), timeout=HANG_UP_S)
        await self._client.aclose()

    async def open_call(self, offer: MediaOffer) -> OpenedCall:
        """Have a role answer an offer.

        Raises:
            ClientError: the offer is refused. RateLimited, Overloaded: no role, or no gateway, takes another call.
            WebRtcUnavailable: no role answers as it should.
        """
        if self._waiting >= MOST_WAITING:
            raise Overloaded("Too many offers of WebRTC wait for their answer; please try again.")
        self._waiting += 1
        try:
            return await self._open_somewhere(offer)
        finally:
            self._waiting -= 1

    async def hang_up(self, call_id: str, tenant_id: str) -> None:
        """End a tenant's call. Raises CallNotFound, WebRtcUnavailable."""
        url = self._url_of(call_id)
        status, body = await self._post(
            f"{url}/calls/{call_id}/hangup", msgspec.json.encode({"tenant": tenant_id}), HANG_UP_S
        )
        if status == NOT_FOUND:
            raise CallNotFound
        if status not in (NO_CONTENT, 200):
            raise self._refused(url, status, body)

    @asynccontextmanager
    async def sideband(self, call_id: str, tenant_id: str) -> AsyncIterator[ClientConnection]:
        """A connection to the events of a tenant's call, for the duration of the block.

        Raises:
            CallNotFound, WebRtcUnavailable. RateLimited: the call has as many as it may. Overloaded: so has this gateway.
        """
        url = self._url_of(call_id)
        if self._sidebands >= MOST_SIDEBANDS:
            raise Overloaded("Too many connections listen to WebRTC calls here; please try again.")
        self._sidebands += 1
        try:
            line = await self._join(url, call_id, tenant_id)
            try:
                yield line
            finally:
                await line.close()
        finally:
            self._sidebands -= 1

    # -- one role ------------------------------------------------------------------------------------------------------

    def _url_of(self, call_id: str) -> str:
        url = self._urls.get(mark_in(call_id))
        if url is None:
            raise CallNotFound
        return url

    async def _open_somewhere(self, offer: MediaOffer) -> OpenedCall:
        marks = list(self._urls)
        first, self._turn = self._turn % len(marks), self._turn + 1
        refused: AgentVoiceBoxError = _Away(AWAY)
        for mark in marks[first:] + marks[:first]:
            answer = await self._open_at(mark, offer)
            if isinstance(answer, OpenedCall):
                return answer
            if not isinstance(answer, _Away):
                refused = answer  # "full" says more to a client than "away"
        raise refused

    async def _open_at(self, mark: str, offer: MediaOffer) -> OpenedCall | AgentVoiceBoxError:
        """The call, or why another role should be asked. Raises what another role can't change."""
        url, call_id = self._urls[mark], new_call_id(mark)
        asked = {
            "call_id": call_id,
            "sdp": offer.sdp,
            "session": offer.session,
            "credential": offer.credential,
            "tenant": offer.tenant_id,
            "model": offer.model,
            "caller_headers": dict(offer.headers),
        }
        try:
            status, body = await self._post(f"{url}/calls", msgspec.json.encode(asked), self._answer_s)
            if status == CREATED:
                return OpenedCall(call_id, read_sdp(body))
        except _Away as error:
            return error
        except BaseException:
            self._give_up(call_id, offer.tenant_id)  # it may have begun there
            raise
        refused = self._refused(url, status, body)
        if refused.code in ELSEWHERE:
            return refused
        raise refused

    def _give_up(self, call_id: str, tenant_id: str) -> None:
        async def end() -> None:
            with suppress(AgentVoiceBoxError):
                await self.hang_up(call_id, tenant_id)

        task = asyncio.create_task(end(), name=f"{call_id} is given up")
        self._hanging_up.add(task)
        task.add_done_callback(self._hanging_up.discard)

    async def _post(self, url: str, body: bytes, within_s: float) -> tuple[int, bytes]:
        got = bytearray()
        try:
            async with (
                asyncio.timeout(within_s),
                self._client.stream("POST", url, content=body) as response,
            ):
                async for part in response.aiter_raw():
                    got += part
                    if len(got) > MOST_ANSWER_BYTES:
                        raise self._failed(url, "its answer is too long")
        except TimeoutError as error:
            raise self._failed(url, f"no answer within {within_s:g} s") from error
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            self._failed(url, "it can't be reached")
            raise _Away(AWAY) from error
        except httpx.HTTPError as error:
            raise self._failed(url, type(error).__name__) from error
        return response.status_code, bytes(got)

    async def _join(self, url: str, call_id: str, tenant_id: str) -> ClientConnection:
        address = f"ws{url.removeprefix('http')}/calls/{call_id}/events?{urlencode({'tenant': tenant_id})}"
        try:
            return await connect(
                address,
                additional_headers=self._headers,
                max_size=MAX_EVENT_BYTES,
                max_queue=QUEUED_EVENTS,
                open_timeout=CONNECT_S,
                close_timeout=CONNECT_S,
                compression=None,
                proxy=None,
            )
        except InvalidStatus as error:
            status = error.response.status_code
            if status == NOT_FOUND:
                raise CallNotFound from error
            if status == TOO_MANY:
                raise too_many_sidebands() from error
            raise self._refused(url, status, bytes(error.response.body or b"")) from error
        except (OSError, TimeoutError, InvalidHandshake) as error:
            raise self._failed(url, type(error).__name__) from error

    def _refused(self, url: str, status: int, body: bytes) -> AgentVoiceBoxError:
        error = refusal_in(status, body)
        if isinstance(error, WebRtcUnavailable):
            is_token = INVALID_TOKEN.encode() in body
            self._failed(url, TOKEN_HINT if is_token else f"it answered with status {status}")
        return error

    def _failed(self, url: str, why: str) -> WebRtcUnavailable:
        """Log it, without the path, which names a call."""
        log.warning("a webrtc role failed", role=urlsplit(url).netloc.rpartition("@")[2], why=why)
        return WebRtcUnavailable("The process that carries WebRTC calls failed; please try again.")


def too_many_sidebands() -> RateLimited:
    """The refusal of one more than a call may have, or of one that is too slow: a role does not say which."""
    return RateLimited(
        "This call has as many sidebands as it may, or this one does not read what it gets.",
        retry_after_s=RETRY_AFTER_S,
    )
