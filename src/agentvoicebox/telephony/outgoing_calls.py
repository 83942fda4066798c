"""Calls that are ordered: which numbers may be called, and how often."""

import re
from collections.abc import Mapping

import msgspec

from agentvoicebox.clock import Clock
from agentvoicebox.errors import UNREADABLE
from agentvoicebox.resilience.token_bucket import TokenBucket
from agentvoicebox.telemetry.logs import get_logger
from agentvoicebox.telephony.diallers import Dialler, NotDialled

NUMBER = re.compile(r"\+?[0-9]{1,20}")
AGENT = re.compile(r"[\w.-]{0,64}")

log = get_logger(__name__)


class CallOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whom to call.

    Attributes:
        to: a number, digits with or without a `+`.
        agent: who speaks for us; "": the default agent.
        provider: who makes the call; "": the first that can.
    """

    to: str
    agent: str = ""
    provider: str = ""


class MadeCall(msgspec.Struct, frozen=True):
    """A call that was begun: it rings. `call_id`: the provider's."""

    provider: str
    call_id: str


class OutgoingCalls:
    """Those of one process.

    Args:
        diallers: of the providers that can call, by name; the first is the default.
        prefixes: beginnings of numbers that may be called.
        a_minute: calls that may be begun in a minute.
        clock: of the limit.
    """

    def __init__(self, diallers: Mapping[str, Dialler], prefixes: tuple[str, ...], a_minute: int, clock: Clock) -> None:
        self._diallers = dict(diallers)
        self._prefixes = prefixes
        self._bucket = TokenBucket(a_minute / 60, a_minute)
        self._clock = clock

    async def make(self, body: bytes) -> MadeCall:
        """Begin the call that a request orders.

        Raises:
            NotDialled: the order is invalid or not allowed, or the provider did not begin the call.
        """
        order = _order(body)
        if not order.to.startswith(self._prefixes):
            message = "This number may not be called; AVB_OUTGOING_PREFIXES names those that may."
            raise NotDialled(message, status=403, code="number_not_allowed")
        provider = order.provider or next(iter(self._diallers), "")
        dialler = self._diallers.get(provider)
        if dialler is None:
            able = ", ".join(self._diallers) or "none; see docs/telephony.md"
            message = f"The provider {provider!r} makes no calls here. Able: {able}."
            raise NotDialled(message, status=400, code="invalid_value")
        wait_s = self._bucket.try_take(self._clock.monotonic_s())
        if wait_s:
            message = f"Too many calls were ordered; try again in {wait_s:.0f} s. The limit is AVB_OUTGOING_A_MINUTE."
            raise NotDialled(message, status=429, code="rate_limit_exceeded")
        call_id = await dialler.dial(order.to, order.agent)
        log.info("a telephone call was begun", provider=provider, line_call_id=call_id)
        return MadeCall(provider, call_id)

    async def close(self) -> None:
        """Close the connections."""
        for dialler in self._diallers.values():
            await dialler.close()


def _order(body: bytes) -> CallOrder:
    try:
        order = msgspec.json.decode(body, type=CallOrder)
    except UNREADABLE as error:
        raise NotDialled(f"The order can't be read: {error}", status=400, code="invalid_json") from error
    if not NUMBER.fullmatch(order.to):
        message = "`to` should be a number of 1 to 20 digits, with or without a plus, such as +4930123456."
        raise NotDialled(message, status=400, code="invalid_value")
    if not AGENT.fullmatch(order.agent):
        raise NotDialled("`agent` should be an agent's name.", status=400, code="invalid_value")
    return order
