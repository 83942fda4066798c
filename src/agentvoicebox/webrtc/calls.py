"""The calls of this process."""

import asyncio

from agentvoicebox.clock import Clock
from agentvoicebox.telemetry.logs import get_logger
from agentvoicebox.webrtc.call_request import CallRequest, WebPlan
from agentvoicebox.webrtc.metrics import WebCallMetrics
from agentvoicebox.webrtc.refusal import CallRefused
from agentvoicebox.webrtc.web_call import WebCall

log = get_logger(__name__)


class WebCalls:
    """All of them, by id.

    Args:
        plan: how calls are made.
        most: calls at a time.
        metrics: of the calls.
        clock: of the calls.
    """

    def __init__(self, plan: WebPlan, most: int, metrics: WebCallMetrics, clock: Clock) -> None:
        self._plan = plan
        self._most = most
        self._metrics = metrics
        self._clock = clock
        self._taken = 0  # also those that are being opened
        self._calls: dict[str, WebCall] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._is_leaving = False

    async def take(self, request: CallRequest) -> str:
        """Take a call; returns the answer to its offer.

        Raises:
            CallRefused: it is not taken.
        """
        try:
            return await self._take(request)
        except CallRefused as refused:
            self._metrics.refused(refused.code or "no_credentials")
            raise

    def find(self, call_id: str, tenant: str) -> WebCall | None:
        """A tenant's call that has not ended."""
        call = self._calls.get(call_id)
        return call if call is not None and call.tenant == tenant else None

    async def drain(self, drain_s: float) -> None:
        """End all calls and take no more. Their browsers get an error that says so."""
        self._is_leaving = True
        for call in self._calls.values():
            call.hang_up("shutdown")
        if self._running:
            await asyncio.wait(self._running, timeout=drain_s)

    async def _take(self, request: CallRequest) -> str:
        if self._is_leaving:
            raise CallRefused("This media server is shutting down. Try again.", status=503, code="shutting_down")
        if request.call_id in self._calls:
            raise CallRefused("There is a call with this id.", status=400, code="invalid_value")
        if self._taken >= self._most:
            message = f"There are {self._most} calls, the most that AVB_WEBRTC_MAX_CALLS allows."
            raise CallRefused(message, status=429, code="too_many_calls", error_type="rate_limit_error")
        self._taken += 1  # before anything is awaited, so that no more are taken than may be
        began_s = self._clock.monotonic_s()
        try:
            call = WebCall(request, self._plan, self._clock)
            answer = await call.open()
        except BaseException:
            self._taken -= 1
            raise
        self._calls[request.call_id] = call
        if self._is_leaving:  # since it was begun
            call.hang_up("shutdown")
        self._metrics.began(self._clock.monotonic_s() - began_s)
        log.info("webrtc call began", call_id=request.call_id, session_id=call.session_id)
        running = asyncio.create_task(self._run(request.call_id, call), name="webrtc call")
        self._running.add(running)
        running.add_done_callback(self._running.discard)
        return answer

    async def _run(self, call_id: str, call: WebCall) -> None:
        outcome = "failed"
        try:
            outcome = await call.run()
        except Exception:
            log.exception("webrtc call failed", call_id=call_id)
        finally:
            self._taken -= 1
            del self._calls[call_id]
            self._metrics.ended(outcome, call.voice)
            log.info("webrtc call ended", call_id=call_id, outcome=outcome)
