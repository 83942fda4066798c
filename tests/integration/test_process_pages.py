"""The internal port of every role, on a real cluster of processes with a real call: the numbers are right, the probes are true,
the list of ports follows the processes, and what is sent to a port harms nothing.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from tests.kit.cluster import COMPACT, SCRIPTED, Cluster, cluster
from tests.kit.process_pages import ProcessPages
from tests.kit.speech import CACHE
from tests.kit.waiting import until, until_answered

from agentvoicebox import __version__
from agentvoicebox.client.caller import open_call
from agentvoicebox.client.caller_voice import speak_lines
from agentvoicebox.client.line import SpokenLine
from agentvoicebox.realtime_client.dialing import CallOptions
from agentvoicebox.telemetry.trace_ids import trace_id_of

pytestmark = pytest.mark.requirement("A13", "B3.1-3.3")

ROLES = {
    "gateway": {"gateway"},
    "webhook": {"webhook"},
    "speech": {"stt", "tts"},
    "worker": {"llm", "tool", "recorder", "janitor", "events"},
}
OPENMETRICS = "application/openmetrics-text; version=1.0.0"
HOSTILE = (
    b"\x00\xff" * 2_000,
    b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99999999\r\n\r\n",
    b"POST /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\n\r\nwords",
    b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\n\r\n",
    b"GET /metrics HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: " + b"text/plain;q=x," * 500 + b"\r\n\r\n",
    b"GET /readyz HTTP/1.1\r\n",  # and nothing more
    b"GET /../../etc/passwd HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
)


async def test_every_role_tells_the_truth_about_itself(tmp_path: Path) -> None:
    (line,) = await asyncio.to_thread(speak_lines, ["Where is my parcel?"], cache_dir=CACHE)
    pages = ProcessPages(tmp_path / "data" / "targets")
    async with cluster(tmp_path, gateways=1, workers=COMPACT, copies=1, settings=SCRIPTED) as made:
        assert set(pages.listed()) == {*ROLES, "supervisor"}
        session_id, turns = await call(made, line)
        async with httpx.AsyncClient() as http:
            assert (await http.get(f"{made.url}/sessions/sess_unknown")).status_code == 404
            assert (await http.get(f"{made.url}/no/such/thing")).status_code == 404
        await numbers_are_right(pages, turns)
        await exemplars_name_the_call(pages, session_id)
        await supervisors_know_their_children(pages)
        await probes_are_there(pages)
        await hostile_bytes_harm_nothing(pages)
        await a_killed_process_is_unlisted_and_its_successor_listed(made, pages)
        await call(made, line)
        await a_hung_store_makes_all_that_need_it_unready(made, pages)
    assert pages.listed() == {}


async def call(made: Cluster, line: SpokenLine) -> tuple[str, int]:
    """A spoken line, another that interrupts its answer, and a typed one that needs a tool; the session's id, and the count."""
    async with open_call(CallOptions(base_url=made.url, resumes=False)) as live:
        live.start_saying(line)
        await live.wait_until_heard(0.3)
        await live.say(line)
        await live.type("Where is parcel PKG002?")
        record = live.record()
    assert not record.problems
    assert [turn.problem for turn in record.turns[1:]] == ["", ""]
    assert record.turns[-1].tool_calls or record.turns[-1].replied
    return record.session_id, len(record.turns)


async def numbers_are_right(pages: ProcessPages, turns: int) -> None:
    async def different() -> dict[str, tuple[float, float]]:
        """Jobs done, by gateway and worker: both have seen the same ones, but the worker counts a moment later."""
        gateway, found = await pages.values("gateway"), {}
        for kind, process in {"stt": "speech", "tts": "speech", "llm": "worker", "tool": "worker"}.items():
            worker = await pages.values(process)
            seen = gateway[f'avb_jobs_total{{kind="{kind}",outcome="done"}}']
            own = worker[f'avb_worker_jobs_total{{kind="{kind}",outcome="done"}}']
            if not seen or seen != own or worker[f'avb_worker_busy_slots{{kind="{kind}"}}']:
                found[kind] = (seen, own)
        return found

    await until_answered(different, "workers and gateway count the same jobs")
    gateway, speech = [await pages.values(name) for name in ("gateway", "speech")]
    assert gateway["avb_turn_seconds_count"] == turns
    assert gateway["avb_interruptions_total"] == 1
    assert gateway["avb_connections"] == 0
    assert gateway['avb_requests_total{route="/v1/sessions/{session_id}",status="4xx"}'] == 1
    assert gateway['avb_requests_total{route="other",status="4xx"}'] == 1
    assert gateway['avb_breaker_open{name="limits_in_the_store"}'] == 0
    assert gateway['avb_queue_depth{kind="stt"}'] == 0
    assert speech['avb_breaker_open{name="scripted"}'] == 0
    for kind, page in (("stt", speech), ("tts", speech)):
        done = page[f'avb_worker_jobs_total{{kind="{kind}",outcome="done"}}']
        assert done >= 1
        assert page[f'avb_engine_run_seconds_count{{kind="{kind}"}}'] >= done
        assert page[f'avb_worker_job_seconds_sum{{kind="{kind}"}}'] == pytest.approx(
            page[f'avb_worker_busy_seconds_total{{kind="{kind}"}}'], abs=0.05
        )
        assert page[f'avb_engine_waiting{{kind="{kind}"}}'] == 0
        assert page[f'avb_dead_letters_total{{kind="{kind}"}}'] == 0
    # A caller speaks for more than a second, and the job of the utterance lasts as long.
    assert speech['avb_worker_busy_seconds_total{kind="stt"}'] > 1

    async def unrecorded() -> bool:
        worker = await pages.values("worker")
        return bool(
            worker['avb_records_written_total{table="turns"}'] != turns
            or worker["avb_records_waiting"]
            or not worker['avb_janitor_runs_total{result="done"}']
        )

    await until_answered(unrecorded, "all turns are written")
    worker = await pages.values("worker")
    assert worker['avb_records_written_total{table="responses"}'] >= turns
    assert worker["avb_records_refused_total"] == 0
    assert worker["avb_janitor_sessions_ended_total"] == 0
    for process, roles in ROLES.items():
        page = await pages.values(process)
        assert {f'avb_info{{role="{role}",version="{__version__}"}}' for role in roles} <= set(page)
        assert page["avb_loop_lag_seconds_count"] > 0
        assert page["process_resident_memory_bytes"] > 1e7
        assert not [name for name in page if "_created" in name]


async def exemplars_name_the_call(pages: ProcessPages, session_id: str) -> None:
    for process, metric in (("gateway", "avb_turn_seconds"), ("speech", "avb_worker_job_seconds")):
        answer = await pages.get(pages.address(process), "/metrics", OPENMETRICS)
        assert answer.headers["content-type"].startswith("application/openmetrics-text")
        assert list(openmetrics(answer.text))  # type: ignore[no-untyped-call]  # a strict parser takes all of it
        named = [line for line in answer.text.splitlines() if line.startswith(metric) and "trace_id" in line]
        assert named
        assert all(f'trace_id="{trace_id_of(session_id)}"' in line for line in named)


async def supervisors_know_their_children(pages: ProcessPages) -> None:
    found: dict[str, float] = {}
    for address in pages.listed()["supervisor"]:
        text = (await pages.get(address, "/metrics")).text
        lines = [line for line in text.splitlines() if line.startswith("avb_child_")]
        found |= {name: float(value) for name, value in (line.split(" ") for line in lines)}
    assert found == {
        f'avb_child_{what}{{child="{child}"}}': value
        for child in ROLES
        for what, value in (("up", 1.0), ("restarts_total", 0.0))
    }


async def probes_are_there(pages: ProcessPages) -> None:
    for process, addresses in pages.listed().items():
        for address in addresses:
            answers = [await pages.get(address, path) for path in ("/health", "/healthz", "/ready", "/readyz")]
            assert [answer.status_code for answer in answers] == [200] * 4, process
            assert [answer.json()["status"] for answer in answers] == ["ok", "ok", "ready", "ready"], process
            unknown = await pages.get(address, "/nothing")
            assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "unknown_url")


async def hostile_bytes_harm_nothing(pages: ProcessPages) -> None:
    addresses = [address for each in pages.listed().values() for address in each]
    async with contextlib.AsyncExitStack() as stack:
        for address in addresses:
            for sent in HOSTILE:
                await stack.enter_async_context(left_open(address, sent))
        for address in addresses:
            assert (await pages.get(address, "/healthz")).status_code == 200
            assert b"avb_info" in (await pages.get(address, "/metrics")).content


@asynccontextmanager
async def left_open(address: str, sent: bytes) -> AsyncIterator[None]:
    """A connection that has sent this and is neither read nor closed for the duration of the block."""
    host, _, port = address.rpartition(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(sent)
    try:
        yield
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def a_killed_process_is_unlisted_and_its_successor_listed(made: Cluster, pages: ProcessPages) -> None:
    (node,) = made.of("stt")
    before = pages.address("speech")
    await node.kill("stt")
    await until(lambda: before in pages.listed().get("speech", []), "the dead one is listed")
    await node.is_back("stt")
    assert len(pages.listed()["speech"]) == 1
    assert (await pages.readiness("speech"))[0] == 200
    assert (await pages.values("speech"))['avb_worker_jobs_total{kind="stt",outcome="done"}'] == 0
    texts = [(await pages.get(address, "/metrics")).text for address in pages.listed()["supervisor"]]
    assert any('avb_child_restarts_total{child="speech"} 1.0' in text for text in texts)


async def a_hung_store_makes_all_that_need_it_unready(made: Cluster, pages: ProcessPages) -> None:
    process = made.valkey.server.process
    assert process is not None
    os.kill(process.pid, signal.SIGSTOP)
    try:
        for name in ("speech", "worker", "gateway"):
            status, body = await pages.readiness(name)
            assert (status, body["dependencies"]["store"]["status"]) == (503, "down"), name
            assert (await pages.get(pages.address(name), "/healthz")).status_code == 200
        assert (await pages.readiness("webhook"))[0] == 200  # it does without
    finally:
        os.kill(process.pid, signal.SIGCONT)

    async def unready() -> list[str]:
        return [name for name in ROLES if (await pages.readiness(name))[0] != 200]

    await until_answered(unready, "all are ready again")
