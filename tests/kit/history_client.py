"""Records as a recorder writes them, and a client of the history's REST routes over one database."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from fastapi import FastAPI, Request

from agentvoicebox.clock import Clock
from agentvoicebox.engine.effects import Persist
from agentvoicebox.gateway.http.history import history_routes
from agentvoicebox.storage.call_audio import CallAudioReader
from agentvoicebox.storage.history import History
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.storage.records import RecordBatch, TimedBatch
from agentvoicebox.storage.usage import UsageReader
from agentvoicebox.storage.vault import Vault
from agentvoicebox.tenancy.principal import Principal
from tests.kit.client import until
from tests.kit.described_answers import described_answers

T0 = 1_800_000_000.0  # 2027-01-15


def batch(
    *records: Persist, at_s: float = T0, tenant: str = "acme", session: str = "sess_1", audio_in_ms: int = 0
) -> TimedBatch:
    """Records of a session, submitted together."""
    return TimedBatch(RecordBatch(tenant, session, "", records, audio_in_ms), at_s)


def item(item_id: str, text: str = "") -> Persist:
    """What a caller typed."""
    part = {"type": "input_text", "text": text or item_id}
    body: dict[str, object] = {
        "item": {"type": "message", "id": item_id, "role": "user", "content": [part]},
        "response_id": None, "transcript": None, "is_hidden": False, "sent_ms": 0, "heard_ms": None,
    }  # fmt: skip
    return Persist(item_id, "item", body)


def opened(session: str = "sess_1", agent: str = "delivery") -> Persist:
    """The beginning of a session."""
    return Persist(session, "session_opened", {"agent": agent, "model": "gpt-realtime", "opened_s": T0})


def closed(session: str = "sess_1") -> Persist:
    """The end of a session."""
    return Persist(session, "session_closed", {"code": 1000, "reason": "client_left"})


def turn(response_id: str, total_ms: float = 1000.0) -> Persist:
    """The ledger of an answered turn."""
    return Persist(response_id, "turn", {"phase": "done", "response_id": response_id, "total_ms": total_ms})


def verdict(session: str = "sess_1", **fields: Any) -> Persist:
    """What the replay of a session showed."""
    return Persist(session, "session_verdict", {"replay": "same", **fields})


@asynccontextmanager
async def history_client(
    postgres: Postgres,
    *,
    vault: Vault | None = None,
    audio: CallAudioReader | None = None,
    clock: Clock | None = None,
) -> AsyncIterator[httpx.AsyncClient]:
    """Asks as the tenant that the header `tenant` names; by default acme."""

    async def admit(request: Request) -> Principal:
        return Principal(request.headers["tenant"], "key_1")

    app = FastAPI()
    app.include_router(history_routes(History(postgres, vault, clock=clock), UsageReader(postgres), admit, audio))
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://gateway/v1", headers={"tenant": "acme"}, event_hooks=described_answers()
    ) as client:
        yield client


async def get(rest: httpx.AsyncClient, path: str, **query: Any) -> dict[str, Any]:
    """The body of a good answer."""
    answer = await rest.get(path, params=query)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def until_closed(rest: httpx.AsyncClient, session_id: str) -> None:
    """Wait until the end of a session is recorded."""

    async def is_closed() -> bool:
        answer = await rest.get(f"/realtime/sessions/{session_id}")
        return answer.status_code == 200 and answer.json()["closed_at"] is not None

    await until(is_closed)


async def walk(rest: httpx.AsyncClient, path: str, **query: Any) -> list[str]:
    """Every id, page after page, as a client's iterator reads them."""
    found: list[str] = []
    while True:
        page = await get(rest, path, **query)
        ids = [each["id"] for each in page["data"]]
        assert (page["first_id"], page["last_id"]) == ((ids[0], ids[-1]) if ids else (None, None))
        assert not set(ids) & set(found), "a page repeats another"
        found += ids
        if not page["has_more"]:
            return found
        query["after"] = page["last_id"]
