"""The whole server over TLS, with the certificate that one command makes, and an official client that calls it (A4.2)."""

import asyncio
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
from openai import AsyncOpenAI, DefaultAsyncHttpxClient
from tests.kit.waiting import PATIENCE_S

from agentvoicebox.cli.local_server import local_server

pytestmark = pytest.mark.requirement("A4.2")


def run(*arguments: str) -> str:
    """A command of ours; gives what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "agentvoicebox.cli", *arguments], capture_output=True, text=True, timeout=4 * PATIENCE_S
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


async def test_clients_call_a_server_with_the_certificate_of_one_command(tmp_path: Path) -> None:
    run("tls", "--out", str(tmp_path / "tls"))
    cert, key = str(tmp_path / "tls" / "cert.pem"), str(tmp_path / "tls" / "key.pem")
    settings = {"AVB_TLS_CERT": cert, "AVB_TLS_KEY": key, "AVB_UNKNOWN_MODEL": "default"}
    async with local_server(tmp_path / "data", settings=settings) as server:
        url = server.url.replace("http:", "https:")
        trust = ssl.create_default_context(cafile=cert)
        async with (
            DefaultAsyncHttpxClient(verify=trust, trust_env=False) as web,
            AsyncOpenAI(api_key="any", base_url=url, http_client=web, max_retries=0) as client,
            client.realtime.connect(
                model="local",  # no agent's name; the default agent answers
                websocket_connection_options={"ssl": trust},  # type: ignore[typeddict-unknown-key]
            ) as line,
        ):
            await line.session.update(session={"type": "realtime", "output_modalities": ["text"]})
            await line.response.create()
            async with asyncio.timeout(4 * PATIENCE_S):
                async for event in line:
                    if event.type == "response.done":
                        assert event.response.status == "completed"
                        break
        said = await asyncio.to_thread(run, "call", "--url", url, "--ca", cert, "--text", "Where is parcel PKG004?")
        assert "agent" in said
