"""A real Asterisk takes sixteen seconds of audio and then no more: longer answers arrive whole, and may be interrupted."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from tests.kit.asterisk import asterisk
from tests.kit.asterisk_folder import prepare
from tests.kit.gateway import CHUNK_SAMPLES, Gateway, Workers, says
from tests.kit.sip_caller import SipCaller, sip_call
from tests.kit.telephone_calls import sounds_of
from tests.kit.telephone_line import ulaw_of, voice
from tests.kit.telephone_place import TOKEN, opened

from agentvoicebox.audio.pcm import bytes_of

pytestmark = [
    pytest.mark.requirement("C10"),
    pytest.mark.skipif(not os.environ.get("REAL_TELEPHONE"), reason="needs a real Asterisk: make telephone"),
]

CHUNKS = 250  # of 100 ms
ANSWER_MS = CHUNKS * CHUNK_SAMPLES // 24


@pytest.fixture
async def caller(served: Gateway, workers: Workers) -> AsyncIterator[SipCaller]:
    """A caller whose agent begins to say a very long answer."""
    workers.chunks = CHUNKS
    workers.writes = says("a long answer")
    async with answered(served) as made:
        await made.until(lambda: bool(made.rtp.first_loud_s(0.0)), "the answer begins")
        yield made


@asynccontextmanager
async def answered(served: Gateway) -> AsyncIterator[SipCaller]:
    async with (
        opened((f"http://127.0.0.1:{served.port}/v1",)) as place,
        asterisk(prepare(), f"ws://127.0.0.1:{place.port}/asterisk/media", password=TOKEN) as exchange,
        sip_call(exchange) as caller,
    ):
        yield caller


async def test_an_answer_longer_than_asterisks_queue_arrives_whole(caller: SipCaller) -> None:
    await caller.listen_after(caller.rtp.first_loud_s(0.0))
    assert sum(sound.ms for sound in sounds_of(caller.rtp)) == pytest.approx(ANSWER_MS, abs=20)
    await caller.hang_up()


async def test_what_asterisk_could_not_take_is_not_heard_after_an_interruption(
    caller: SipCaller, workers: Workers
) -> None:
    await asyncio.sleep(3.0)
    workers.chunks = 5
    caller.rtp.say(ulaw_of(bytes_of(voice(500))))
    await caller.listen_after(caller.rtp.first_loud_s(0.0))
    first, second = sounds_of(caller.rtp)
    assert 3_000 < first.ms < 5_000
    assert second.ms == pytest.approx(500, abs=20)
    await caller.hang_up()
