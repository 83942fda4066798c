"""The receivers of docs/events.md take signed events once each, and nothing else."""

import asyncio
import contextlib
import shutil
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from tests.kit.outgoing_examples import RECORDS, events
from tests.kit.waiting import PATIENCE_S

from agentvoicebox.cli.local_server import free_port
from agentvoicebox.clock import ManualClock
from agentvoicebox.events.webhook_sink import WebhookSink
from agentvoicebox.ports.event_sink import Destination, EventMessage
from agentvoicebox.tools.addresses import Addresses

pytestmark = pytest.mark.requirement("A0", "A18")

EXAMPLES = Path(__file__).parents[2] / "examples" / "events"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER_SECRET = "whsec_" + "A" * 32
MESSAGES = [EventMessage(each.event_id, each.type, each.lane, each.body) for each in events(*RECORDS)]
NODE = pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node: apt-get install nodejs")


@asynccontextmanager
async def receiver(*command: str) -> AsyncIterator[tuple[str, asyncio.StreamReader]]:
    """A receiver in a process of its own: its URL, and what it prints."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *command, SECRET, str(port), stdout=asyncio.subprocess.PIPE, limit=1 << 20
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(PATIENCE_S):
            for _ in range(10_000):
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
                    await writer.wait_closed()
                    break
                await asyncio.sleep(0.05)
        yield f"http://127.0.0.1:{port}/", process.stdout
    finally:
        process.kill()
        await process.communicate()


@pytest.mark.parametrize(
    "command",
    [
        pytest.param((sys.executable, str(EXAMPLES / "receiver.py")), id="python"),
        pytest.param(("node", str(EXAMPLES / "receiver.mjs")), id="javascript", marks=NODE),
    ],
)
async def test_a_receiver_takes_signed_events_once_and_refuses_all_others(command: tuple[str, ...]) -> None:
    old = ManualClock(wall_s=time.time() - 400)
    async with receiver(*command) as (url, printed):
        sink, late = WebhookSink(Addresses(is_local=True)), WebhookSink(Addresses(is_local=True), clock=old)
        ours = Destination("acme", "dest_1", "webhook", url, (), SECRET)
        theirs = Destination("acme", "dest_1", "webhook", url, (), OTHER_SECRET)
        assert (await sink.send(theirs, MESSAGES[0])).problem == "it answers 401"
        assert (await late.send(ours, MESSAGES[0])).problem == "it answers 401"
        async with httpx.AsyncClient(trust_env=False) as client:
            assert (await client.post(url, content=MESSAGES[0].body)).status_code == 401
        for message in (MESSAGES[0], MESSAGES[0], MESSAGES[1]):
            assert (await sink.send(ours, message)).is_taken
        lines = [(await printed.readline()).decode() for _ in range(2)]
        assert lines[0].startswith("agentvoicebox.session.started sess_")
        assert lines[1].startswith("agentvoicebox.message.recorded sess_")
        await sink.close()
        await late.close()
