"""Sessions found by agent, state, day, id and words: each tenant's own, page by page, within a bounded time."""

from collections.abc import AsyncIterator

import httpx
import pytest
from tests.kit.history_client import batch, closed, history_client, item, opened, walk

from agentvoicebox.clock import ManualClock
from agentvoicebox.engine.effects import Persist
from agentvoicebox.storage import history, session_filter
from agentvoicebox.storage.conversations import Conversations
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.storage.rules import RetentionRules, RuleBook, TenantRules
from agentvoicebox.storage.vault import Vault

pytestmark = pytest.mark.requirement("A10")

SESSIONS = "/realtime/sessions"
DAY_S, HOUR_S = 86_400.0, 3_600.0
NOON_S = 1_800_014_400.0  # 2027-01-15, noon UTC


@pytest.fixture
async def rest(postgres: Postgres, manual_clock: ManualClock) -> AsyncIterator[httpx.AsyncClient]:
    manual_clock.advance(NOON_S - manual_clock.wall_s())
    async with history_client(postgres, clock=manual_clock) as client:
        yield client


async def store(
    postgres: Postgres, name: str, *records: Persist, agent: str = "delivery", age_s: float = 0.0, tenant: str = "acme"
) -> None:
    await Conversations(postgres).write(
        [batch(opened(name, agent), *records, session=name, at_s=NOON_S - age_s, tenant=tenant)]
    )


async def test_sessions_are_found_by_their_agent_page_by_page(postgres: Postgres, rest: httpx.AsyncClient) -> None:
    for number in range(9):
        await store(postgres, f"sess_{number}", agent=("delivery", "clinic", "shop")[number % 3], age_s=number)
    assert await walk(rest, SESSIONS, agent="clinic", limit=1) == ["sess_1", "sess_4", "sess_7"]
    assert await walk(rest, SESSIONS, agent="clinic", order="asc", limit=2) == ["sess_7", "sess_4", "sess_1"]
    assert await walk(rest, SESSIONS, agent="nobody") == []


async def test_sessions_of_an_earlier_version_are_found_by_their_agent(
    postgres: Postgres, rest: httpx.AsyncClient
) -> None:
    await store(postgres, "sess_1", agent="clinic")
    async with postgres.tenant_transaction("acme") as connection:
        await connection.execute("UPDATE sessions SET agent = ''")
    assert await walk(rest, SESSIONS, agent="clinic") == ["sess_1"]


async def test_a_session_is_open_until_its_end_or_until_it_is_older_than_a_session_can_be(
    postgres: Postgres, rest: httpx.AsyncClient
) -> None:
    await store(postgres, "sess_open", age_s=10)
    await store(postgres, "sess_ended", closed("sess_ended"), age_s=20)
    await store(postgres, "sess_lost", age_s=2 * HOUR_S)
    assert await walk(rest, SESSIONS, state="open") == ["sess_open"]
    assert await walk(rest, SESSIONS, state="ended") == ["sess_ended", "sess_lost"]
    states = {each["id"]: each["state"] for each in (await rest.get(SESSIONS)).json()["data"]}
    assert states == {"sess_open": "open", "sess_ended": "ended", "sess_lost": "ended"}


async def test_days_are_days_of_utc_and_both_are_included(postgres: Postgres, rest: httpx.AsyncClient) -> None:
    for day in range(12, 17):
        await store(postgres, f"sess_{day}", age_s=(15 - day) * DAY_S)
    await store(postgres, "sess_midnight", age_s=-12 * HOUR_S)  # the first moment of the 16th
    assert await walk(rest, SESSIONS, **{"from": "2027-01-13", "to": "2027-01-15"}, limit=1) == [
        "sess_15", "sess_14", "sess_13",
    ]  # fmt: skip
    assert await walk(rest, SESSIONS, **{"from": "2027-01-16"}, order="asc") == ["sess_midnight", "sess_16"]
    assert await walk(rest, SESSIONS, to="9999-12-31", limit=4) != []


async def test_sessions_are_found_by_the_beginning_of_their_id(postgres: Postgres, rest: httpx.AsyncClient) -> None:
    for name in ("sess_aa1", "sess_aa2", "sess_ab1", "sess_%"):
        await store(postgres, name)
    assert sorted(await walk(rest, SESSIONS, q="sess_aa", limit=1)) == ["sess_aa1", "sess_aa2"]
    assert await walk(rest, SESSIONS, q="sess_%") == ["sess_%"]  # no pattern


async def test_sessions_are_found_by_words_that_are_all_in_one_item(
    postgres: Postgres, rest: httpx.AsyncClient
) -> None:
    await store(postgres, "sess_1", item("a", "Where is my PARCEL?"), item("b", "It is blue."))
    heard: dict[str, object] = {
        "item": {"content": [{"type": "output_audio", "transcript": "Your parcel is 100% here"}]}
    }
    await store(postgres, "sess_2", Persist("a", "item", heard), age_s=1)
    tool: dict[str, object] = {"item": {"type": "function_call", "arguments": '{"tracking_id":"PKG004"}'}}
    await store(postgres, "sess_3", Persist("a", "item", tool), age_s=2)
    await store(postgres, "sess_4", Persist("a", "item", {"item": {}, "transcript": "Zürich, please"}), age_s=3)
    assert await walk(rest, SESSIONS, q="parcel", limit=1) == ["sess_1", "sess_2"]
    assert await walk(rest, SESSIONS, q="parcel where") == ["sess_1"]
    assert await walk(rest, SESSIONS, q="parcel blue") == []  # in two items
    assert await walk(rest, SESSIONS, q="100%") == ["sess_2"]
    assert await walk(rest, SESSIONS, q="1_0%") == []
    assert await walk(rest, SESSIONS, q="pkg004") == ["sess_3"]
    assert await walk(rest, SESSIONS, q="zürich") == ["sess_4"]
    assert await walk(rest, SESSIONS, q="parcel", agent="clinic") == []


async def test_deleted_items_and_other_tenants_are_not_searched(postgres: Postgres, rest: httpx.AsyncClient) -> None:
    await store(postgres, "sess_1", item("a", "marmalade"), Persist("a", "item_deleted", {}))
    await store(postgres, "sess_2", item("a", "marmalade"), tenant="umbra")
    assert await walk(rest, SESSIONS, q="marmalade") == []


async def test_words_that_are_encrypted_are_not_found_but_their_session_is_by_its_agent(
    postgres: Postgres, rest: httpx.AsyncClient
) -> None:
    rules = RuleBook(postgres, RetentionRules(), can_encrypt=True)
    await rules.set("acme", TenantRules(words="encrypt"))
    vault = Vault([b"k" * 32])
    await Conversations(postgres, rules, vault).write([batch(opened(), item("a", "marmalade"), at_s=NOON_S)])
    assert await walk(rest, SESSIONS, q="marmalade") == []
    assert await walk(rest, SESSIONS, q="sealed") == []
    async with history_client(postgres, vault=vault) as reader:
        assert await walk(reader, SESSIONS, agent="delivery") == ["sess_1"]


async def test_only_the_newest_sessions_of_the_days_are_searched_for_words(
    postgres: Postgres, rest: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "MOST_SEARCHED", 2)
    for number in range(4):
        await store(postgres, f"sess_{number}", item("a", "marmalade"), age_s=number * DAY_S)
    assert await walk(rest, SESSIONS, q="marmalade") == ["sess_0", "sess_1"]
    assert await walk(rest, SESSIONS, q="marmalade", to="2027-01-13") == ["sess_2", "sess_3"]


async def test_a_search_that_takes_too_long_is_given_up_with_what_to_do(
    postgres: Postgres, rest: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store(postgres, "sess_1", item("a", "marmalade"))
    monkeypatch.setattr(history, "SEARCH_TIMEOUT_MS", 50)
    monkeypatch.setattr(history, "_SAYING", f"SELECT session_id FROM ({history._SAYING}) AS found, pg_sleep(30)")
    answer = await rest.get(SESSIONS, params={"q": "marmalade"})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "q")
    assert "`from` and `to`" in answer.json()["error"]["message"]
    assert await walk(rest, SESSIONS) == ["sess_1"]  # the limit of time ended with the search


def test_the_most_that_is_searched_is_what_the_documentation_says() -> None:
    assert (session_filter.MOST_SEARCHED, session_filter.SEARCH_TIMEOUT_MS) == (500, 1_000)
