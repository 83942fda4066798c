"""Each program of `examples` does what its first lines say, against a whole server: in Python and in JavaScript."""

import asyncio
import hashlib
import hmac
import os
import sys
import time
import wave
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from tests.e2e.clients.conftest import FlowerShop
from tests.kit import florist
from tests.kit.client import until
from tests.kit.client_program import LEAST_NODE, ROOT, node_version
from tests.kit.waiting import PATIENCE_S

PYTHON, NODE = "python", "javascript"
NATIVE_WEBSOCKET = 22  # the first version of Node that has one without a flag
PARCEL = "Where is parcel PKG004?"

pytestmark = pytest.mark.requirement("A18")

in_both = pytest.mark.parametrize(
    "language",
    [
        PYTHON,
        pytest.param(
            NODE, marks=pytest.mark.skipif(node_version() < LEAST_NODE, reason="install Node 20 or later for this one")
        ),
    ],
)


def command(language: str, name: str) -> list[str]:
    """How a user starts an example."""
    if language == PYTHON:
        return [sys.executable, str(ROOT / "examples" / "python" / f"{name.replace('-', '_')}.py")]
    flags = [] if node_version() >= NATIVE_WEBSOCKET else ["--experimental-websocket"]
    return ["node", *flags, str(ROOT / "examples" / "javascript" / f"{name}.js")]


async def run(language: str, name: str, *arguments: str, **environment: str) -> str:
    """What it prints; it must end well."""
    process = await asyncio.create_subprocess_exec(
        *command(language, name),
        *arguments,
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(PATIENCE_S):
            output, errors = await process.communicate()
    except TimeoutError:
        process.kill()
        output, errors = await process.communicate()
        raise AssertionError(f"it did not end: {output.decode()}\n{errors.decode()}") from None
    assert process.returncode == 0, errors.decode()
    return output.decode()


@asynccontextmanager
async def serving(language: str, name: str, port: int, environment: Mapping[str, str]) -> AsyncIterator[list[str]]:
    """An example that is a server, while the block lasts; gives the lines that it prints."""
    process = await asyncio.create_subprocess_exec(
        *command(language, name), str(port), env={**os.environ, **environment}, stdout=asyncio.subprocess.PIPE
    )
    lines: list[str] = []

    async def read() -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            lines.append(line.decode().strip())

    async def listens() -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            assert process.returncode is None, "it ended"
            return False
        writer.close()
        await writer.wait_closed()
        return True

    reading = asyncio.create_task(read())
    try:
        await until(listens)
        yield lines
    finally:
        process.kill()
        await process.wait()
        await reading


@in_both
async def test_text(shop: FlowerShop, language: str) -> None:
    said = await run(language, "text", PARCEL, AVB_URL=shop.server.url)
    assert "parcel" in said.lower() and len(said.split()) > 4, said


@in_both
async def test_speech(shop: FlowerShop, language: str, tmp_path: Path) -> None:
    answer = tmp_path / "answer.wav"
    said = await run(language, "speech", florist.NAME_LINE, str(answer), AVB_URL=shop.server.url, AVB_MODEL="assistant")
    assert "caller: What is your name" in said
    assert f"agent: {florist.NAME_REPLY}" in said
    if language == PYTHON:
        with wave.open(str(answer)) as file:
            assert file.getframerate() == 24_000 and file.getnframes() > 24_000
    else:
        assert answer.stat().st_size > 48_000


@in_both
async def test_tools(shop: FlowerShop, language: str) -> None:
    assert await run(language, "tools", florist.PRICE_LINE, AVB_URL=shop.server.url) == florist.PRICE_REPLY + "\n"


@in_both
async def test_transcription(shop: FlowerShop, language: str, wav_of: Callable[[str], Path]) -> None:
    said = await run(language, "transcription", str(wav_of(florist.PRICE_LINE)), AVB_URL=shop.server.url)
    assert "price" in said.lower() and "rose" in said.lower(), said


@in_both
async def test_resume(shop: FlowerShop, language: str) -> None:
    lines = (await run(language, "resume", PARCEL, AVB_URL=shop.server.url)).splitlines()
    assert lines[1:3] == ["[the line breaks]", "[resumed, nothing lost: True]".replace("True", TRUE[language])]
    whole = await run(language, "text", PARCEL, AVB_URL=shop.server.url)
    assert "".join(lines[:1] + lines[3:]).split() == whole.split()


TRUE = {PYTHON: "True", NODE: "true"}


@in_both
async def test_webhook_in(shop: FlowerShop, language: str) -> None:
    secret = {"AVB_TOOL_SECRET": shop.tool_secret}
    async with serving(language, "webhook-in", shop.tool_port, secret):
        said = await run(
            PYTHON, "text", "When do you open on Sunday?", AVB_URL=shop.server.url, AVB_MODEL="opening-hours"
        )
        assert 'The function returned {"hours":"closed"}' in said.replace('": "', '":"')
        url, body = f"http://127.0.0.1:{shop.tool_port}/hours", b'{"arguments":{"day":"Monday"}}'
        async with httpx.AsyncClient(trust_env=False) as http:
            for headers in ({}, {"x-agentvoicebox-signature": f"t={time.time():.0f},v1={'0' * 64}"}):
                assert (await http.post(url, content=body, headers=headers)).status_code == 401
            old = f"{time.time() - 400:.0f}"
            signed = hmac.new(shop.tool_secret.encode(), f"{old}.".encode() + body, hashlib.sha256).hexdigest()
            answer = await http.post(url, content=body, headers={"x-agentvoicebox-signature": f"t={old},v1={signed}"})
            assert answer.status_code == 401
