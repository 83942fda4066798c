"""Charges what a session uses, and sends the client what is left of its limits."""

import itertools

from agentvoicebox.gateway.admission.handshake import LIMITS_MARK
from agentvoicebox.gateway.admission.quota import Quota
from agentvoicebox.gateway.call.socket import Writer
from agentvoicebox.wire.server_events import RateLimitsUpdated


async def report_limits(quota: Quota, writer: Writer) -> None:
    """Send `rate_limits.updated` after each response, until cancelled.

    The event is in no log, so its id names the event before it: a client that got it last can then be sent what follows.
    """
    for number in itertools.count(1):
        if limits := await quota.next_limits():
            event_id = f"{writer.last_event_id}{LIMITS_MARK}{number}"
            writer.send(RateLimitsUpdated(event_id=event_id, rate_limits=limits))
