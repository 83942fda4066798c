"""History and usage over REST, from a real PostgreSQL: pages without gap or repeat, one tenant's own, and plain refusals."""

from collections.abc import AsyncIterator

import httpx
import pytest
from tests.kit.history_client import T0, batch, closed, get, history_client, item, opened, walk

from agentvoicebox.engine.effects import Persist
from agentvoicebox.storage.conversations import Conversations
from agentvoicebox.storage.postgres import Postgres

pytestmark = pytest.mark.requirement("A10")

NAMES = [f"item_{number:03}" for number in range(25)]


@pytest.fixture
async def rest(postgres: Postgres) -> AsyncIterator[httpx.AsyncClient]:
    async with history_client(postgres) as client:
        yield client


async def test_pages_of_items_have_no_gap_and_no_repeat_in_either_order(
    postgres: Postgres, rest: httpx.AsyncClient
) -> None:
    write = Conversations(postgres).write
    await write([batch(item(name), at_s=T0 + place) for place, name in enumerate(NAMES)])
    path = "/realtime/sessions/sess_1/items"
    for limit in (1, 7, 25, 100):
        assert await walk(rest, path, limit=limit, order="asc") == NAMES
        assert await walk(rest, path, limit=limit) == NAMES[::-1]


async def test_a_page_goes_on_where_the_last_one_ended_though_items_came_and_went(
    postgres: Postgres, rest: httpx.AsyncClient
) -> None:
    write, path = Conversations(postgres).write, "/realtime/sessions/sess_1/items"
    await write([batch(item(name), at_s=T0 + place) for place, name in enumerate(NAMES)])
    first = await get(rest, path, limit=5)
    await write([batch(item("later"), Persist(first["last_id"], "item_deleted", {}), at_s=T0 + 99)])
    second = await get(rest, path, limit=5, after=first["last_id"])
    assert [each["id"] for each in second["data"]] == NAMES[15:20][::-1]


async def test_items_are_told_as_the_protocol_has_them_with_what_the_server_knew(
    postgres: Postgres, rest: httpx.AsyncClient
) -> None:
    await Conversations(postgres).write([batch(item("item_1"))])
    page = await get(rest, "/realtime/sessions/sess_1/items")
    assert page["object"] == "list" and page["has_more"] is False
    assert page["data"] == [
        {
            "id": "item_1", "object": "realtime.item", "type": "message", "role": "user",
            "content": [{"type": "input_text", "text": "item_1"}],
            "response_id": None, "is_hidden": False, "sent_ms": 0, "heard_ms": None,
        }
    ]  # fmt: skip


async def test_sessions_come_newest_first_page_by_page_also_those_that_began_at_once(
    postgres: Postgres, rest: httpx.AsyncClient
) -> None:
    write = Conversations(postgres).write
    for number in range(12):
        name = f"sess_{number:02}"
        await write([batch(opened(name), session=name, at_s=T0 + number // 4)])
    names = [f"sess_{number:02}" for number in range(12)]
    assert await walk(rest, "/realtime/sessions", limit=5) == names[::-1]
    assert await walk(rest, "/realtime/sessions", limit=5, order="asc") == names
    assert len((await get(rest, "/realtime/sessions"))["data"]) == 12


async def test_a_session_tells_its_beginning_and_its_end(postgres: Postgres, rest: httpx.AsyncClient) -> None:
    write = Conversations(postgres).write
    await write([batch(closed(), at_s=T0 + 60.5)])  # the end may be recorded first
    await write([batch(opened())])
    assert await get(rest, "/realtime/sessions/sess_1") == {
        "id": "sess_1",
        "object": "realtime.session",
        "agent": "delivery",
        "model": "gpt-realtime",
        "created_at": int(T0),
        "closed_at": int(T0) + 60,
        "close": {"code": 1000, "reason": "client_left"},
        "state": "ended",
        "duration_s": 60.5,
        "turns": 0,
        "has_audio": False,
        "tool_calls": None,
        "verdict": None,
    }


async def test_a_foreign_session_and_one_that_never_was_give_the_same_answer(
    postgres: Postgres, rest: httpx.AsyncClient
) -> None:
    await Conversations(postgres).write([batch(opened("sess_u"), item("u"), tenant="umbra", session="sess_u")])
    for path in ("/realtime/sessions/{}", "/realtime/sessions/{}/items", "/realtime/sessions/{}/turns"):
        answers = [await rest.get(path.format(name)) for name in ("sess_u", "sess_x")]
        assert [answer.status_code for answer in answers] == [404, 404]
        assert answers[0].text.replace("sess_u", "sess_x") == answers[1].text
    assert answers[0].json() == {
        "error": {
            "message": "There is no session 'sess_u'.",
            "type": "invalid_request_error",
            "param": None,
            "code": "session_not_found",
        }
    }
    foreign = [await rest.get("/realtime/sessions", params={"after": name}) for name in ("sess_u", "sess_x")]
    assert [answer.status_code for answer in foreign] == [400, 400]
    assert foreign[0].text.replace("sess_u", "sess_x") == foreign[1].text
    assert (await get(rest, "/realtime/sessions"))["data"] == []


async def test_a_parameter_that_can_not_be_meant_is_named(postgres: Postgres, rest: httpx.AsyncClient) -> None:
    await Conversations(postgres).write([batch(opened(), item("a"))])
    bad = [
        ("/realtime/sessions", {"limit": "0"}, "limit"),
        ("/realtime/sessions", {"limit": "101"}, "limit"),
        ("/realtime/sessions", {"limit": "ten"}, "limit"),
        ("/realtime/sessions", {"order": "up"}, "order"),
        ("/realtime/sessions", {"after": ""}, "after"),
        ("/realtime/sessions", {"after": "sess\x00"}, "after"),
        ("/realtime/sessions/sess_1/items", {"after": "nothing"}, "after"),
        ("/realtime/sessions/sess_1/items", {"limit": "-1"}, "limit"),
        ("/realtime/sessions/sess_1/turns", {"after": "nothing"}, "after"),
        ("/realtime/sessions/sess_1/turns", {"order": "down"}, "order"),
        ("/realtime/sessions", {"state": "closed"}, "state"),
        ("/realtime/sessions", {"agent": ""}, "agent"),
        ("/realtime/sessions", {"from": "today"}, "from"),
        ("/realtime/sessions", {"from": "2026-02-02", "to": "2026-02-01"}, "from"),
        ("/realtime/sessions", {"q": " "}, "q"),
        ("/realtime/sessions", {"q": "a" * 201}, "q"),
        ("/realtime/sessions", {"q": "a b c d e f g h i"}, "q"),
        ("/realtime/sessions", {"q": "nul\x00"}, "q"),
        ("/usage", {"from": "yesterday"}, "from"),
        ("/usage", {"to": "2026-02-30"}, "to"),
        ("/usage", {"from": "2026-02-02", "to": "2026-02-01"}, "from"),
        ("/usage", {"from": "2020-01-01", "to": "2026-02-01"}, "from"),
    ]
    for path, query, param in bad:
        answer = await rest.get(path, params=query)
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, param), (path, query)


async def test_an_id_that_no_session_can_have_is_not_found(rest: httpx.AsyncClient) -> None:
    for name in ("%00", "x" * 500):
        assert (await rest.get(f"/realtime/sessions/{name}")).status_code == 404
