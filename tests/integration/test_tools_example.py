"""The example of docs/tools.md works as it is printed: its agent file against its server."""

import asyncio
import importlib.util
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType

import msgspec
import pytest
import uvicorn
from tests.kit.kits import DELIVERY

from agentvoicebox.agents import Agents
from agentvoicebox.tools.addresses import Addresses
from agentvoicebox.tools.declaration import ToolDeclaration
from agentvoicebox.tools.definition import Outcome, ToolContext
from agentvoicebox.tools.http_tool import HttpTool
from agentvoicebox.tools.registry import Registry

pytestmark = pytest.mark.requirement("A18")

EXAMPLE = Path(__file__).parents[2] / "examples" / "tools"
WANTED = '{"day":"2026-05-17","time":"19:30","people":"2"}'


def example_server() -> ModuleType:
    spec = importlib.util.spec_from_file_location("example_tool_server", EXAMPLE / "server.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
async def url(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    monkeypatch.setenv("AVB_TOOL_SECRET", "a-secret")
    monkeypatch.setenv("TABLES_TOKEN", "a-token")
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(example_server().app, log_config=None, lifespan="off"))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"  # it listens already; who comes early waits
    server.should_exit = True
    await serving
    listener.close()


def declared(url: str) -> list[ToolDeclaration]:
    agent = Agents(kits=DELIVERY, folder=str(EXAMPLE)).resolve("restaurant")
    port = url.rpartition(":")[2]
    return [msgspec.structs.replace(each, url=each.url.replace("9000", port)) for each in agent.declared_tools]


async def ask(url: str, name: str, arguments: str, *, call_id: str = "call_1", secret: str = "a-secret") -> Outcome:
    tools = [HttpTool(each, Addresses(is_local=True), secret=secret) for each in declared(url)]
    outcome = await Registry([each.tool() for each in tools]).run(name, arguments, ToolContext("acme", "s", call_id))
    for each in tools:
        await each.close()
    return outcome


async def test_a_table_is_booked_and_the_same_call_books_no_second_one(url: str) -> None:
    first = await ask(url, "book_table", WANTED)
    assert first.speech == "A table for 2 is booked; its number is 1."
    assert await ask(url, "book_table", WANTED) == first
    assert (await ask(url, "book_table", WANTED, call_id="call_2")).data["number"] == 2


async def test_free_tables_are_looked_up_on_a_day_that_is_one(url: str) -> None:
    assert (await ask(url, "free_tables", '{"day":"2026-05-17"}')).data == {"free": ["18:00", "19:30"]}
    assert (await ask(url, "free_tables", '{"day":"tomorrow"}')).code == "invalid_arguments"


async def test_the_example_refuses_who_does_not_know_the_secret(url: str) -> None:
    assert (await ask(url, "book_table", WANTED, secret="a guess")).output == '{"error":"tool_refused","status":401}'
