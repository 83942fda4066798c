"""A telephone call on a real server goes on while its gateway, and then a worker, is killed with -9."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.kit.processes import pid_of
from tests.kit.speech import CACHE, share_test_models
from tests.kit.telephone_line import TelephoneLine, telephone_line, ulaw_of
from tests.kit.waiting import until

from agentvoicebox.audio.pcm import bytes_of
from agentvoicebox.audio.resample import resample
from agentvoicebox.cli.local_server import LocalServer, free_port, local_server
from agentvoicebox.client.caller_voice import speak_lines

pytestmark = pytest.mark.requirement("C10", "A16.1", "C4")

FRAME_BYTES = 160
SECOND = 8_000  # bytes
FRAME_S = 0.02
QUIET = ulaw_of(bytes(2 * FRAME_BYTES))


class Caller:
    """Speaks in real time, and plays what comes in real time."""

    def __init__(self, line: TelephoneLine) -> None:
        self.line = line
        self._words = b""

    def say(self, text: str) -> None:
        line = speak_lines([text], cache_dir=CACHE)[0]
        self._words = ulaw_of(bytes_of(resample(line.pcm, 24_000, 8_000)))

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        next_s = loop.time()
        while True:
            frame, self._words = self._words[:FRAME_BYTES], self._words[FRAME_BYTES:]
            await self.line.say(frame + QUIET[len(frame) :])
            await self.line.play(FRAME_S * 1000)
            next_s += FRAME_S
            await asyncio.sleep(max(0.0, next_s - loop.time()))


@asynccontextmanager
async def on_the_telephone(folder: Path) -> AsyncIterator[tuple[Caller, LocalServer]]:
    port = free_port()
    share_test_models(folder)
    providers = {"AVB_TELEPHONY": "asterisk", "AVB_TELEPHONY_PORT": str(port)}
    async with local_server(folder, settings=providers) as server, telephone_line(port, "asterisk") as line:
        await line.start()
        caller = Caller(line)
        running = asyncio.create_task(caller.run())
        yield caller, server
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_caller_hears_the_rest_of_the_answer_after_the_death_of_gateway_and_worker(tmp_path: Path) -> None:
    async with on_the_telephone(tmp_path) as (caller, server):
        line = caller.line

        async def heard_until(bytes_more: int, what: str) -> None:
            """Wait until so much more of the agent was played, and nothing waits to be."""
            least = len(line.heard) + bytes_more
            await until(lambda: len(line.heard) < least or line.queue, what)

        await heard_until(SECOND, "the greeting")
        caller.say("Where is my parcel?")
        before = len(line.heard)
        await until(lambda: len(line.heard) < before + SECOND // 5, "the answer begins")
        os.kill(pid_of(server.pid, "gateway"), signal.SIGKILL)
        await heard_until(SECOND, "the rest of the answer")
        os.kill(pid_of(server.pid, "speech"), signal.SIGKILL)
        caller.say("I don't have the number.")
        await heard_until(SECOND, "an answer after the deaths")
        assert line.closed is None
