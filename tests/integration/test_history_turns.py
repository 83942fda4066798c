"""Turns and verdicts of sessions: written once and in order, read by their tenant alone, deleted with their session."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
import pytest
from tests.kit.history_client import (
    T0,
    batch,
    closed,
    get,
    history_client,
    item,
    opened,
    turn,
    verdict,
    walk,
)

from agentvoicebox.clock import ManualClock
from agentvoicebox.storage.conversations import Conversations
from agentvoicebox.storage.postgres import JANITOR_ROLE, Postgres, StorageRefused
from agentvoicebox.storage.records import RecordBatch, TimedBatch
from agentvoicebox.storage.retention import Retention, SweepCounts
from agentvoicebox.storage.rules import RetentionRules, RuleBook, TenantRules, Words
from agentvoicebox.storage.vault import Vault

pytestmark = pytest.mark.requirement("A10")

NAMES = [f"resp_{number:02}" for number in range(12)]
TURNS = "/realtime/sessions/sess_1/turns"
DAY_S = 86_400.0


@pytest.fixture
async def rest(postgres: Postgres) -> AsyncIterator[httpx.AsyncClient]:
    async with history_client(postgres) as client:
        yield client


async def test_pages_of_turns_are_in_the_order_of_the_call_though_batches_come_twice_and_late(
    postgres: Postgres, rest: httpx.AsyncClient
) -> None:
    write = Conversations(postgres).write
    batches = [batch(turn(name), item(f"item_{name}"), at_s=T0 + place) for place, name in enumerate(NAMES)]
    await write(batches[::-1])
    await write(batches)
    for limit in (1, 5, 12, 100):
        assert await walk(rest, TURNS, limit=limit, order="asc") == NAMES
        assert await walk(rest, TURNS, limit=limit) == NAMES[::-1]
    page = await get(rest, TURNS, limit=1)
    assert page["data"] == [
        {"id": "resp_11", "object": "agentvoicebox.turn", "phase": "done", "response_id": "resp_11", "total_ms": 1000.0}
    ]
    assert (await get(rest, "/realtime/sessions/sess_1"))["turns"] == len(NAMES)


async def test_a_session_without_turns_has_an_empty_list(postgres: Postgres, rest: httpx.AsyncClient) -> None:
    await Conversations(postgres).write([batch(opened())])
    assert (await get(rest, TURNS))["data"] == []


async def test_turns_of_a_session_of_the_same_id_at_another_tenant_are_not_seen(
    postgres: Postgres, rest: httpx.AsyncClient
) -> None:
    write = Conversations(postgres).write
    await write([batch(opened(), turn("resp_u"), verdict(), tenant="umbra")])
    assert (await rest.get(TURNS)).status_code == 404
    await write([batch(opened(), turn("resp_a"))])
    assert await walk(rest, TURNS) == ["resp_a"]
    session = await get(rest, "/realtime/sessions/sess_1")
    assert (session["turns"], session["verdict"]) == (1, None)


async def test_a_verdict_is_part_of_its_session_whichever_record_comes_first(
    postgres: Postgres, rest: httpx.AsyncClient
) -> None:
    write = Conversations(postgres).write
    counts: dict[str, Any] = {
        "claims": 3,
        "unfounded": 1,
        "due": 2,
        "reported": 2,
        "tool_calls": 4,
        "invariant_broken": None,
    }
    told = batch(verdict(**counts), at_s=T0 + 61)
    await write([told])
    await write([batch(opened()), batch(closed(), at_s=T0 + 60)])
    await write([told])
    session = await get(rest, "/realtime/sessions/sess_1")
    assert session["tool_calls"] == counts.pop("tool_calls")
    assert session["verdict"] == {"replay": "same", **counts}
    assert (await get(rest, "/realtime/sessions"))["data"] == [session]


async def test_a_verdict_adds_nothing_to_the_minutes_of_its_session(
    postgres: Postgres, rest: httpx.AsyncClient
) -> None:
    write = Conversations(postgres).write
    await write([batch(opened()), batch(closed(), at_s=T0 + 60), batch(verdict(), at_s=T0 + 600)])
    usage = await get(rest, "/usage", **{"from": "2027-01-15", "to": "2027-01-15"})
    assert (usage["total"]["sessions"], usage["total"]["connection_minutes"]) == (1, 1.0)
    assert (await get(rest, "/realtime/sessions/sess_1"))["duration_s"] == 60.0


async def test_numbers_are_stored_in_clear_where_words_are_encrypted_or_masked(
    postgres: Postgres, rest: httpx.AsyncClient
) -> None:
    rules = RuleBook(postgres, RetentionRules(), can_encrypt=True)
    rows: list[tuple[Words, str]] = [("encrypt", "sess_e"), ("mask", "sess_m")]
    for words, session in rows:
        await rules.set("acme", TenantRules(words=words))
        conversations = Conversations(postgres, rules, Vault([b"k" * 32]))
        await conversations.write([batch(opened(session), turn("resp_1"), verdict(session), session=session)])
        (told,) = (await get(rest, f"/realtime/sessions/{session}/turns"))["data"]
        assert (told["phase"], told["total_ms"]) == ("done", 1000.0)
    async with postgres.tenant_transaction("acme") as connection:
        found = await connection.fetch("SELECT agent, verdict->>'replay' AS replay FROM sessions")
    assert [(row["agent"], row["replay"]) for row in found] == [("delivery", "same")] * 2


async def test_turns_are_deleted_with_their_session_and_not_by_the_role_that_serves_callers(
    postgres: Postgres, records_url: str, manual_clock: ManualClock
) -> None:
    manual_clock.advance(T0 - manual_clock.wall_s())
    write = Conversations(postgres).write
    await write([batch(opened(name), turn("resp_1"), session=name, at_s=T0 - days * DAY_S) for name, days in
                 (("sess_old", 31), ("sess_new", 29))])  # fmt: skip
    with pytest.raises(StorageRefused):
        async with postgres.tenant_transaction("acme") as connection:
            await connection.execute("DELETE FROM turns")
    await RuleBook(postgres, RetentionRules()).own("acme")  # gives it a row
    janitor = await Postgres.open(records_url, most_connections=1, role=JANITOR_ROLE)
    swept = await Retention(janitor, RetentionRules(days=30), clock=manual_clock, rest_s=0.0).sweep()
    await janitor.close()
    assert swept == SweepCounts(sessions=1, turns=1)
    async with postgres.tenant_transaction("acme") as connection:
        left = await connection.fetch("SELECT session_id FROM turns")
    assert [row["session_id"] for row in left] == ["sess_new"]


async def test_batches_of_an_earlier_version_are_read_as_they_were(postgres: Postgres, rest: httpx.AsyncClient) -> None:
    raw = msgspec.msgpack.encode(
        {
            "tenant_id": "acme",
            "session_id": "sess_1",
            "records": [{"type": "persist", "record_id": "sess_1", "kind": "session_opened", "body": {"agent": "old"}}],
        }
    )
    await Conversations(postgres).write([TimedBatch(msgspec.msgpack.decode(raw, type=RecordBatch), T0)])
    session = await get(rest, "/realtime/sessions/sess_1")
    assert (session["agent"], session["turns"], session["verdict"]) == ("old", 0, None)
