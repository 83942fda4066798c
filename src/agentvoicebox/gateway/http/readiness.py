"""Whether new calls should be sent to this gateway: the store answers, and there is somebody to hear, think and speak.

A kind of worker that was never seen makes it not ready. One that was there and is gone makes it degraded, which still answers
200: every gateway has the same workers, so a caller would get no more elsewhere, and the supervisors start them again.
"""

from typing import Any

from agentvoicebox.errors import BrokerLost
from agentvoicebox.gateway.state import House
from agentvoicebox.ports.broker import JobKind


class Readiness:
    """Answers for one gateway. Detection has its model before the port is open, so it is not asked about."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._met: set[JobKind] = set()

    async def check(self) -> tuple[int, dict[str, Any]]:
        """The status for HTTP, and what it is made of."""
        house = self._house
        dependencies: dict[str, dict[str, Any]] = {}
        is_ready = not house.is_leaving and not house.around.is_strained
        is_degraded = False
        began_s = house.clock.monotonic_s()
        try:
            await house.broker.queue_age_s(JobKind.LLM)
            took_ms = (house.clock.monotonic_s() - began_s) * 1000
            dependencies["store"] = {"status": "ok", "ms": round(took_ms, 2)}
            for kind in house.needed:
                workers = await house.broker.workers(kind)
                dependencies[kind] = {"status": "ok" if workers else "down", "workers": workers}
                if workers:
                    self._met.add(kind)
                is_degraded = is_degraded or not workers
                is_ready = is_ready and kind in self._met
        except BrokerLost as error:
            dependencies["store"] = {"status": "down", "error": error.code}
            is_ready = False
        status = "ready" if is_ready else "leaving" if house.is_leaving else "not ready"
        body = {
            "status": "degraded" if is_ready and is_degraded else status,
            "dependencies": dependencies,
            "degraded": house.around.modes(house.agents.default.language_model),
            "is_busy": house.around.pressure.is_high,
            "calls": house.calls,
            "max_calls": house.max_calls,
        }
        return 200 if is_ready else 503, body
