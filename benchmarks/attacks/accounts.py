"""What one tenant gets that belongs to others: their lines, their calls, their space in the logs."""

import asyncio
import contextlib
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
from benchmarks.attacks.attack import MIB, Observations, check
from benchmarks.attacks.connection import source
from benchmarks.attacks.neighbour import SERVER_IS_GONE, newcomer
from benchmarks.attacks.server import ATTACKER, IDLE_S, AttackedServer
from benchmarks.attacks.target import Target, bearer
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

LINES = 30  # more than the default of AVB_MAX_CALLS
WAIT_S = 5.0
WRONG_KEYS = 2_000
MOST_ROWS = 100
WRONG_SECRETS = 300
SOURCE_LIMIT = 100  # the default of AVB_WEBHOOK_SOURCE_LIMIT
RECORDED_S = 40.0


async def _mint(target: Target) -> str:
    """An ephemeral secret of the attacker's tenant."""
    async with httpx.AsyncClient(base_url=target.rest, headers=bearer(target.acme_key)) as http:
        return str((await http.post("/v1/realtime/client_secrets", json={})).json()["value"])


@asynccontextmanager
async def _call(target: Target, key: str, number: int, more: str = "") -> AsyncIterator[tuple[ClientConnection, Any]]:
    """An open call and its first event."""
    async with connect(
        target.realtime + more,
        additional_headers=bearer(key),
        local_addr=(source(number), 0),
        compression=None,
        max_size=None,
        close_timeout=1,
    ) as ws:
        async with asyncio.timeout(WAIT_S):
            first = json.loads(await ws.recv())
        yield ws, first


async def _answer(target: Target, key: str, number: int, more: str) -> dict[str, Any]:
    """The first event of a connection; an error also where the server refuses before it agrees to a WebSocket."""
    try:
        async with _call(target, key, number, more) as (_, first):
            return dict(first)
    except InvalidStatus as refused:
        return {"type": "error", "error": {"code": f"status {refused.response.status_code}"}}


async def _take_lines(server: AttackedServer, observed: Observations, key: str) -> None:
    """Open idle calls until the server refuses; another tenant still gets one."""
    async with AsyncExitStack() as stack:
        taken = 0
        for number in range(LINES):
            with contextlib.suppress(*SERVER_IS_GONE):
                _, first = await stack.enter_async_context(_call(server.target, key, number))
                taken += first["type"] == "session.created"
        observed.figures["lines taken"] = taken
        answer = await newcomer(server.target, server.target.rival_key)
        observed.expect(answer == "served", f"the other tenant's call: {answer}")


@check("8", holds="another tenant still gets a line")
async def lines_by_one_secret(server: AttackedServer, observed: Observations) -> None:
    """One ephemeral secret opens 30 calls that say nothing."""
    await _take_lines(server, observed, await _mint(server.target))


@check("8", holds="another tenant still gets a line")
async def lines_by_one_key(server: AttackedServer, observed: Observations) -> None:
    """One stored key opens 30 calls that say nothing."""
    await _take_lines(server, observed, server.target.acme_key)


@check("8", holds="a call that says nothing is closed after AVB_IDLE_S", server="idle")
async def idle_calls(server: AttackedServer, observed: Observations) -> None:
    """Calls that never send anything stay."""
    async with _call(server.target, server.target.acme_key, 0) as (ws, _):
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        try:
            async with asyncio.timeout(2 * IDLE_S):
                await ws.wait_closed()
            observed.figures["closed after s"] = round(loop.time() - began_s, 1)
        except TimeoutError:
            observed.problems.append(f"open after {2 * IDLE_S:.0f} s")


@check("10", holds="an error for each, or the item is in the history")
async def ids_in_the_history(server: AttackedServer, observed: Observations) -> None:
    """Items whose ids have 1 MiB or a zero byte are acknowledged and missing in the history."""
    target = server.target
    content = [{"type": "input_text", "text": "hi"}]
    acknowledged: list[str] = []
    async with _call(target, target.acme_key, 0) as (ws, first):
        for item_id in ("i" * MIB, "a\0b", "item_good", "../x", "\ud7ff\u2028"):
            item = {"id": item_id, "type": "message", "role": "user", "content": content}
            await ws.send(json.dumps({"type": "conversation.item.create", "item": item}))
        await ws.send(json.dumps({"type": "session.update", "session": {"type": "realtime"}}))
        while (event := json.loads(await ws.recv()))["type"] != "session.updated":
            if event["type"] == "conversation.item.done":
                acknowledged.append(event["item"]["id"])
    observed.figures["acknowledged"] = len(acknowledged)
    path = f"/v1/realtime/sessions/{first['session']['id']}/items"
    async with httpx.AsyncClient(base_url=target.rest, headers=bearer(target.acme_key)) as http:
        missing = set(acknowledged)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(RECORDED_S):
                while missing:
                    answer = await http.get(path)
                    # Only what PostgreSQL has counts: an item may still wait for it, and be refused by it.
                    async with server.database() as database:
                        rows = await database.fetch("SELECT item_id FROM conversation_items")
                    missing = set(acknowledged) - {row["item_id"] for row in rows}
                    await asyncio.sleep(0.5)
        observed.expect(answer.status_code == 200, f"the history answers {answer.status_code}")
    observed.expect("item_good" in acknowledged, "an ordinary id is refused")
    for each in missing:
        observed.problems.append(f"acknowledged, and not recorded: id of {len(each)} characters, {each[:8]!r}")


@check("11", holds="the second browser is refused, and the first one's call goes on")
async def take_over_with_another_secret(server: AttackedServer, observed: Observations) -> None:
    """A browser with a secret of its own resumes the call of another browser whose session id it knows."""
    target = server.target
    first_secret, second_secret = await _mint(target), await _mint(target)
    async with _call(target, first_secret, 0, "&resume=1") as (ws, first):
        query = f"&resume=1&session_id={first['session']['id']}"
        event = await _answer(target, second_secret, 1, query)
        observed.figures["answer"] = str((event.get("error") or {}).get("code") or event["type"])
        observed.expect(event["type"] == "error", f"the second browser gets {event['type']}")
        try:
            await ws.send(json.dumps({"type": "session.update", "session": {"type": "realtime"}}))
            while json.loads(await ws.recv())["type"] != "session.updated":
                pass
        except ConnectionClosed as closed:
            observed.problems.append(f"the first browser's call is closed: {closed}")


@check("12", holds="at most 100 rows", spoils=True)
async def rows_of_the_audit_log(server: AttackedServer, observed: Observations) -> None:
    """2,000 requests with wrong keys from one address are rows of the audit log."""

    async def rows() -> int:
        async with server.database() as database:
            return int(await database.fetchval("SELECT count(*) FROM audit_logs"))

    before = await rows()
    statuses = await _wrong_keys(server.target, WRONG_KEYS, forwarded=False, number=9)
    observed.figures |= {f"status {status}": count for status, count in statuses.items()}
    settled, written = -1, 0
    while written != settled:
        settled = written
        await asyncio.sleep(2.0)
        written = await rows() - before
    observed.figures["rows"] = written
    observed.expect(written <= MOST_ROWS, f"{written} rows")
    observed.expect(set(statuses) <= {401, 429}, f"answers: {sorted(statuses)}")


async def _wrong_keys(target: Target, count: int, *, forwarded: bool, number: int | None) -> dict[int, int]:
    """Ask with wrong keys from one address (None: 127.0.0.1, which proxies of this machine have); answers by status."""
    statuses: dict[int, int] = {}
    transport = httpx.AsyncHTTPTransport(local_address="127.0.0.1" if number is None else source(number))
    async with httpx.AsyncClient(base_url=target.rest, transport=transport, timeout=30) as http:
        for each in range(count):
            headers = bearer(secrets.token_hex(8))
            if forwarded:
                headers["X-Forwarded-For"] = f"203.0.{each // 250}.{each % 250}"
            status = (await http.get("/v1/models", headers=headers)).status_code
            statuses[status] = statuses.get(status, 0) + 1
    return statuses


@check("13", holds="429 after 100 wrong secrets, whatever the header says", spoils=True)
async def forwarded_for_at_the_webhook(server: AttackedServer, observed: Observations) -> None:
    """Wrong secrets at the webhook server, each with another X-Forwarded-For, from the address of a local proxy."""
    statuses: dict[int, int] = {}
    url = f"http://{server.target.host}:{server.target.webhook_port}"
    async with httpx.AsyncClient(base_url=url) as http:
        for each in range(WRONG_SECRETS):
            headers = {"X-Vapi-Secret": "wrong", "X-Forwarded-For": f"203.0.113.{each % 250}"}
            status = (await http.post("/vapi/webhook", headers=headers, json={"message": {}})).status_code
            statuses[status] = statuses.get(status, 0) + 1
    observed.figures |= {f"status {status}": count for status, count in statuses.items()}
    observed.expect(statuses.get(401, 0) <= SOURCE_LIMIT, f"{statuses.get(401, 0)} of {WRONG_SECRETS} were checked")


@check("13", holds="429 at some point, whatever the header says", spoils=True)
async def forwarded_for_at_the_gateway(server: AttackedServer, observed: Observations) -> None:
    """2,000 wrong keys at the gateway, each with another X-Forwarded-For, from the address of a local proxy."""
    statuses = await _wrong_keys(server.target, WRONG_KEYS, forwarded=True, number=None)
    observed.figures |= {f"status {status}": count for status, count in statuses.items()}
    observed.expect(429 in statuses, "no source is ever refused")


@check("own", holds="the other tenant's sessions are not found, with the words for absent ones")
async def sessions_of_others(server: AttackedServer, observed: Observations) -> None:
    """A tenant asks for another's live session by its id: REST, items, resume, and as a cursor."""
    target = server.target
    absent = f"sess_{secrets.token_hex(10)}"
    async with _call(target, target.rival_key, 0) as (_, first):
        theirs = first["session"]["id"]
        async with httpx.AsyncClient(base_url=target.rest, headers=bearer(target.acme_key)) as http:
            for path in ("/v1/realtime/sessions/{}", "/v1/realtime/sessions/{}/items", "/v1/sessions/{}"):
                answers = [await http.get(path.format(each)) for each in (theirs, absent)]
                same = [answer.text.replace(theirs, "ID").replace(absent, "ID") for answer in answers]
                observed.expect(answers[0].status_code == 404 and same[0] == same[1], f"{path}: {same[0][:80]}")
        event = await _answer(target, target.acme_key, 1, f"&resume=1&session_id={theirs}")
        code = (event.get("error") or {}).get("code")
        observed.expect(code == "session_not_found", f"resume: {code or event['type']}")
    observed.figures["tenant"] = ATTACKER
