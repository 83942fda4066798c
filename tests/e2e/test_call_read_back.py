"""A spoken call of the whole server, read back over REST: its turns, its verdict, and the deployment that served it."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from tests.kit.client import until as until_holds
from tests.kit.waiting import PATIENCE_S

from agentvoicebox.cli.local_server import LocalServer
from agentvoicebox.client.caller import open_call
from agentvoicebox.client.line import SpokenLine
from agentvoicebox.realtime_client.dialing import CallOptions

pytestmark = pytest.mark.requirement("A10", "A17")

PARTS = {"endpointing", "socket", "ingest", "stt", "queue", "dialogue", "tool", "tts", "gateway"}


async def test_a_spoken_call_is_read_back_with_its_turns_and_its_verdict(
    server: LocalServer, say: Callable[[str], SpokenLine]
) -> None:
    async with httpx.AsyncClient(base_url=server.root_url, trust_env=False, timeout=PATIENCE_S) as rest:

        async def read(path: str) -> dict[str, Any]:
            body: dict[str, Any] = (await rest.get(path)).raise_for_status().json()
            return body

        async with open_call(CallOptions(server.url)) as call:
            turn = call.start_saying(say("Where is my parcel?"))
            await call.wait_until_heard(0.5)
            status = await read("/v1/admin/status")
            await call.hang_up()
        assert turn.first_audio_s is not None, turn.problem
        assert [each["id"] for each in status["gateways"]] == [status["gateway_id"]]
        assert all(each["workers"] >= 1 for each in status["work"]), status["work"]
        newest = (await read("/v1/realtime/sessions?limit=1"))["data"][0]["id"]

        async def has_verdict() -> bool:
            return (await read(f"/v1/realtime/sessions/{newest}"))["verdict"] is not None

        await until_holds(has_verdict)
        session = await read(f"/v1/realtime/sessions/{newest}")
        assert (session["state"], session["verdict"]["replay"], session["has_audio"]) == ("ended", "same", False)
        turns = (await read(f"/v1/realtime/sessions/{newest}/turns"))["data"]
        assert len(turns) == session["turns"] >= 1
        for each in turns:
            assert each["parts_ms"].keys() == PARTS
            assert sum(each["parts_ms"].values()) == pytest.approx(each["total_ms"], abs=0.01)
