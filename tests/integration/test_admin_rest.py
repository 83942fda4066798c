"""The administration over REST, on real keys in a real PostgreSQL: who may, what it shows, and what it never tells."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import msgspec
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from agentvoicebox.broker.connection import Connection
from agentvoicebox.errors import AgentVoiceBoxError, BadCredentials, PolicyDenied, Refused
from agentvoicebox.gateway.admission.credential_resolver import CredentialResolver
from agentvoicebox.gateway.http.admin import admin_routes
from agentvoicebox.gateway.http.admin_route import MAX_BODY_BYTES
from agentvoicebox.http_server.serving import serving
from agentvoicebox.policy.decisions import Decisions
from agentvoicebox.policy.embedded import EmbeddedPolicy
from agentvoicebox.policy.opa import OpaPolicy
from agentvoicebox.storage.audit import AuditLog
from agentvoicebox.storage.migrate import migrate
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.storage.vault import Vault
from agentvoicebox.tenancy.account_status_cache import AccountStatusCache
from agentvoicebox.tenancy.api_keys import ApiKeys
from agentvoicebox.tenancy.audit_trail import AuditTrail
from agentvoicebox.tenancy.authenticator import Authenticator
from agentvoicebox.tenancy.client_secrets import ClientSecrets
from agentvoicebox.tenancy.key_format import new_key
from agentvoicebox.tenancy.principal import Principal, Right

ADMIN = "/v1/admin"


class Office:
    """An application with the administration over one database, and keys to it."""

    def __init__(self, postgres: Postgres, connection: Connection, policy: Any = None) -> None:
        self.postgres = postgres
        self.keys = ApiKeys(postgres)
        self.trail = AuditTrail(postgres)
        self.authenticator = Authenticator(self.keys, AccountStatusCache(self.keys), self.trail)
        self.decisions = Decisions(policy or EmbeddedPolicy(), self.trail)
        resolver = CredentialResolver(self.authenticator, ClientSecrets(connection), None, self.trail, self.decisions)
        app = FastAPI()

        async def admit(request: Request) -> Principal:
            bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
            return (await resolver.resolve(bearer, right="admin")).principal

        @app.exception_handler(AgentVoiceBoxError)
        async def failed(request: Request, error: AgentVoiceBoxError) -> JSONResponse:
            refused = 401 if isinstance(error, BadCredentials) else 403
            return JSONResponse({"error": {"code": error.code}}, refused if isinstance(error, Refused) else 503)

        app.include_router(admin_routes(postgres, self.decisions, admit, vault=Vault([b"k" * 32])))
        self.app, self.port = app, 0

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Office"]:
        """Over real HTTP, for the length of the block."""
        async with serving(self.app, host="127.0.0.1", port=0, drain_s=1.0, setting="none") as self.port:
            yield self
        await self.authenticator.close()
        await self.decisions.close()

    async def key(self, tenant_id: str, *scopes: Right) -> str:
        """A key of a tenant."""
        key = new_key()
        await self.keys.create(tenant_id, key, scopes=scopes)
        return key.text

    def client(self, key: str) -> httpx.AsyncClient:
        """Somebody who shows this key."""
        address = f"http://127.0.0.1:{self.port}{ADMIN}"
        return httpx.AsyncClient(base_url=address, headers={"Authorization": f"Bearer {key}"}, trust_env=False)


@pytest.fixture
async def office(postgres_url: str, redis_url: str) -> AsyncIterator[Office]:
    await migrate(postgres_url)
    postgres, connection = await Postgres.open(postgres_url, most_connections=4), Connection(redis_url)
    async with Office(postgres, connection).open() as made:
        yield made
    await connection.close()
    await postgres.close()


@pytest.fixture
async def operator(office: Office) -> AsyncIterator[httpx.AsyncClient]:
    async with office.client(await office.key("default", "admin")) as client:
        yield client


@pytest.fixture
async def acme(office: Office, operator: httpx.AsyncClient) -> AsyncIterator[httpx.AsyncClient]:
    """An administrator of the tenant acme; there is a tenant umbra, too."""
    for tenant_id in ("acme", "umbra"):
        assert (await operator.post("/tenants", json={"id": tenant_id})).status_code == 201
    async with office.client(await office.key("acme", "admin")) as client:
        yield client


async def test_a_tenant_from_its_making_to_its_suspension(office: Office, operator: httpx.AsyncClient) -> None:
    made = await operator.post("/tenants", json={"id": "acme", "name": "Acme Ltd"})
    assert (made.status_code, made.json()["name"], made.json()["suspended_at"]) == (201, "Acme Ltd", None)
    again = await operator.post("/tenants", json={"id": "acme"})
    assert (again.status_code, again.json()["error"]["code"]) == (409, "tenant_exists")
    changed = await operator.patch("/tenants/acme", json={"limits": {"requests": 60, "window_s": 10, "sessions": 4}})
    assert changed.json()["limits"] == {"requests": 60, "tokens": None, "window_s": 10, "sessions": 4}
    assert changed.json()["name"] == "Acme Ltd"
    kept = await operator.patch("/tenants/acme", json={"history": {"days": 30, "words": "mask"}})
    assert kept.json()["history"] == {"days": 30, "audit_days": None, "words": "mask", "audio": None}
    assert kept.json()["limits"] == changed.json()["limits"]  # what is not named stays
    refused = await operator.patch("/tenants/acme", json={"name": "x", "history": {"words": "encrypt"}})
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "no_history_key")
    assert (await operator.get("/tenants/acme")).json() == kept.json()
    key = await office.key("acme", "realtime")
    suspended = [await operator.post("/tenants/acme/suspend") for _ in range(2)]  # twice is once
    assert suspended[0].json() == suspended[1].json() and suspended[0].json()["suspended_at"] > 0
    with pytest.raises(PolicyDenied):
        await office.authenticator.authenticate(key)
    assert (await operator.post("/tenants/acme/resume")).json()["suspended_at"] is None


async def test_an_operator_can_not_shut_himself_out(operator: httpx.AsyncClient) -> None:
    refused = await operator.post("/tenants/default/suspend")
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "own_tenant")


async def test_a_key_is_shown_once_and_opens_the_door_until_it_is_revoked(
    office: Office, acme: httpx.AsyncClient
) -> None:
    assert (await acme.put("/tenants/acme/projects/shop")).status_code == 200
    asked = {"name": "web shop", "scopes": ["realtime"], "project_id": "shop", "expires_after_s": 3600}
    made = await acme.post("/tenants/acme/keys", json=asked)
    shown = made.json()
    assert made.status_code == 201 and made.headers["cache-control"] == "no-store"
    assert shown["expires_at"] - shown["created_at"] in range(3590, 3611)
    assert (await office.authenticator.authenticate(shown["key"])).principal.scopes == ("realtime",)
    listed = await acme.get("/tenants/acme/keys")
    assert shown["id"] in listed.text and shown["key"] not in listed.text and shown["key"][-43:] not in listed.text
    rotated = (await acme.post(f"/tenants/acme/keys/{shown['id']}/rotate", json={"grace_s": 60})).json()
    old = (await acme.get(f"/tenants/acme/keys/{shown['id']}")).json()
    assert old["rotated_to"] == rotated["id"] and rotated["scopes"] == ["realtime"] and rotated["project_id"] == "shop"
    for _ in range(2):
        assert (await acme.delete(f"/tenants/acme/keys/{rotated['id']}")).json()["revoked_at"] > 0
    with pytest.raises(BadCredentials):
        await office.authenticator.authenticate(rotated["key"])


async def test_what_is_somebody_elses_and_what_is_not_there_give_the_same_answer(
    office: Office, acme: httpx.AsyncClient
) -> None:
    key = new_key()
    await office.keys.create("umbra", key)
    foreign = [f"key_{key.prefix}", "key_000000000000", "nonsense", "key_" + "0" * 500]
    for ask in (
        ("GET", "/tenants/{}"), ("PATCH", "/tenants/{}"), ("POST", "/tenants/{}/suspend"), ("POST", "/tenants/{}/resume"),
        ("GET", "/tenants/{}/projects"), ("PUT", "/tenants/{}/projects/shop"), ("GET", "/tenants/{}/keys"),
        ("POST", "/tenants/{}/keys"), ("GET", "/tenants/{}/audit"), ("GET", "/tenants/{}/usage"),
        ("DELETE", "/tenants/{}/keys/" + foreign[0]), ("POST", "/tenants/{}/keys/" + foreign[0] + "/rotate"),
    ):  # fmt: skip
        theirs, nobodys = [
            await acme.request(ask[0], ask[1].format(tenant), json={} if ask[0] in ("POST", "PATCH") else None)
            for tenant in ("umbra", "nobody")
        ]
        assert theirs.status_code == nobodys.status_code == 404, (ask, theirs.text, nobodys.text)
        assert theirs.text.replace("umbra", "nobody") == nobodys.text
    for key_id in foreign:
        for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/rotate")):
            missed = await acme.request(method, f"/tenants/acme/keys/{key_id}{path}")
            assert missed.status_code in (404, 403) and (missed.status_code == 404 or len(key_id) > 256)
    assert (await office.keys.get("umbra", key.prefix)).revoked_at is None


async def test_a_tenants_own_admin_can_not_do_what_operators_do(acme: httpx.AsyncClient) -> None:
    refused = [
        await acme.get("/tenants"),
        await acme.post("/tenants", json={"id": "umbra"}),
        await acme.post("/tenants", json={"id": "newcomer"}),
        await acme.patch("/tenants/acme", json={"limits": {"requests": 10**9}}),
        await acme.post("/tenants/acme/suspend"),
        await acme.get("/gate/audit"),
    ]
    assert [each.status_code for each in refused] == [403] * len(refused)


async def test_a_key_without_the_scope_sees_nothing_and_its_body_is_not_read(office: Office) -> None:
    lesser: tuple[tuple[Right, ...], ...] = (("realtime",), ("client_secrets",), ("realtime", "client_secrets"))
    for scopes in lesser:
        async with office.client(await office.key("default", *scopes)) as client:
            for path in ("/tenants", "/tenants/default", "/tenants/default/keys", "/gate/audit"):
                assert (await client.get(path)).status_code == 403
            assert (await client.post("/tenants", content=b"{")).status_code == 403
    async with office.client("sk-avb-000000000000-" + "x" * 43) as stranger:
        assert (await stranger.post("/tenants", content=b"{")).status_code == 401


FAULTS: tuple[tuple[str, Any, str | None, str], ...] = (
    ("/tenants", {}, "id", "missing_required_parameter"),
    ("/tenants", {"id": "Acme"}, "id", "invalid_value"),
    ("/tenants", {"id": "a" * 64}, "id", "invalid_value"),
    ("/tenants", {"id": 5}, "id", "invalid_value"),
    ("/tenants", {"id": "acme", "name": "x" * 201}, "name", "invalid_value"),
    ("/tenants", {"id": "acme", "name": "a\0b"}, "name", "invalid_value"),
    ("/tenants", {"id": "acme", "limit": 5}, "limit", "unknown_parameter"),
    ("/tenants", [], None, "invalid_json"),
    ("/tenants", b"{", None, "invalid_json"),
    ("/tenants", b"", None, "invalid_json"),
    ("/tenants", b"\xff{}", None, "invalid_json"),
    ("/tenants", b"[" * 8_000, None, "invalid_json"),
    ("/tenants/default/keys", {"scopes": ["root"]}, "scopes.0", "invalid_value"),
    ("/tenants/default/keys", {"scopes": []}, "scopes", "invalid_value"),
    ("/tenants/default/keys", {"expires_after_s": 0}, "expires_after_s", "invalid_value"),
    ("/tenants/default/keys", {"expires_after_s": 10**15}, "expires_after_s", "invalid_value"),
    ("/tenants/default/keys", {"expires_after_s": True}, "expires_after_s", "invalid_value"),
    ("/tenants/default/keys", {"project_id": "nowhere"}, "project_id", "project_not_found"),
    ("/tenants/default/keys/key_000000000000/rotate", {"grace_s": -1}, "grace_s", "invalid_value"),
)


async def test_a_fault_names_its_field(operator: httpx.AsyncClient) -> None:
    for path, body, param, code in FAULTS:
        content = body if isinstance(body, bytes) else msgspec.json.encode(body)
        refused = await operator.post(path, content=content, headers={"content-type": "application/json"})
        error = refused.json()["error"]
        assert (refused.status_code, error["param"], error["code"]) == (400, param, code), (path, body)


async def test_a_page_that_can_not_be_is_refused(operator: httpx.AsyncClient) -> None:
    for path in ("/tenants", "/gate/audit", "/tenants/default/keys", "/tenants/default/projects"):
        for query in ("limit=0", "limit=101", "limit=x", "after=%00", "after=" + "x" * 129):
            refused = await operator.get(f"{path}?{query}")
            assert (refused.status_code, refused.json()["error"]["param"]) == (400, query.partition("=")[0])


async def test_a_long_body_is_not_read_to_its_end(operator: httpx.AsyncClient) -> None:
    refused = await operator.post("/tenants", content=b"{" + b" " * MAX_BODY_BYTES + b"}")
    assert (refused.status_code, refused.json()["error"]["code"]) == (413, "request_too_large")


async def test_pages_go_through_everything_once(office: Office, operator: httpx.AsyncClient) -> None:
    ids = [f"tenant-{number:02}" for number in range(7)]
    for tenant_id in ids:
        await operator.post("/tenants", json={"id": tenant_id})
        await operator.put(f"/tenants/default/projects/{tenant_id}")
        await office.keys.create("default", new_key())

    async def walk(path: str) -> list[str]:
        seen: list[str] = []
        after = ""
        while True:
            page = (await operator.get(f"{path}?limit=3&after={after}")).json()
            seen += [each["id"] for each in page["data"]]
            if not page["has_more"]:
                return seen
            after = page["last_id"]

    assert await walk("/tenants") == ["default", *ids]
    assert await walk("/tenants/default/projects") == ids
    keys = await walk("/tenants/default/keys")
    assert len(keys) == len(set(keys)) == 8
    log = await walk("/tenants/default/audit")
    assert log == [each.audit_id for each in await AuditLog(office.postgres).latest("default", limit=100)]


async def test_every_change_stands_in_the_tenants_own_log_with_who_did_it(
    office: Office, operator: httpx.AsyncClient, acme: httpx.AsyncClient
) -> None:
    shown = (await acme.post("/tenants/acme/keys", json={})).json()
    await acme.delete(f"/tenants/acme/keys/{shown['id']}")
    await operator.patch("/tenants/acme", json={"name": "Acme", "limits": {}})
    await operator.post("/tenants/acme/suspend")
    await acme.delete("/tenants/acme/keys/key_000000000000")  # did not happen, so it is not there
    log = [each for each in (await AuditLog(office.postgres).latest("acme")) if not each.action.startswith("policy.")]
    assert [each.action for each in reversed(log)] == [
        "tenant.created", "key.created", "key.revoked", "tenant.renamed", "tenant.limited", "tenant.suspended",
    ]  # fmt: skip
    assert {each.body["by_tenant"] for each in log[:3]} == {"default"}
    assert all(each.actor.startswith("key_") for each in log) and shown["key"][-43:] not in str(log)
    assert log[-2].subject == log[-3].subject == shown["id"]


async def test_usage_is_told_by_day(acme: httpx.AsyncClient) -> None:
    told = await acme.get("/tenants/acme/usage?from=2026-11-01&to=2026-11-30")
    assert (told.status_code, told.json()["object"], told.json()["data"]) == (200, "usage", [])
    for query in ("from=2026-11-02&to=2026-11-01", "from=2020-01-01&to=2026-01-01", "from=yesterday"):
        refused = await acme.get(f"/tenants/acme/usage?{query}")
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, "from")


async def test_without_an_answer_of_the_policy_nothing_is_done(office: Office, redis_url: str) -> None:
    key = await office.key("default", "admin")
    connection = Connection(redis_url)
    async with (
        Office(office.postgres, connection, OpaPolicy("http://127.0.0.1:1")).open() as blind,
        blind.client(key) as client,
    ):
        assert (await client.post("/tenants", json={"id": "acme"})).status_code == 503
    await connection.close()
    assert [each.action for each in await AuditLog(office.postgres).latest("acme")] == []


async def test_a_tenants_destinations_are_its_own_and_their_secrets_are_shown_once(
    office: Office, acme: httpx.AsyncClient, operator: httpx.AsyncClient
) -> None:
    there = "/tenants/acme/destinations"
    made = await acme.post(there, json={"url": "https://example.com/in", "types": ["agentvoicebox.tool.*"]})
    assert made.status_code == 201 and made.json()["secret"].startswith("whsec_")
    destination = f"{there}/{made.json()['id']}"
    listed = (await acme.get(there)).json()["data"]
    assert listed == [{name: value for name, value in made.json().items() if name != "secret"}]
    assert (await operator.get(there)).json()["data"] == listed

    assert (await acme.post(f"{destination}/test")).status_code == 202
    assert (await acme.get(there)).json()["data"][0]["waiting"] == 1
    assert (await acme.post(f"{destination}/replay", json={"since": 0})).json()["events"] == 0
    assert (await acme.post(f"{destination}/replay", json={"dead": True})).json()["events"] == 0
    for wrong in ({}, {"since": 0, "dead": True}, {"since": -1}, {"until": 3}):
        assert (await acme.post(f"{destination}/replay", json=wrong)).status_code == 400
    for bad in ({"url": "ftp://x"}, {"url": "https://x", "types": ["x"]}, {"url": "https://x", "secret": "y"}, {}):
        assert (await acme.post(there, json=bad)).status_code == 400

    async with office.client(await office.key("umbra", "admin")) as stranger:
        for method, address in (
            ("GET", there),
            ("POST", there),
            ("DELETE", destination),
            ("POST", f"{destination}/test"),
        ):
            refused = await stranger.request(method, address, json={"url": "https://x"} if address == there else None)
            assert refused.status_code == 404
    assert (await acme.delete(destination)).status_code == 204
    assert (await acme.delete(destination)).json()["error"]["code"] == "destination_not_found"
    deeds = [entry.action for entry in await AuditLog(office.postgres).latest("acme")]
    assert [deed for deed in deeds if deed.startswith("destination.")] == [
        "destination.removed", "destination.replayed", "destination.replayed", "destination.added",
    ]  # fmt: skip
