"""The port of agent kits, as the author of a kit meets it: `docs/agent-kits.md` is followed to the letter, from `pip install` on.

Servers with the clinic alone, with both kits, and without any. What each of their processes imports is written down by Python
itself (`PYTHONPROFILEIMPORTTIME`).
"""

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from openai import AsyncOpenAI
from tests.conftest import ServerLoop
from tests.kit.chat_server import chat_server
from tests.kit.pages import PAGE, after, commands
from tests.kit.speech import share_test_models

from agentvoicebox.cli.local_server import LocalServer, free_port, local_server
from agentvoicebox.supervisor.embedded.postgres import EmbeddedPostgres
from agentvoicebox.supervisor.roles import CHILDREN

pytestmark = pytest.mark.requirement("C7")

ROOT = Path(__file__).parents[2]
PATIENCE_S = 30.0
IMPORTS_BEGIN = "import time: self [us]"  # once in each Python process
ASK = "What is your reference number?"
TUESDAY = "on Tuesday at 9:30 with Doctor Lee"


@dataclass(frozen=True)
class Installed:
    """A folder in which the page's `pip install` put the kit. The interpreter's own packages know nothing of it."""

    folder: Path

    @property
    def variables(self) -> dict[str, str]:
        """What a process needs to find it."""
        return {
            "PYTHONPATH": os.pathsep.join([str(self.folder), str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]),
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "PIP_TARGET": str(self.folder),
            "PIP_NO_DEPS": "1",
            "PIP_NO_BUILD_ISOLATION": "0",  # pip's way to say "no isolation": the build uses the hatchling that is here
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "COLUMNS": "200",
        }

    def run(self, command: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """A command of the page, as a shell runs it in the repository's folder."""
        environment = {**os.environ, **self.variables, **settings}
        return subprocess.run(
            command, shell=True, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=120
        )


@dataclass(frozen=True)
class Place:
    """A server, its webhook port, and what it prints."""

    server: LocalServer
    webhook_port: int
    printed: list[str]

    async def post(self, path: str, body: Any) -> Any:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.webhook_port}", trust_env=False) as client:
            response = await client.post(path, json=body)
        return response.json() if response.status_code == 200 else response.status_code

    def cancellations(self, reference: str) -> list[tuple[str, str]]:
        """Session and call id of each time that an appointment was cancelled."""
        with closing(sqlite3.connect(self.server.data_dir / "clinic.sqlite")) as database:
            rows = database.execute("SELECT session_id, call_id FROM cancellations WHERE reference = ?", (reference,))
            return rows.fetchall()

    def imports(self) -> str:
        """Python's own list of what the processes import; of a role or a kit it holds what that imports in turn."""
        log = self.server.log.read_text(errors="replace")
        processes = [spec for spec in CHILDREN if not spec.roles[0].asked_by]
        assert log.count(IMPORTS_BEGIN) > len(processes), "a process did not write down what it imports"
        assert all(f"agentvoicebox.{package}." in log for package in ("gateway", "workers", "webhook"))
        return log


@asynccontextmanager
async def serving(kits: str, variables: dict[str, str], **settings: str) -> AsyncIterator[Place]:
    webhook_port = free_port()
    settings = {
        "AVB_KITS": kits,
        "AVB_WEBHOOK_PORT": str(webhook_port),
        "AVB_LOG_LEVEL": "warning",
        "PYTHONPROFILEIMPORTTIME": "1",
        **variables,
        **settings,
    }
    with tempfile.TemporaryDirectory(prefix="avb-kit-", ignore_cleanup_errors=True) as folder:
        share_test_models(Path(folder))
        printed: list[str] = []
        async with local_server(Path(folder), settings=settings, progress=printed.append) as server:
            yield Place(server, webhook_port, printed)


@asynccontextmanager
async def talking(place: Place, agent: str) -> AsyncIterator[Any]:
    """A typed conversation with the official client: words in, words out."""
    async with (
        AsyncOpenAI(base_url=place.server.url, api_key="any key") as client,
        client.realtime.connect(model=agent) as connection,
    ):
        await connection.session.update(session={"type": "realtime", "output_modalities": ["text"]})

        async def say(words: str) -> str:
            item: Any = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": words}]}
            await connection.conversation.item.create(item=item)
            await connection.response.create()
            async with asyncio.timeout(PATIENCE_S):
                async for event in connection:
                    assert event.type != "error", event
                    if event.type == "response.done":
                        output: Any = event.response.output
                        return " ".join(part.text for item in output for part in item.content)
            raise AssertionError("the connection ended")

        yield say


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The page's first step."""
    found = Installed(tmp_path_factory.mktemp("installed"))
    (install,) = [each for each in commands(PAGE) if each.startswith("pip install")]
    done = found.run(install)
    assert done.returncode == 0, done.stderr
    return found


@pytest.fixture(scope="module")
def place(installed: Installed, server_loop: ServerLoop) -> Iterator[Place]:
    """`AVB_KITS=clinic agentvoicebox serve`, as the page says."""
    assert "AVB_KITS=clinic agentvoicebox serve" in commands(PAGE)
    stack = AsyncExitStack()
    started: list[Place] = []

    async def start() -> None:
        started.append(await stack.enter_async_context(serving("clinic", installed.variables)))

    server_loop.run(start())
    yield started[0]
    server_loop.run(stack.aclose())


async def test_the_clinic_finds_an_appointment_and_cancels_it_once(place: Place) -> None:
    async with talking(place, "clinic") as say:
        assert ASK in await say("When is my appointment?")
        assert TUESDAY in await say("It's three zero five nine one seven")
        assert (await say("I have to cancel it")).endswith("Shall I cancel it?")
        assert place.cancellations("305917") == []
        assert await say("Yes.") == f"Your appointment {TUESDAY} is cancelled."
    ((session_id, call_id),) = place.cancellations("305917")
    assert session_id.startswith("sess_") and call_id


async def test_the_webhook_server_answers_as_the_page_says(place: Place) -> None:
    (curl,) = [each for each in commands(PAGE) if each.startswith("curl")]
    address, body = curl.split()[2], curl.partition("-d '")[2].rstrip("'")
    shown = json.loads(after(PAGE, curl))
    answer = await place.post(address.partition("8001")[2], json.loads(body))
    assert {name: answer[name] for name in shown} == shown and answer["status"] == "success"
    assert await place.post("/v1/tools/find_appointment", {"reference": "000000"}) != answer
    assert await place.post("/v1/track", {"tracking_id": "PKG004"}) == 404


async def test_a_hosted_platforms_call_that_comes_twice_cancels_once(place: Place) -> None:
    call = {"id": "call-1", "function": {"name": "cancel_appointment", "arguments": {"reference": "716350"}}}
    body = {"message": {"type": "tool-calls", "call": {"id": "phone-1"}, "toolCallList": [call]}}
    first, second = await place.post("/vapi/webhook", body), await place.post("/vapi/webhook", body)
    (result,) = first["results"]
    assert first == second and result["toolCallId"] == "call-1"
    assert json.loads(result["result"])["code"] == "CANCELLED" and "Doctor Okafor" in result["message"]["content"]
    assert place.cancellations("716350") == [("phone-1", "call-1")]


async def test_no_process_of_the_clinic_loads_the_delivery_kit(place: Place) -> None:
    imports = place.imports()
    assert "agentvoicebox_clinic.tools" in imports and "agentvoicebox_delivery" not in imports


def test_the_clinics_scenario_is_played_and_replayed_as_the_page_says(installed: Installed, tmp_path: Path) -> None:
    evals = [each for each in commands(PAGE) if "agentvoicebox eval" in each]
    assert [each.split()[3] for each in evals] == ["record", "replay"]
    for command in evals:
        done = installed.run(command.replace("/tmp/clinic", str(tmp_path)), AVB_DATA_DIR=str(tmp_path))
        assert done.returncode == 0, done.stdout + done.stderr
    assert "agentvoicebox_delivery" not in done.stdout


async def test_two_kits_answer_side_by_side(installed: Installed) -> None:
    async with serving("delivery,clinic", installed.variables) as both:
        async with talking(both, "delivery") as say:
            assert "tracking number" in await say("Where is my parcel?")
        async with talking(both, "clinic") as say:
            assert TUESDAY in await say("305917")
        assert (await both.post("/v1/tools/get_delivery_status", {"tracking_id": "PKG004"}))["code"] == "FOUND"
        assert (await both.post("/v1/tools/find_appointment", {"reference": "593061"}))["code"] == "FOUND"
        assert "agentvoicebox_clinic.tools" in both.imports() and "agentvoicebox_delivery.tool" in both.imports()


def test_an_agent_with_tools_of_two_kits_is_refused_by_name(installed: Installed, tmp_path: Path) -> None:
    (tmp_path / "mixed.toml").write_text(
        'instructions = "Do both."\ntools = ["get_delivery_status", "find_appointment"]\n'
    )
    listed = [each for each in commands(PAGE) if each.endswith("agents list")]
    assert listed == ["AVB_KITS=clinic agentvoicebox agents list"]
    assert "clinic (default)" in installed.run(listed[0]).stdout
    refused = installed.run("agentvoicebox agents list", AVB_KITS="delivery,clinic", AVB_AGENTS_DIR=str(tmp_path))
    said = " ".join((refused.stdout + refused.stderr).split())
    assert refused.returncode != 0 and "Traceback" not in said
    assert "mixed.toml: it has tools of two kits, clinic and delivery; an agent belongs to one kit" in said


async def test_without_kits_a_general_agent_answers_and_nothing_of_parcels_is_there(installed: Installed) -> None:
    async with (
        chat_server("Good ", "morning.") as model,
        serving("", installed.variables, AVB_LLM_BASE_URL=model.url, AVB_LLM_MODEL="m") as bare,
    ):
        async with talking(bare, "gpt-realtime") as say:
            assert await say("Hello?") == "Good morning."
        assert not model.asked[0].get("tools") and "helpful voice assistant" in json.dumps(model.asked[0])
        assert await bare.post("/v1/track", {"tracking_id": "PKG004"}) == 404
        tables = await _tables(bare.server.data_dir)
        assert "sessions" in tables and not [each for each in tables if "shipment" in each or "delivery" in each]
        imports = bare.imports()
        assert "agentvoicebox_delivery" not in imports and "agentvoicebox_clinic" not in imports
    printed = " ".join(bare.printed)
    assert "--model assistant" in printed and "parcel" not in printed and "delivery" not in printed
    refused = installed.run("agentvoicebox agents list", AVB_KITS="", AVB_SHIPMENTS="catalogue")
    assert refused.returncode != 0 and "AVB_SHIPMENTS: no such setting" in refused.stdout + refused.stderr


async def _tables(data_dir: Path) -> set[str]:
    postgres = EmbeddedPostgres(data_dir / "postgres", data_dir / "run")
    connection = await asyncpg.connect(postgres.url)
    try:
        return {row["tablename"] for row in await connection.fetch("SELECT tablename FROM pg_tables")}
    finally:
        await connection.close()
