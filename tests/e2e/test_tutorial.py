"""`docs/tutorial.md` is followed to the letter: its files are written, its commands run, its answers come.

The page's language model is a scripted server that says what the page shows. Ports are free ones in place of the page's.
"""

import asyncio
import json
import os
import shlex
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.kit.client import until
from tests.kit.pages import Block, blocks
from tests.kit.rule_model import Rule, RuleModel, rule_model
from tests.kit.speech import share_test_models

from agentvoicebox.cli.local_server import LocalServer, free_port, local_server

pytestmark = pytest.mark.requirement("A18", "C9")

PAGE = Path(__file__).parents[2] / "docs" / "tutorial.md"
TOOL_PORT = "9000"
PATIENCE_S = 120.0


@dataclass
class Reader:
    """Somebody who follows the page.

    Attributes:
        folder: where the commands run.
        model: what stands in for Ollama.
        ports: the page's ports, and those in their place.
        printed: the output of each command that has ended.
    """

    folder: Path
    model: RuleModel
    stack: AsyncExitStack
    ports: dict[str, str] = field(default_factory=lambda: {TOOL_PORT: str(free_port())})
    printed: list[str] = field(default_factory=list)
    server: LocalServer | None = None

    def here(self, text: str) -> str:
        """The text with the ports of this machine."""
        for ours, free in self.ports.items():
            text = text.replace(f":{ours}", f":{free}").replace(f'"127.0.0.1", {ours}', f'"127.0.0.1", {free}')
        return text

    def write(self, block: Block) -> None:
        (self.folder / block.file).write_text(self.here(block.text), encoding="utf-8")

    async def start(self, command: str) -> None:
        """A command with a terminal of its own: it goes on until the end."""
        *given, program, what = shlex.split(command)
        if (program, what) == ("agentvoicebox", "serve"):
            await self._serve(dict(each.split("=", 1) for each in given))
            return
        process = await asyncio.create_subprocess_shell(f"exec {command}", cwd=self.folder, env=environment())
        self.stack.push_async_callback(process.wait)
        self.stack.callback(process.kill)
        await until(self._tool_answers)

    async def _serve(self, settings: dict[str, str]) -> None:
        settings["AVB_AGENTS_DIR"] = str(self.folder / settings["AVB_AGENTS_DIR"])
        settings["AVB_LLM_BASE_URL"] = self.model.url
        data = Path(self.stack.enter_context(tempfile.TemporaryDirectory(prefix="avb-tutorial-")))
        share_test_models(data)
        self.server = await self.stack.enter_async_context(local_server(data, settings=settings))
        for page, url in (("8000", self.server.root_url), ("8003", self.server.internal_url)):
            self.ports[page] = url.rpartition(":")[2]

    async def _tool_answers(self) -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", int(self.ports[TOOL_PORT]))
        except OSError:
            return False
        writer.close()
        await writer.wait_closed()
        return True

    async def run(self, command: str) -> None:
        command = self.here(command)
        if command.startswith("agentvoicebox call") and self.server is not None:
            command += f" --url {self.server.url}"
        process = await asyncio.create_subprocess_shell(
            command,
            cwd=self.folder,
            env=environment(),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        async with asyncio.timeout(PATIENCE_S):
            output, _ = await process.communicate()
        self.printed.append(output.decode())
        assert process.returncode == 0, f"{command}\n{self.printed[-1]}"


def environment() -> dict[str, str]:
    """Where `agentvoicebox` and `python` are those of the tests."""
    return {**os.environ, "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])}


def agent_lines(shown: str) -> list[str]:
    """What the agent says in a transcript of the page."""
    return [line.split(maxsplit=1)[1] for line in shown.splitlines() if line.split()[0] == "agent"]


def rules() -> list[Rule]:
    """A language model that looks tickets up, and words its answers as the page does."""
    question, answer = agent_lines(next(block.text for block in blocks(PAGE) if "What is" in block.text))
    return [
        Rule("found", answer, role="tool"),
        Rule(r"4\W?7\W?1\W?1|four seven one one", calls=("repair_status", {"ticket": "4711"})),
        Rule("", question),
    ]


@asynccontextmanager
async def reading() -> AsyncIterator[Reader]:
    async with rule_model(rules()) as model, AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="avb-reader-")))
        yield Reader(folder, model, stack)


async def test_the_tutorial_works_as_it_is_written() -> None:
    async with reading() as reader:
        first, *rest = blocks(PAGE)
        await reader.run(first.text.strip())
        reader.folder /= "workshop"
        for block in rest:
            match block:
                case Block("sh", ""):
                    for command in block.text.splitlines():
                        await reader.run(command)
                case Block("sh", _):
                    await reader.start(block.text.strip())
                case Block("json", ""):
                    assert json.loads(reader.printed[-1]) == json.loads(block.text)
                case Block("text", ""):
                    check(reader.printed[-1], block.text)
                case _:
                    reader.write(block)
        assert all((reader.folder / name).stat().st_size > 1_000 for name in ("call.wav", "call.svg"))
    assert "workshop" in reader.printed[1] and "avb_turn_seconds_count" in reader.printed[-1]
    assert any("you can collect it until six" in str(prompt) for prompt in reader.model.prompts), "no tool was asked"


def check(printed: str, shown: str) -> None:
    """The agent's lines of a transcript, or a whole output, came as the page shows them."""
    said = " ".join(printed.split())
    for line in agent_lines(shown) or [shown]:
        assert " ".join(line.split()) in said, printed
