"""The time of the store: one for all gateways and janitors, however wrong the wall clocks of their machines are."""

from agentvoicebox.broker import keys
from agentvoicebox.broker.connection import Connection
from agentvoicebox.clock import Clock, SystemClock

ASK_EVERY_S = 10.0
_TIME = "return redis.call('TIME')"  # as a script with a key, so that in a cluster one node answers


class StoreTime:
    """Asks the store now and then, and counts on with the monotonic clock, which no correction of the time moves."""

    def __init__(self, connection: Connection, clock: Clock | None = None) -> None:
        self._connection = connection
        self._clock = clock or SystemClock()
        self._offset_s = 0.0
        self._asked_s = float("-inf")

    async def now_s(self) -> float:
        """Unix seconds of the store. Raises BrokerLost."""
        if self._clock.monotonic_s() >= self._asked_s + ASK_EVERY_S:
            seconds, microseconds = await self._connection.call(
                lambda: self._connection.commands.eval(_TIME, 1, keys.LIVE_SESSIONS)
            )
            self._asked_s = self._clock.monotonic_s()
            self._offset_s = int(seconds) + int(microseconds) / 1e6 - self._asked_s
        return self._clock.monotonic_s() + self._offset_s


class GivenTime:
    """The wall time of a clock, in place of the store's: a test moves it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def now_s(self) -> float:
        """Unix seconds."""
        return self._clock.wall_s()
