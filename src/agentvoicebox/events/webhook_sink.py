"""Sends events as signed webhooks: CloudEvents in structured mode, signatures by the Standard Webhooks scheme.

A receiver may be of any tenant, so it is not trusted: its address is checked and then used (no second look-up), redirects
are not followed, time and answer are bounded, and neither its answer nor its address is logged.
"""

import asyncio
import ssl
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx
from standardwebhooks import Webhook

from agentvoicebox.clock import Clock, SystemClock
from agentvoicebox.ports.event_sink import Destination, EventMessage, SendResult
from agentvoicebox.storage.outgoing_event import CONTENT_TYPE
from agentvoicebox.tools.addresses import Addresses, NotAllowed

TIMEOUT_S = 10.0  # for names, connection, request, and the answer up to its headers
ANSWER_S = 1.0  # for the rest of the answer, which is not used
MOST_ANSWER_BYTES = 64 * 1024  # a longer answer closes the connection
MOST_CONNECTIONS = 128
LONGEST_PAUSE_S = 3_600.0  # that a receiver may ask for


class WebhookSink:
    """All webhooks of a process.

    Args:
        addresses: decides which addresses are allowed.
        timeout_s: for one attempt.
        tls: trusted authorities; None: the default ones.
    """

    def __init__(
        self,
        addresses: Addresses,
        *,
        timeout_s: float = TIMEOUT_S,
        clock: Clock | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._addresses = addresses
        self._timeout_s = timeout_s
        self._clock = clock or SystemClock()
        self._client = httpx.AsyncClient(
            headers={"user-agent": "AgentVoiceBox"},
            timeout=httpx.Timeout(timeout_s),
            limits=httpx.Limits(max_connections=MOST_CONNECTIONS, max_keepalive_connections=MOST_CONNECTIONS // 4),
            follow_redirects=False,
            trust_env=False,  # a proxy could reach addresses that `addresses` has not checked
            verify=tls or True,
        )

    async def send(self, destination: Destination, message: EventMessage) -> SendResult:
        """See EventSink."""
        try:
            async with asyncio.timeout(self._timeout_s):
                response = await self._open(destination, message)
        except NotAllowed:
            return SendResult("its address is not allowed; see AVB_EVENTS_PRIVATE_NETWORKS")
        except (TimeoutError, httpx.TimeoutException):
            return SendResult(f"no answer within {self._timeout_s:g} s")
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            return SendResult(f"it can't be reached ({type(error).__name__})")
        try:
            result = self._result(response)
            await _read_away(response)
            return result
        finally:
            await response.aclose()

    async def close(self) -> None:
        """See EventSink."""
        await self._client.aclose()

    async def _open(self, destination: Destination, message: EventMessage) -> httpx.Response:
        """Send the event to the first address that can be reached; the answer up to its headers."""
        url = httpx.URL(destination.target)
        error: Exception | None = None
        for address in await self._addresses.of(destination.target):
            request = self._client.build_request(
                "POST",
                url.copy_with(host=address),
                content=message.body.encode(),
                headers={"host": url.netloc.decode(), **self._headers(destination.secret, message)},
                extensions={"sni_hostname": url.host},
            )
            try:
                return await self._client.send(request, stream=True)
            except (httpx.ConnectError, httpx.ConnectTimeout) as connect_error:
                error = connect_error  # the next address
        raise error or httpx.ConnectError("no address")

    def _headers(self, secret: str, message: EventMessage) -> dict[str, str]:
        at = datetime.fromtimestamp(self._clock.wall_s(), UTC)
        return {
            "content-type": CONTENT_TYPE,
            "accept-encoding": "identity",  # a limit on compressed bytes would limit nothing
            "webhook-id": message.event_id,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": Webhook(secret).sign(message.event_id, at, message.body),
        }

    def _result(self, response: httpx.Response) -> SendResult:
        status = response.status_code
        if 200 <= status < 300:
            return SendResult()
        if 300 <= status < 400:
            return SendResult(f"it redirects ({status}), which is not followed: give the final URL")
        return SendResult(f"it answers {status}", self._retry_after_s(response) if status in (429, 503) else None)

    def _retry_after_s(self, response: httpx.Response) -> float | None:
        value = response.headers.get("retry-after", "")
        try:
            asked_s = float(value)
        except ValueError:
            try:
                asked_s = parsedate_to_datetime(value).timestamp() - self._clock.wall_s()
            except (ValueError, TypeError, OverflowError):
                return None
        return min(max(0.0, asked_s), LONGEST_PAUSE_S) if asked_s == asked_s else None  # a NaN asks for nothing


async def _read_away(response: httpx.Response) -> None:
    """Read an answer to its end, so that its connection can be used again; a long, slow or broken one is left."""
    read_bytes = 0
    try:
        async with asyncio.timeout(ANSWER_S):
            async for piece in response.aiter_raw():
                read_bytes += len(piece)
                if read_bytes > MOST_ANSWER_BYTES:
                    return
    except (TimeoutError, httpx.HTTPError):
        return  # its status was read
