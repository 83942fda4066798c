"""Media of calls by WebRTC go by a real TURN server (coturn) where browsers can't reach the media server itself."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import ifaddr
import pytest
from tests.kit.gateway import CHUNK_SAMPLES, Gateway, Workers, silence, tone
from tests.kit.media_server import media_server
from tests.kit.waiting import until_answered
from tests.kit.web_caller import web_caller

from agentvoicebox.audio.pcm import samples_of
from agentvoicebox.cli.local_server import free_port
from agentvoicebox.webrtc.peer import IcePlan

pytestmark = pytest.mark.requirement("C10")

TURNSERVER = shutil.which("turnserver") or ""
USER, PASSWORD = "agent", "s3cret"
ANSWER_MS = 2 * CHUNK_SAMPLES / 24

needs_turnserver = pytest.mark.skipif(not TURNSERVER, reason="needs coturn: `apt-get install coturn`")


def own_address() -> str:
    """An IPv4 address of this machine that is not loopback: ICE offers no other."""
    found = [ip.ip for adapter in ifaddr.get_adapters() for ip in adapter.ips if isinstance(ip.ip, str)]
    return next((ip for ip in found if not ip.startswith("127.")), "")


@asynccontextmanager
async def turn_server(folder: Path) -> AsyncIterator[str]:
    """A TURN server; its address and port."""
    address, port = own_address(), free_port()
    process = await asyncio.create_subprocess_exec(
        TURNSERVER, "-n", "--no-tls", "--no-dtls", "--no-cli", "--lt-cred-mech", "--realm=test", f"--user={USER}:{PASSWORD}",
        f"--listening-ip={address}", f"--relay-ip={address}", f"--listening-port={port}", "--log-file=stdout",
        f"--userdb={folder / 'turn.db'}", f"--pidfile={folder / 'turn.pid'}",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip

    async def is_closed() -> bool:
        try:
            _, writer = await asyncio.open_connection(address, port)
        except OSError:
            return True
        writer.close()
        await writer.wait_closed()
        return False

    try:
        await until_answered(is_closed, "the TURN server does not listen")
        yield f"{address}:{port}"
    finally:
        process.terminate()
        await process.wait()


@needs_turnserver
async def test_a_call_goes_by_the_relay_alone(served: Gateway, workers: Workers, tmp_path: Path) -> None:
    async with turn_server(tmp_path) as relay:
        ice = IcePlan(servers=(f"turn:{relay}", f"stun:{relay}"), username=USER, password=PASSWORD, is_relay_only=True)
        gateways = (f"http://127.0.0.1:{served.port}/v1",)
        async with media_server(gateways, ice=ice) as place, web_caller(place.port, credential="any") as caller:
            await caller.event("session.created")
            kinds = {line.split()[7] for line in caller.answer.splitlines() if line.startswith("a=candidate")}
            assert kinds == {"relay"}
            caller.microphone.say(samples_of(tone(400) + silence(900)))
            await caller.event("output_audio_buffer.stopped")
            await caller.until(lambda: caller.loud_ms() >= ANSWER_MS - 60, "the answer is heard")


@needs_turnserver
async def test_a_stun_server_tells_the_address_of_this_machine_from_outside(
    served: Gateway, workers: Workers, tmp_path: Path
) -> None:
    async with turn_server(tmp_path) as server:
        gateways = (f"http://127.0.0.1:{served.port}/v1",)
        async with (
            media_server(gateways, ice=IcePlan(servers=(f"stun:{server}",))) as place,
            web_caller(place.port, credential="any") as caller,
        ):
            await caller.event("session.created")
            assert own_address() in caller.answer
