"""A real Prometheus and a real Alertmanager beside the whole server, during a spoken call.

Every recording rule and every panel of a dashboard has a result; a stopped worker becomes an alert that somebody is told of, and
so does its end.
"""

import json
import os
import re
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from tests.kit.client import calling
from tests.kit.client import until as until_holds
from tests.kit.monitoring import Monitoring, monitoring
from tests.kit.rules import FOLDER, PanelQuery, needs_prometheus, panel_queries, recorded
from tests.kit.waiting import PATIENCE_S, until

from agentvoicebox.cli.local_server import LocalServer
from agentvoicebox.client.caller import open_call
from agentvoicebox.client.line import SpokenLine
from agentvoicebox.ids import DEFAULT_TENANT
from agentvoicebox.realtime_client.dialing import CallOptions

pytestmark = [pytest.mark.requirement("A13"), needs_prometheus]

# Panels that are empty while nothing of their kind happens: no source of data is Sanity here, and events go nowhere.
IDLE = {
    "webhook: Requests to Sanity",
    "webhook: Requests to Sanity, p95",
    "events: Delay of events, p95",
    "events: Length of an attempt, p95",
}
# What the first call and the first requests are counted in, one of each process.
SEEN = (
    "avb_turn_seconds_count",
    "avb_message_seconds_count",
    "avb_audio_requests_total",
    "avb_webhook_messages_total",
    "avb_worker_job_seconds_count",
    "avb_records_write_seconds_count",
)
ALERT = "TargetDown"
EXPECTED = {"gateway", "webhook", "speech", "worker", "supervisor"}
ROLE, PASSWORD = "grafana_tests", "only-for-this-test"


@asynccontextmanager
async def spoken_call(server: LocalServer, line: SpokenLine) -> AsyncIterator[None]:
    """A call in which one turn was answered; it is open during the block."""
    async with open_call(CallOptions(server.url)) as call:
        turn = call.start_saying(line)
        await call.wait_until_heard(0.5)
        assert turn.first_audio_s is not None, turn.problem
        yield
        await call.hang_up()


def webhook_port(server: LocalServer) -> int:
    """The public port of the webhook server, which the system chose."""
    lines = (json.loads(line) for line in server.log.read_text(encoding="utf-8").splitlines() if line[:1] == "{")
    return int(next(each["public_port"] for each in lines if "public_port" in each))


async def use_every_door(server: LocalServer) -> None:
    """Requests of REST, speech without a call, a tool at the webhook server."""
    async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE_S) as client:
        (await client.get(f"{server.url}/models")).raise_for_status()
        speech = {"model": "tts-1", "input": "Hello.", "voice": "alloy"}
        (await client.post(f"{server.url}/audio/speech", json=speech)).raise_for_status()
        tool = f"http://127.0.0.1:{webhook_port(server)}/v1/tools/get_delivery_status"
        await client.post(tool, json={"tracking_number": "PKG002"})
        message = {"message": {"type": "status-update", "status": "ended"}}
        await client.post(f"http://127.0.0.1:{webhook_port(server)}/vapi/webhook", json=message)
    async with calling(f"{server.url.replace('http', 'ws', 1)}/realtime?model=delivery") as client:
        await client.use(instructions="Be brief.")


async def without_result(watch: Monitoring, queries: dict[str, str]) -> dict[str, str]:
    """Those of the queries that give no number."""
    return {place: text for place, text in queries.items() if not await watch.values(text)}


def metric_queries() -> dict[str, str]:
    """Every panel's query of Prometheus and every recording rule."""
    found = {f"rule {name}": name for name in recorded()}
    for query in panel_queries():
        if query.source == "prometheus" and query.place not in IDLE:
            found[f"{query.place}: {query.text}"] = query.text.replace("$__rate_interval", "1m")
    return found


def pid_of(server: LocalServer, process: str) -> int:
    (file,) = (server.data_dir / "targets").glob(f"{process}-*.json")
    return int(file.stem.rpartition("-")[2])


async def test_every_panel_and_rule_has_a_result_and_a_stopped_worker_is_told_of(
    server: LocalServer, say: Callable[[str], SpokenLine], tmp_path: Path
) -> None:
    async with monitoring(tmp_path, server.data_dir, hurried_alerts=[ALERT]) as watch:

        async def scraped() -> bool:
            found = (await watch.read("query", query='up{job="agentvoicebox"} == 1'))["result"]
            return {each["metric"]["process"] for each in found} == EXPECTED

        await until_holds(scraped)
        async with spoken_call(server, say("Where is my parcel?")):
            await use_every_door(server)

            async def is_seen() -> bool:
                return await watch.values(" and ".join(f"sum({name}) > 0" for name in SEEN)) != []

            await until_holds(is_seen)
        # Again, because what appears with its first value has not increased.
        async with spoken_call(server, say("Where is my parcel?")):
            await use_every_door(server)
            queries = metric_queries()
            assert len(queries) > 100

            async def all_have_results() -> bool:
                nonlocal queries
                queries = await without_result(watch, queries)
                return not queries

            try:
                await until_holds(all_have_results)
            except TimeoutError:
                pytest.fail(f"no result: {json.dumps(queries, indent=1)}")
        exemplars = await watch.read("query_exemplars", query="avb_turn_seconds_bucket", start="0", end="9999999999")
        assert any(len(each["labels"]["trace_id"]) == 32 for found in exemplars for each in found["exemplars"])
        assert watch.receiver.told == [], "a server without a fault is silent"
        await a_stopped_worker_is_told_of(server, watch)


async def a_stopped_worker_is_told_of(server: LocalServer, watch: Monitoring) -> None:
    """It is stopped for less than its supervisor takes to restart it."""
    pid = pid_of(server, "speech")

    def told() -> list[str]:
        return watch.receiver.states(ALERT, process="speech")

    os.kill(pid, signal.SIGSTOP)
    try:
        await until(lambda: told()[-1:] != ["firing"], "the alert did not come")
    finally:
        os.kill(pid, signal.SIGCONT)
    await until(lambda: told()[-1:] != ["resolved"], "the end of the alert did not come")


# -- the dashboards of the records ------------------------------------------------------------------------------------


def reader_statements() -> Iterator[str]:
    """`reader.sql` with psql's variables filled in."""
    script = (FOLDER / "grafana" / "reader.sql").read_text(encoding="utf-8")
    script = "\n".join(line for line in script.splitlines() if not line.startswith(("--", "\\")))
    for name, value in {"role": ROLE, "password": PASSWORD, "tenant": DEFAULT_TENANT}.items():
        script = script.replace(f':"{name}"', f'"{value}"').replace(f":'{name}'", f"'{value}'")
    assert ':"' not in script and ":'" not in script
    return (statement for statement in script.split(";") if statement.strip())


def as_grafana_sends(text: str, call: str) -> str:
    """SQL with Grafana's macros and variables filled in."""
    text = re.sub(r"\$__timeFilter\(([\w.]+)\)", r"\1 BETWEEN now() - interval '1 hour' AND now()", text)
    group = r"floor(extract(epoch FROM \1) / 60) * 60 AS \"time\"".replace('\\"', '"')
    text = re.sub(r"\$__timeGroupAlias\(([\w.]+), *\$__interval\)", group, text)
    text = text.replace("${call:sqlstring}", f"'{call}'")
    assert "$" not in text
    return text


async def test_every_panel_of_a_tenant_and_a_call_has_a_result(
    server: LocalServer, say: Callable[[str], SpokenLine]
) -> None:
    async with spoken_call(server, say("Where is my parcel?")):
        pass
    socket = str(server.data_dir / "run")
    owner = await asyncpg.connect(host=socket, user="postgres", database="agentvoicebox")
    try:
        for statement in reader_statements():
            await owner.execute(statement)
        await records_are_shown(socket)
    finally:
        await owner.execute(f"DROP OWNED BY {ROLE}")
        await owner.execute(f"DROP ROLE {ROLE}")
        await owner.close()


async def records_are_shown(socket: str) -> None:
    reader = await asyncpg.connect(host=socket, user=ROLE, password=PASSWORD, database="agentvoicebox")
    try:

        async def newest() -> str:
            query = "SELECT session_id FROM turns ORDER BY recorded_at DESC LIMIT 1"
            return str(await reader.fetchval(query) or "")

        async def is_recorded() -> bool:
            return bool(await newest())

        await until_holds(is_recorded)
        call = await newest()
        queries = [query for query in panel_queries() if query.source == "postgres"]
        assert len(queries) > 15
        empty = [query.place for query in queries if not await rows(reader, query, call)]
        assert empty == []
        for forbidden in (
            "SELECT opened FROM sessions",
            "SELECT body FROM conversation_items",
            "SELECT * FROM api_keys",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await reader.execute(forbidden)
    finally:
        await reader.close()


async def rows(reader: "asyncpg.Connection[asyncpg.Record]", query: PanelQuery, call: str) -> list[Any]:
    return list(await reader.fetch(as_grafana_sends(query.text, call)))
