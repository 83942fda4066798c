"""Whether new calls should be sent to this gateway: the store answers, and there are workers to recognise, answer and speak.

A kind of worker that was never seen makes it not ready. One that was there and is gone makes it degraded, which still answers
200: every gateway has the same workers, so another one would not serve a caller better, and the supervisors restart them.
"""

from typing import Any

from agentvoicebox.errors import BrokerLost
from agentvoicebox.gateway.state import GatewayState
from agentvoicebox.ports.broker import JobKind


class Readiness:
    """One gateway's. Its voice activity model is loaded before the port opens, so it is not checked."""

    def __init__(self, state: GatewayState) -> None:
        self._state = state
        self._seen: set[JobKind] = set()

    async def check(self) -> tuple[int, dict[str, Any]]:
        """The HTTP status and the body."""
        state = self._state
        dependencies: dict[str, dict[str, Any]] = {}
        is_ready = not state.sessions.is_draining and state.health.takes_new_calls
        is_degraded = False
        began_s = state.clock.monotonic_s()
        try:
            await state.broker.queue_age_s(JobKind.LLM)
            took_ms = (state.clock.monotonic_s() - began_s) * 1000
            dependencies["store"] = {"status": "ok", "ms": round(took_ms, 2)}
            for kind in state.needed:
                workers = await state.broker.workers(kind)
                dependencies[kind] = {"status": "ok" if workers else "down", "workers": workers}
                if workers:
                    self._seen.add(kind)
                is_degraded = is_degraded or not workers
                is_ready = is_ready and kind in self._seen
        except BrokerLost as error:
            dependencies["store"] = {"status": "down", "error": error.code}
            is_ready = False
        status = "ready" if is_ready else "leaving" if state.sessions.is_draining else "not ready"
        body = {
            "status": "degraded" if is_ready and is_degraded else status,
            "dependencies": dependencies,
            "degraded": state.health.modes(state.agents.default.language_model),
            "unavailable_agents": dict(state.agents.unavailable),
            "is_busy": state.health.load.is_overloaded,
            "calls": len(state.sessions),
            "max_calls": state.sessions.max_calls,
        }
        return 200 if is_ready else 503, body
