"""The OpenAPI and AsyncAPI documents pass the checks of others: Redocly's linter, and the AsyncAPI project's own parser."""

import asyncio
import json
import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.kit.client_program import LEAST_NODE, node_version
from tests.kit.reference import asyncapi, openapi
from tests.kit.reference.pages import FOLDER

TOOLS = Path(__file__).with_name("documents")
QUIET = {"REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true"}  # and nothing is sent anywhere

pytestmark = [
    pytest.mark.requirement("A18"),
    pytest.mark.skipif(
        not (TOOLS / "node_modules" / ".package-lock.json").exists() or node_version() < LEAST_NODE,
        reason="needs Node 20 or later, and `cd tests/integration/documents && npm ci --ignore-scripts` (`make test` does it)",
    ),
]


async def run(*command: str) -> tuple[int, str]:
    """Exit status and output of a tool."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=TOOLS,
        env={**os.environ, **QUIET},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


async def lint(paths: Sequence[Path]) -> list[str]:
    """What Redocly's linter finds, errors and warnings."""
    command = ["node_modules/.bin/redocly", "lint", "--config", "redocly.yaml", "--format", "json"]
    status, output = await run(*command, *map(str, paths))
    reports = json.loads("[" + output.strip().replace("\n}{", "\n},{") + "]")  # one for each document
    assert len(reports) == len(paths)
    problems = [problem for report in reports for problem in report["problems"]]
    assert bool(status) == any(each["severity"] == "error" for each in problems)
    return [f"{each['ruleId']}: {each['message']} at {each['location'][0].get('pointer')}" for each in problems]


async def test_the_linter_finds_nothing_in_any_document() -> None:
    assert await lint([FOLDER / name for name in (*openapi.NAMES, asyncapi.FILE)]) == []


async def test_the_parser_finds_nothing_in_the_events() -> None:
    assert await run("node", "asyncapi.mjs", str(FOLDER / asyncapi.FILE)) == (0, "")


async def test_both_find_a_planted_fault(tmp_path: Path) -> None:
    document, planted = openapi.documents()[openapi.ADMIN], tmp_path / "planted.json"
    planted.write_text(openapi.as_text({name: each for name, each in document.items() if name != "servers"}))
    assert "no-empty-servers" in "".join(await lint([planted]))
    planted.write_text(openapi.as_text(asyncapi.document()).replace("schemas/TurnLedger", "schemas/Nothing"))
    status, found = await run("node", "asyncapi.mjs", str(planted))
    assert status == 1 and "schemas/Nothing" in found
