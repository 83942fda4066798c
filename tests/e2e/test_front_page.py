"""What a newcomer runs first: the Python of README and of `docs/first-call.md` prints where a parcel is, and speaks."""

import asyncio
import os
import sys
import wave
from pathlib import Path

import pytest
from tests.kit.pages import Block, blocks, commands
from tests.kit.waiting import PATIENCE_S

from agentvoicebox.cli.local_server import LocalServer

pytestmark = pytest.mark.requirement("A18")

ROOT = Path(__file__).parents[2]
FIRST_CALL = ROOT / "docs" / "first-call.md"
USUAL = "http://127.0.0.1:8000/v1"


def snippets(page: Path) -> list[Block]:
    """Its Python."""
    return [block for block in blocks(page) if block.language == "python"]


async def output_of(folder: Path, *command: str) -> str:
    """What a command prints that ends well."""
    process = await asyncio.create_subprocess_exec(*command, cwd=folder, stdout=asyncio.subprocess.PIPE, env=os.environ)
    async with asyncio.timeout(PATIENCE_S):
        printed, _ = await process.communicate()
    assert process.returncode == 0
    return printed.decode()


@pytest.mark.parametrize("page", [ROOT / "README.md", FIRST_CALL], ids=lambda page: page.name)
async def test_the_first_snippet_prints_the_state_of_a_parcel(server: LocalServer, page: Path, tmp_path: Path) -> None:
    code = snippets(page)[0].text
    assert USUAL in code
    printed = await output_of(tmp_path, sys.executable, "-c", code.replace(USUAL, server.url))
    assert "out for delivery" in printed


async def test_a_question_that_the_server_spoke_is_answered_aloud(server: LocalServer, tmp_path: Path) -> None:
    (curl,) = commands(FIRST_CALL)
    (aloud,) = [block.text for block in snippets(FIRST_CALL) if block.file]
    await output_of(tmp_path, "sh", "-c", curl.replace(USUAL, server.url))
    printed = await output_of(tmp_path, sys.executable, "-c", aloud.replace(USUAL, server.url))
    assert "tracking number" in printed
    with wave.open(str(tmp_path / "answer.wav")) as answer:
        assert answer.getframerate() == 24_000 and answer.getnframes() > 24_000
