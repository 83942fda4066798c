"""Destinations of events over REST and from the command line: secrets are shown once, everything else stays the tenant's own."""

import asyncio
import base64
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any

import pytest
from standardwebhooks import Webhook
from tests.kit.event_post import KEY, Post, body, call, receiver
from typer.testing import CliRunner, Result

from agentvoicebox.cli.events import app
from agentvoicebox.clock import ManualClock
from agentvoicebox.errors import ClientError
from agentvoicebox.events.destinations import MOST_DESTINATIONS, Destinations
from agentvoicebox.storage.audit import AuditLog
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.storage.vault import Vault

pytestmark = pytest.mark.requirement("A0")

URL = "https://example.com/webhooks"
VAULT = Vault([KEY])


@pytest.mark.parametrize(
    ("target", "more", "param"),
    [
        ("ftp://example.com", {}, "url"),
        ("https://", {}, "url"),
        ("https://user:secret@example.com", {}, "url"),
        ("https://example.com:99999", {}, "url"),
        ("https://example.com/a b", {}, "url"),
        ("https://example.com/" + "a" * 2048, {}, "url"),
        (URL, {"types": ("tool.called",)}, "types"),
        (URL, {"types": ("agentvoicebox.*",) * 33}, "types"),
        (URL, {"secret": "abc"}, "secret"),
        (URL, {"secret": "whsec_" + "A" * 8}, "secret"),
        (URL, {"secret": "whsec_" + base64.b64encode(b"x" * 65).decode()}, "secret"),
    ],
)
async def test_what_can_not_be_meant_is_refused(
    postgres: Postgres, target: str, more: dict[str, Any], param: str
) -> None:
    with pytest.raises(ClientError) as refused:
        await Destinations(postgres, VAULT).add("acme", "webhook", target, **more)
    assert refused.value.param == param and "secret@" not in refused.value.message


async def test_a_secret_is_stored_encrypted_or_not_at_all(postgres: Postgres) -> None:
    destinations = Destinations(postgres, VAULT)
    made = await destinations.add("acme", "webhook", URL)
    async with postgres.tenant_transaction("acme") as connection:
        (row,) = await connection.fetch("SELECT secret::text FROM event_destinations")
    assert made.secret.removeprefix("whsec_") not in row["secret"] and "sealed" in row["secret"]
    assert made.secret not in repr(made) and URL not in repr(made)
    assert await destinations.get("acme", made.destination_id) == made
    assert await destinations.get("umbra", made.destination_id) is None  # another tenant's
    with pytest.raises(ClientError, match="AVB_HISTORY_KEYS"):
        await Destinations(postgres, Vault()).add("acme", "webhook", URL)
    for _ in range(MOST_DESTINATIONS - 1):
        await destinations.add("acme", "webhook", URL)
    with pytest.raises(ClientError, match="may have"):
        await destinations.add("acme", "webhook", URL)


Command = Callable[..., Coroutine[Any, Any, Result]]


@pytest.fixture
def command(records_url: str, monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.setenv("AVB_POSTGRES_URL", records_url)
    monkeypatch.setenv("AVB_HISTORY_KEYS", base64.b64encode(KEY).decode())
    return lambda *arguments: asyncio.to_thread(CliRunner().invoke, app, list(arguments))


async def test_a_destination_from_its_adding_to_its_removal(
    postgres: Postgres, manual_clock: ManualClock, command: Command
) -> None:
    post = Post(postgres, manual_clock)
    async with receiver([]) as server:
        added = await command("add", server.url, "--type", "agentvoicebox.message.*")
        assert added.exit_code == 0, added.output
        secret = next(word for word in added.output.split() if word.startswith("whsec_"))
        destination = next(word for word in added.output.split() if word.startswith("dest_"))

        stop = asyncio.Event()
        serving = asyncio.create_task(post.deliverer(poll_s=0.01).run(stop))
        await post.catch_up()
        post.clock.advance(3_600)  # ahead of all that the commands write
        tested = await command("test", destination)
        assert tested.exit_code == 0 and "Delivered" in tested.output
        assert body(server.requests[0])["type"] == "agentvoicebox.test"
        assert (
            Webhook(secret).sign(
                server.requests[0].headers["webhook-id"],
                _utc(server.requests[0].headers["webhook-timestamp"]),
                server.requests[0].body.decode(),
            )
            == server.requests[0].headers["webhook-signature"]
        )

        await post.record(*call(tenant="default"))
        await server.arrived(4)
        replayed = await command("replay", destination, "--since", "1h")
        assert replayed.exit_code == 0 and "3 events are sent again" in replayed.output
        await server.arrived(7)
        stop.set()
        await serving

    listed = await command("list")
    assert destination in listed.output and "agentvoicebox.message.*" in listed.output and secret not in listed.output
    assert "0 events" in (await command("replay", destination, "--dead")).output
    assert (await command("remove", destination)).exit_code == 0
    assert destination not in (await command("list")).output
    gone = await command("remove", destination)
    assert gone.exit_code == 1 and "no destination" in gone.output
    deeds = [entry.action for entry in await AuditLog(postgres).latest("default")]
    assert deeds == ["destination.removed", "destination.replayed", "destination.replayed", "destination.added"]
    await post.sink.close()


def _utc(seconds: str) -> Any:
    return datetime.fromtimestamp(int(seconds), UTC)


async def test_a_test_that_fails_says_why(postgres: Postgres, manual_clock: ManualClock, command: Command) -> None:
    post = Post(postgres, manual_clock)
    destination = await post.to("http://127.0.0.1:9/", tenant="default")
    waiting = await command("test", destination.destination_id, "--wait-s", "0")
    assert waiting.exit_code == 1 and "serve --role events" in waiting.output
    await post.deliver()
    testing = asyncio.create_task(command("test", destination.destination_id))
    until_s = time.monotonic() + 30
    while not testing.done() and time.monotonic() < until_s:
        await post.deliver()
        await asyncio.wait([testing], timeout=0.05)
    refused = await testing
    assert refused.exit_code == 1 and "can't be reached" in refused.output
    await post.sink.close()


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["add", "kafka:calls"], "AVB_EVENTS_KAFKA"),
        (["add", URL, "--tenant", "nobody"], "no tenant"),
        (["add", URL, "--type", "tool"], "agentvoicebox.tool.called"),
        (["replay", "dest_1"], "--since"),
        (["replay", "dest_1", "--since", "yesterday"], "2026-11-30T08:00"),
        (["replay", "dest_1", "--since", "1h", "--dead"], "--since"),
        (["test", "dest_1"], "no destination"),
    ],
)
async def test_a_wrong_command_says_what_to_type(
    postgres: Postgres, command: Command, words: list[str], answer: str
) -> None:
    refused = await command(*words)
    assert refused.exit_code != 0 and answer in refused.output
