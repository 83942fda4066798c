"""The load suite against a real server: the callers' process alone, and the whole command with Locust where it is installed."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from benchmarks.load.locust_child import LOCUST
from benchmarks.load.plan import Plan
from benchmarks.load.sample import CALL, FIRST_AUDIO, LATENESS, REFUSED, SETUP, TURN, VOICE_TO_VOICE, YIELD, Sample
from benchmarks.load.speech import make_speech
from tests.kit.processes import family
from tests.kit.speech import CACHE
from tests.kit.waiting import PATIENCE_S, settled, until

from agentvoicebox.cli.local_server import LocalServer

pytestmark = pytest.mark.requirement("A16.2")

ROOT = Path(__file__).parents[2]
SPEECH = CACHE.parent / "test-speech"  # ignored by git; lines stay between runs
KINDS = ("spoken", "interrupting", "typed")
INTERRUPTED = 130

needs_locust = pytest.mark.skipif(
    not (LOCUST.parents[1] / ".installed").exists(),
    reason="needs Locust, 35 MB: `make .venv-load/.installed` installs it into an environment of its own",
)


@asynccontextmanager
async def program(*arguments: str, stdin: int | None = None) -> AsyncIterator[Process]:
    """A program in Python that has ended at the end of the block."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, cwd=ROOT, env=environment, stdin=stdin, stdout=PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def lines_of(process: Process) -> AsyncIterator[dict[str, Any]]:
    """What it writes, line by line."""
    assert process.stdout is not None
    while line := await process.stdout.readline():
        yield json.loads(line)


async def test_three_callers_of_each_kind_measure_a_real_server(server: LocalServer) -> None:
    await asyncio.to_thread(make_speech, SPEECH, cache_dir=CACHE)
    plan = Plan(
        urls=(server.url,), keys=("local",), limited_key="", model="delivery", audio="pcm", ca_file="", calls=3, ramp_s=0,
        seconds=1, pause_s=0, processes=1, python=sys.executable, speech=str(SPEECH), samples="", reply_timeout_s=PATIENCE_S,
    )  # fmt: skip
    found: dict[tuple[str, str], Sample] = {}
    async with (
        asyncio.timeout(PATIENCE_S),
        program("-m", "benchmarks.load.caller_process", stdin=PIPE) as callers,
    ):
        assert callers.stdin is not None
        orders = [{"call": number, "kind": kind, "key": "local"} for number, kind in enumerate(KINDS, start=1)]
        callers.stdin.write("\n".join([plan.as_line(), *map(json.dumps, orders), ""]).encode())
        live = set(range(1, len(KINDS) + 1))
        async for line in lines_of(callers):
            if "kind" in line:
                sample = Sample.from_line(line)
                found[sample.kind, sample.name] = sample
            elif "is_over" in line:
                live.remove(line["call"])
                if not live:
                    break
        callers.stdin.close()
        assert await callers.wait() == 0
    assert [sample for sample in found.values() if sample.fault] == []
    assert set(found) >= {
        (SETUP, "spoken"), (SETUP, "interrupting"), (SETUP, "typed"), (CALL, "spoken"), (CALL, "interrupting"), (CALL, "typed"),
        (VOICE_TO_VOICE, "question"), (VOICE_TO_VOICE, "number"), (FIRST_AUDIO, "spoken"), (FIRST_AUDIO, "typed"),
        (TURN, "question"), (TURN, "number"), (TURN, "typed"), (YIELD, "interruption"), (LATENESS, "frames"),
    }  # fmt: skip


@needs_locust
async def test_the_suite_reports_what_its_callers_measured_on_a_server_of_its_own(tmp_path: Path) -> None:
    command = ["-m", "benchmarks.load", "--engines", "scripted", "--calls", "20", "--ramp", "4", "--seconds", "15"]
    async with (
        asyncio.timeout(3 * PATIENCE_S),
        program(*command, "--out", str(tmp_path), "--fail-above", "50") as suite,
    ):
        output, _ = await suite.communicate()
    assert suite.returncode == 0
    result = json.loads(output)
    assert result == json.loads((tmp_path / "load.json").read_text())
    assert result["is_whole"] and result["has_ramped"] and result["tenants"] == 5
    assert result["spreads"][VOICE_TO_VOICE]["count"] > 0 and result["spreads"][VOICE_TO_VOICE]["p95"] > 0
    assert result["refused"]["rate_limit_exceeded"] > 0  # the tenant with too few places
    locust, ours = (tmp_path / "locust.html").read_text(), (tmp_path / "report.html").read_text()
    for kind in (VOICE_TO_VOICE, FIRST_AUDIO, TURN, SETUP, REFUSED):
        assert kind in locust and kind in ours
    assert (tmp_path / "load.png").read_bytes().startswith(b"\x89PNG")


def is_measuring(samples: Path) -> bool:
    """Whether a turn was measured."""
    return samples.exists() and f'"{TURN}"' in samples.read_text()


@needs_locust
async def test_ctrl_c_reports_what_there_is_and_leaves_no_process(server: LocalServer, tmp_path: Path) -> None:
    samples = tmp_path / "samples.jsonl"
    command = [
        "-m", "benchmarks.load", "--url", server.url, "--keys", "local,other", "--model", "delivery", "--calls", "3",
        "--ramp", "1", "--seconds", "300", "--out", str(tmp_path),
    ]  # fmt: skip
    async with asyncio.timeout(2 * PATIENCE_S), program(*command) as suite:
        await until(lambda: not is_measuring(samples), "no turn was measured")
        members = [member.pid for member in family(suite.pid)]
        suite.send_signal(signal.SIGINT)
        output, _ = await suite.communicate()
    assert suite.returncode == INTERRUPTED
    assert not json.loads(output)["is_whole"] and json.loads(output)["spreads"][TURN]["count"] > 0
    assert len(members) >= 3  # the command, Locust, a process of callers
    assert settled(lambda: [member.name for pid in members for member in family(pid)]) == []
