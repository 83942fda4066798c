"""Calls an external tool over HTTP: signed, with a bounded answer, and retried only when a repetition is safe.

Decides the form of requests, the retries, and the code of each failure. Invariants: a request that may have had a side effect is
not repeated, unless the tool is idempotent; no answer is longer than its bound; a failure always has the same text.
"""

import asyncio
import hashlib
import hmac
import random
import re
import ssl
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import msgspec
import structlog

from agentvoicebox.clock import Clock, SystemClock
from agentvoicebox.resilience.backoff import Backoff
from agentvoicebox.resilience.breaker import Breaker, BreakerPolicy, BreakerState
from agentvoicebox.tools.addresses import Addresses, NotAllowed
from agentvoicebox.tools.declaration import ToolDeclaration
from agentvoicebox.tools.definition import (
    OK,
    OUTCOME_UNKNOWN,
    TOOL_FAILED,
    TOOL_TIMEOUT,
    TOOL_UNAVAILABLE,
    Outcome,
    Tool,
    ToolContext,
    failure,
)

NOT_ALLOWED = "address_not_allowed"
TOOL_REFUSED = "tool_refused"  # a 4xx, or a redirect; redirects are never followed
BAD_RESULT = "bad_result"  # the tool succeeded, but its answer is invalid
EMPTY = '{"result":null}'

SIGNATURE = "X-AgentVoiceBox-Signature"
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")

_log = structlog.get_logger(__name__)


class _Failed(Exception):
    """One attempt failed.

    Attributes:
        outcome: the outcome if no further attempt follows.
        is_passing: another attempt may succeed.
        was_sent: the request may have reached the tool.
        was_answered: the tool itself reported the failure.
    """

    def __init__(
        self, outcome: Outcome, *, is_passing: bool, was_sent: bool = False, was_answered: bool = False
    ) -> None:
        super().__init__(outcome.code)
        self.outcome = outcome
        self.is_passing = is_passing
        self.was_sent = was_sent
        self.was_answered = was_answered


class HttpTool:
    """One declared tool. Close it after use.

    Args:
        declaration: a declaration with a url.
        addresses: decides which addresses are allowed.
        secret: signs each request; "" for no signature.
        environment: values of the variables in its headers.
        tls: trusted authorities; None: the default ones.
        chance: random numbers from 0 to 1, for the jitter of waits.
        on_change: called with the tool's name and the new state of its breaker.

    Raises:
        ValueError: a variable in its headers is not set.
    """

    def __init__(
        self,
        declaration: ToolDeclaration,
        addresses: Addresses,
        *,
        secret: str = "",
        environment: Mapping[str, str] | None = None,
        breaker: BreakerPolicy | None = None,
        clock: Clock | None = None,
        tls: ssl.SSLContext | None = None,
        chance: Callable[[], float] = random.random,
        on_change: Callable[[str, BreakerState], None] = lambda name, state: None,
    ) -> None:
        self._on_change = on_change
        self._declared = declaration
        self._definition = declaration.definition()
        self._addresses = addresses
        self._secret = secret.encode()
        self._clock = clock or SystemClock()
        self._chance = chance
        self._breaker = Breaker(breaker or BreakerPolicy())
        self._waits = Backoff(first_s=0.1, longest_s=1.0, tries=declaration.retries + 1, spread=0.5)
        self._may_repeat = declaration.is_read_only or declaration.is_idempotent
        headers = declaration.filled_headers() if environment is None else declaration.filled_headers(environment)
        self._client = httpx.AsyncClient(
            headers={"user-agent": "AgentVoiceBox", **headers},
            timeout=httpx.Timeout(declaration.timeout_s),
            # A kept-alive connection may close while a request is sent; then it is unknown whether the request arrived.
            limits=httpx.Limits(max_connections=32, max_keepalive_connections=8 if self._may_repeat else 0),
            follow_redirects=False,
            trust_env=False,  # a proxy could reach addresses that `addresses` has not checked
            verify=tls or True,
        )

    def tool(self) -> Tool:
        """The tool for the registry."""
        return Tool(self._definition, self.run)

    @property
    def breaker_state(self) -> BreakerState:
        """State of the circuit breaker, for health and metrics."""
        return self._breaker.state(self._clock.monotonic_s())

    async def close(self) -> None:
        """Close its connections."""
        await self._client.aclose()

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> Outcome:
        """Call the tool. Raises only CancelledError."""
        body = msgspec.json.encode(
            {
                "name": self._declared.name,
                "arguments": arguments,
                "call_id": context.call_id,
                "session_id": context.session_id,
                "tenant_id": context.tenant_id,
            }
        )
        until_s = self._clock.monotonic_s() + self._declared.timeout_s
        is_doubtful = False
        failures = 0
        while True:
            try:
                return await self._try(body, context, until_s)
            except _Failed as failed:
                failures += 1
                is_doubtful = is_doubtful or (failed.was_sent and not failed.was_answered)
                wait_s = self._waits.wait_s(failures, self._chance())
                may_repeat = failed.is_passing and (self._may_repeat or not failed.was_sent)
                _log.warning("tool call failed", tool=self._declared.name, code=failed.outcome.code, failures=failures)
                if not may_repeat or wait_s is None or self._clock.monotonic_s() + wait_s >= until_s:
                    is_unknown = is_doubtful and not self._declared.is_read_only
                    return failure(OUTCOME_UNKNOWN) if is_unknown else failed.outcome
                await asyncio.sleep(wait_s)

    async def _try(self, body: bytes, context: ToolContext, until_s: float) -> Outcome:
        """Send one request. Raises _Failed."""
        self._breaker, is_admitted = self._breaker.admit(self._clock.monotonic_s())
        if not is_admitted:
            raise _Failed(failure(TOOL_UNAVAILABLE), is_passing=False)
        is_reported = False
        was_sent = False

        async def watch(event: str, _: Any) -> None:
            nonlocal was_sent
            was_sent = was_sent or event.endswith("send_request_headers.started")

        try:
            async with asyncio.timeout(max(0.0, until_s - self._clock.monotonic_s())):
                outcome = await self._send(body, context, watch)
            self._set_breaker(self._breaker.succeeded())
            is_reported = True
            return outcome
        except NotAllowed:
            raise _Failed(failure(NOT_ALLOWED), is_passing=False) from None
        except _Failed as failed:
            self._set_breaker(
                self._breaker.failed(self._clock.monotonic_s()) if failed.is_passing else self._breaker.succeeded()
            )
            is_reported = True
            raise
        except (TimeoutError, httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            self._set_breaker(self._breaker.failed(self._clock.monotonic_s()))
            is_reported = True
            is_late = isinstance(error, TimeoutError | httpx.TimeoutException)
            code = TOOL_TIMEOUT if is_late else TOOL_UNAVAILABLE
            raise _Failed(failure(code), is_passing=True, was_sent=was_sent) from error
        finally:
            if not is_reported:
                self._set_breaker(self._breaker.released())

    async def _send(self, body: bytes, context: ToolContext, watch: Callable[..., Any]) -> Outcome:
        url = httpx.URL(self._declared.url)
        error: Exception | None = None
        for address in await self._addresses.of(self._declared.url):
            request = self._client.build_request(
                self._declared.method,
                url.copy_with(host=address),
                content=body,
                headers=self._headers(url, body, context),
                extensions={"trace": watch, "sni_hostname": url.host},
            )
            try:
                response = await self._client.send(request, stream=True)
            except (httpx.ConnectError, httpx.ConnectTimeout) as connect_error:
                error = connect_error  # the next address
                continue
            try:
                return await self._read(response)
            finally:
                await response.aclose()
        raise error or httpx.ConnectError("no address")

    def _headers(self, url: httpx.URL, body: bytes, context: ToolContext) -> dict[str, str]:
        call = "\0".join((context.tenant_id, context.session_id, context.call_id)).encode(errors="backslashreplace")
        headers = {
            "host": url.netloc.decode(),
            "content-type": "application/json",
            "accept-encoding": "identity",  # a size limit on compressed bytes would limit nothing
            "idempotency-key": hashlib.sha256(call + b"\0" + body).hexdigest()[:32],
        }
        if self._secret:
            at = str(int(self._clock.wall_s()))
            signature = hmac.new(self._secret, at.encode() + b"." + body, hashlib.sha256).hexdigest()
            headers[SIGNATURE] = f"t={at},v1={signature}"
        return headers

    async def _read(self, response: httpx.Response) -> Outcome:
        status = response.status_code
        if status == 429 or status >= 500:
            raise _Failed(failure(TOOL_FAILED, status=status), is_passing=True, was_sent=True, was_answered=True)
        if not 200 <= status < 300:
            raise _Failed(failure(TOOL_REFUSED, status=status), is_passing=False, was_sent=True, was_answered=True)
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            return failure(BAD_RESULT, problem="packed")
        longest = self._declared.max_result_bytes
        raw = bytearray()
        async for piece in response.aiter_raw():
            raw += piece
            if len(raw) > longest:
                return failure(BAD_RESULT, problem="too long")
        try:
            return _outcome(bytes(raw), longest)
        except UnicodeDecodeError:
            return failure(BAD_RESULT, problem="not a text")

    def _set_breaker(self, breaker: Breaker) -> None:
        now_s = self._clock.monotonic_s()
        before, after = self._breaker.state(now_s), breaker.state(now_s)
        self._breaker = breaker
        if before is not after:
            _log.warning("breaker", tool=self._declared.name, before=before.value, after=after.value)
            self._on_change(self._declared.name, after)


def _outcome(raw: bytes, longest: int) -> Outcome:
    """The outcome of a body: JSON is made compact, any other text becomes one line. Raises UnicodeDecodeError."""
    decoded: Any = None
    try:
        decoded = msgspec.json.decode(raw)
        text = msgspec.json.encode(decoded).decode()
    except (msgspec.DecodeError, RecursionError):
        text = raw.decode()
    line = _CONTROLS.sub(" ", text).strip() or EMPTY
    if len(line.encode()) > longest:
        return failure(BAD_RESULT, problem="too long")
    facts = decoded if isinstance(decoded, dict) else {}
    speech = facts.get("speech")
    return Outcome(OK, line, _CONTROLS.sub(" ", speech) if isinstance(speech, str) else "", facts)
