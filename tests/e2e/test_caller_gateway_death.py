"""The gateway of a spoken call is killed with -9 in mid-answer; the supervisor starts another, and the caller hears the rest."""

import os
import signal
from collections import Counter
from collections.abc import Callable

import pytest
from tests.kit.processes import pid_of
from tests.kit.resuming_client import OWN

from agentvoicebox.cli.local_server import LocalServer
from agentvoicebox.client.caller import open_call
from agentvoicebox.client.line import SpokenLine
from agentvoicebox.realtime_client.dialing import CallOptions

pytestmark = pytest.mark.requirement("A16.1", "C4")


async def test_a_call_goes_on_at_the_gateway_that_takes_the_dead_ones_place(
    server: LocalServer, say: Callable[[str], SpokenLine]
) -> None:
    async with open_call(CallOptions(server.url)) as call:
        turn = call.start_saying(say("Where is my parcel?"))
        await call.wait_until_heard(0.3)
        os.kill(pid_of(server.pid, "gateway"), signal.SIGKILL)
        await call.wait_for_reply(turn)
        assert not turn.problem, turn.problem
        again = await call.say(say("Where is my parcel?"))
        assert not again.problem, again.problem
        record = call.record()
    print(f"pause {call.connection.pauses_s[0] * 1000:.0f} ms, gap {record.gap_ms:.0f} ms")
    # A trace may come again from the new gateway, as every event of our own; see docs/resume.md.
    theirs = [event for event in record.events if event.sender == "server" and not event.type.startswith(OWN)]
    assert max(Counter(event.body["event_id"] for event in theirs).values()) == 1
    assert call.connection.gaps == 0 and len(call.connection.pauses_s) == 1
    assert turn.replied and again.replied
