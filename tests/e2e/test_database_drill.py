"""The drill: a backup, and its restoration, in the middle of a call; the call goes on and is recorded before and after."""

import asyncio
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from tests.kit.waiting import EVERY_S, PATIENCE_S

from agentvoicebox.cli.local_server import LocalServer, local_server
from agentvoicebox.client.caller import open_call
from agentvoicebox.realtime_client.dialing import CallOptions

pytestmark = pytest.mark.requirement("A10", "A17")

SCRIPTED = {"AVB_STT_PROFILE": "scripted", "AVB_TTS_ORDER": "scripted"}


def typed(text: str) -> dict[str, Any]:
    """A line that asks for no answer."""
    content = [{"type": "input_text", "text": text}]
    return {"type": "conversation.item.create", "item": {"type": "message", "role": "user", "content": content}}


async def command(server: LocalServer, *words: str) -> tuple[int, str]:
    """`agentvoicebox database …` on the machine of the server: its exit code and output."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "agentvoicebox.cli", "database", *words),
        env={**os.environ, "AVB_DATA_DIR": str(server.data_dir), "COLUMNS": "300"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(PATIENCE_S):
        output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


async def recorded(server: LocalServer, session_id: str, count: int) -> list[str]:
    """The caller's words that history has, once there are so many."""
    async with httpx.AsyncClient(base_url=server.url, headers={"Authorization": "Bearer local"}) as http:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                answer = await http.get(f"/realtime/sessions/{session_id}/items")
                items: list[dict[str, Any]] = answer.json()["data"] if answer.status_code == 200 else []
                words = [
                    part.get("text", "") for each in items if each.get("role") == "user" for part in each["content"]
                ]
                if len(words) >= count:
                    return words[::-1]  # history has the newest first
                await asyncio.sleep(EVERY_S)


async def databases(server: LocalServer) -> set[str]:
    socket = server.data_dir / "run"
    connection = await asyncpg.connect(f"postgresql://postgres@/postgres?host={socket}&port=5432")
    try:
        return {row["datname"] for row in await connection.fetch("SELECT datname FROM pg_database")}
    finally:
        await connection.close()


async def test_a_call_goes_on_through_a_backup_and_its_restoration(tmp_path: Path) -> None:
    file = tmp_path / "calls.dump"
    with tempfile.TemporaryDirectory(prefix="avb-drill-", ignore_cleanup_errors=True) as folder:
        async with local_server(Path(folder), settings=SCRIPTED) as server:
            async with open_call(CallOptions(server.url, model="delivery")) as call:
                await call.send(typed("One."))
                session_id = call.record().session_id
                assert len(await recorded(server, session_id, 1)) == 1
                assert await command(server, "migrate") == (0, "The tables are those of this version already.\n")
                status, said = await command(server, "backup", str(file))
                assert status == 0 and str(file) in said
                assert file.stat().st_mode & 0o777 == 0o600 and file.read_bytes()[:5] == b"PGDMP"
                await call.send(typed("Two."))
                await recorded(server, session_id, 2)

                status, said = await command(server, "restore", str(file))
                assert status == 0, said
                assert len([name for name in await databases(server) if name.startswith("before_restore_")]) == 1
                turn = await call.type("Where is my parcel?")  # a short answer: it is played in real time
                assert not turn.problem and turn.replied
                words = await recorded(server, session_id, 2)
            # What was said between the backup and its restoration is in the old database alone.
            assert words == ["One.", "Where is my parcel?"]

            beside = f"postgresql://postgres@/rescue?host={server.data_dir / 'run'}&port=5432"
            status, said = await command(server, "restore", str(file), "--url", beside, "--owner", "agentvoicebox")
            assert status == 0 and "rescue" in await databases(server), said

            broken = tmp_path / "broken.dump"
            broken.write_bytes(file.read_bytes()[:3_000])
            before = await databases(server)
            status, said = await command(server, "restore", str(broken))
            assert status == 1 and "pg_restore failed" in said
            assert await databases(server) == before
            assert len(await recorded(server, session_id, 2)) == 2
