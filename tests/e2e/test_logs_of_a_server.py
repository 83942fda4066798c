"""The log of a whole server, as a collector reads it: one form from every process, and who and what each line is about."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.kit.client import calling
from tests.kit.processes import pid_of
from tests.kit.speech import CACHE
from tests.kit.waiting import PATIENCE_S

from agentvoicebox.cli.local_server import free_port
from agentvoicebox.processes.child_command import child_command
from agentvoicebox.telemetry.logs import REQUIRED_FIELDS
from agentvoicebox.telemetry.trace_ids import trace_id_of

pytestmark = pytest.mark.requirement("A12.4", "A13")

CORRELATION_ID = "ticket-a17"
WORDS = "Featherstonehaugh"
IDS = ("tenant_id", "session_id", "correlation_id")


class Serving:
    """A running `serve`, and every line that it has written to either output."""

    def __init__(self, process: Process, port: int) -> None:
        self.process = process
        self.port = port
        self.lines: list[dict[str, Any]] = []

    async def until(self, **fields: object) -> dict[str, Any]:
        """The next line with these fields. A line that is no JSON object fails the test."""
        assert self.process.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            while raw := await self.process.stdout.readline():
                line = self._read(raw)
                if fields.items() <= line.items():
                    return line
        raise AssertionError(f"it ended without {fields}; its last lines: {self.lines[-5:]}")

    async def end(self) -> int:
        """Stop it, and read the rest."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            async for raw in self.process.stdout:
                self._read(raw)
            return await self.process.wait()

    def _read(self, raw: bytes) -> dict[str, Any]:
        line: dict[str, Any] = json.loads(raw)
        assert tuple(line)[:7] == REQUIRED_FIELDS, line
        self.lines.append(line)
        return line


@asynccontextmanager
async def serving(data_dir: Path, **settings: str) -> AsyncIterator[Serving]:
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *child_command([sys.executable, "-m", "agentvoicebox.cli", "serve"], die_with=signal.SIGKILL),
        env={
            **os.environ,
            "AVB_LOG_FORMAT": "json",
            "AVB_PORT": str(port),
            "AVB_DATA_DIR": str(data_dir),
            "AVB_MODELS_DIR": str(CACHE),
            **dict.fromkeys(("AVB_WEBHOOK_PORT", "AVB_INTERNAL_PORT", "AVB_GATEWAY_INTERNAL_PORT"), "0"),
            **settings,
        },
        stdout=PIPE,
        stderr=STDOUT,
        limit=1 << 20,
        start_new_session=True,
    )
    try:
        yield Serving(process, port)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_every_line_of_a_server_is_json_and_says_whom_it_is_about(tmp_path: Path) -> None:
    CACHE.mkdir(parents=True, exist_ok=True)
    nobody = f"http://127.0.0.1:{free_port()}/v1"  # a server of language models that is away
    settings = {"AVB_LLM_BASE_URL": nobody, "AVB_LLM_MODEL": "m", "AVB_LOG_LEVELS": "gateway=debug,recorder=error"}
    async with serving(tmp_path / "data", **settings) as server:
        await server.until(service="supervisor", part="system", state="ready")
        url = f"ws://127.0.0.1:{server.port}/v1/realtime?model=assistant"
        async with calling(url, additional_headers={"X-Correlation-ID": CORRELATION_ID}) as client:
            session_id = client.events[0]["session"]["id"]
            item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": WORDS}]}
            await client.send("conversation.item.create", item=item)
            await client.send("response.create", response={"output_modalities": ["text"]})
            assert (await client.until("response.done"))["response"]["status"] == "failed"
        failed = await server.until(service="llm", message="no answer from the language model")
        assert failed["reason"] and failed["code"]
        os.kill(pid_of(server.process.pid, "worker"), signal.SIGKILL)
        died = await server.until(message="a child died")
        assert (died["service"], died["child"]) == ("supervisor", "worker") and "SIGKILL" in died["reason"]
        await server.until(service="supervisor", part="worker", state="ready")
        assert await server.end() == 0
    began = next(line for line in server.lines if line["message"] == "call began")
    for line in (began, failed):
        assert [line[each] for each in IDS] == ["default", session_id, CORRELATION_ID]
        assert line["trace_id"] == trace_id_of(session_id)
    assert WORDS not in json.dumps(server.lines)


@pytest.mark.parametrize(
    ("settings", "told"),
    [({"AVB_PORT": "many"}, "AVB_PORT: 'many' is not a whole number"), ({"AVB_TTS_ORDER": "piperr"}, "did you mean")],
)
async def test_a_server_that_can_not_start_says_why_in_the_same_form(
    settings: dict[str, str], told: str, tmp_path: Path
) -> None:
    async with serving(tmp_path / "data", **settings) as server:
        line = await server.until(service="supervisor", level="critical")
        assert told in line["reason"]
        assert await server.process.wait() == 1
