"""The audio of calls: kept by a tenant's rule alone, encrypted as its words, read by the tenant alone, deleted in time."""

import io
from pathlib import Path

import httpx
import numpy as np
import pytest
from soundfile import SoundFile
from tests.kit.client import SERVER_VAD, calling, until
from tests.kit.gateway import Workers, gateway
from tests.kit.history_client import T0, batch, get, history_client, opened, until_closed
from tests.kit.kits import DELIVERY
from tests.kit.recorder import recording

from agentvoicebox.agents import Agents
from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.clock import ManualClock
from agentvoicebox.engine.effects import Persist
from agentvoicebox.engine.jobs import Generate
from agentvoicebox.errors import ClientError
from agentvoicebox.gateway.state import RecordStores
from agentvoicebox.ids import DEFAULT_TENANT
from agentvoicebox.storage.call_audio import PIECES_AT_ONCE, CallAudioReader
from agentvoicebox.storage.conversations import Conversations
from agentvoicebox.storage.history import History
from agentvoicebox.storage.postgres import JANITOR_ROLE, Postgres
from agentvoicebox.storage.retention import Retention, SweepCounts
from agentvoicebox.storage.rules import RetentionRules, RuleBook, TenantRules
from agentvoicebox.storage.usage import UsageReader
from agentvoicebox.storage.vault import Vault

pytestmark = pytest.mark.requirement("A10")

VAULT = Vault([b"k" * 32])
AUDIO = "/realtime/sessions/sess_1/audio"
KEEPS = RetentionRules(audio=True)
NOTICE = "This call is recorded."


def piece(number: int, data: bytes = b"") -> Persist:
    return Persist(f"owner:{number}", "audio", {"data": data or bytes([number]) * 1000})


async def stored(postgres: Postgres) -> list[bytes]:
    async with postgres.tenant_transaction("acme") as connection:
        return [row["data"] for row in await connection.fetch("SELECT data FROM call_audio ORDER BY position")]


async def test_pieces_are_one_file_in_the_order_of_the_call_though_they_come_twice(postgres: Postgres) -> None:
    conversations = Conversations(postgres, RuleBook(postgres, KEEPS))
    count = 2 * PIECES_AT_ONCE
    batches = [batch(opened(), piece(number), at_s=T0 + number) for number in range(count)]
    await conversations.write(batches[::-1])
    await conversations.write(batches)
    async with history_client(postgres, audio=CallAudioReader(postgres)) as rest:
        assert (await get(rest, "/realtime/sessions/sess_1"))["has_audio"] is True
        answer = await rest.get(AUDIO)
    assert answer.content == b"".join(bytes([number]) * 1000 for number in range(count))
    assert answer.headers["content-type"] == "audio/ogg"
    assert answer.headers["content-disposition"] == 'attachment; filename="sess_1.ogg"'


async def test_audio_is_encrypted_where_words_are(postgres: Postgres) -> None:
    rules = RuleBook(postgres, RetentionRules(words="encrypt", audio=True), can_encrypt=True)
    await Conversations(postgres, rules, VAULT).write([batch(opened(), piece(0, b"sound" * 100))])
    (data,) = await stored(postgres)
    assert b"sound" not in data
    async with history_client(postgres, vault=VAULT, audio=CallAudioReader(postgres, VAULT)) as rest:
        assert (await rest.get(AUDIO)).content == b"sound" * 100


async def test_audio_of_another_tenant_and_audio_that_is_not_there_are_not_found(postgres: Postgres) -> None:
    conversations = Conversations(postgres, RuleBook(postgres, KEEPS))
    await conversations.write([batch(opened(), piece(0), tenant="umbra")])
    async with history_client(postgres, audio=CallAudioReader(postgres)) as rest:
        assert (await rest.get(AUDIO)).status_code == 404
        await conversations.write([batch(opened())])
        answer = await rest.get(AUDIO)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "session_not_found")
        assert (await rest.get(AUDIO, headers={"tenant": "umbra"})).status_code == 200


@pytest.mark.parametrize("rules", [RetentionRules(), RetentionRules(words="mask", audio=True)])
async def test_the_recorder_writes_none_where_the_rule_is_off(postgres: Postgres, rules: RetentionRules) -> None:
    await Conversations(postgres, RuleBook(postgres, rules)).write([batch(opened(), piece(0))])
    assert await stored(postgres) == []


async def test_a_rule_that_keeps_audio_and_masks_words_is_refused(postgres: Postgres) -> None:
    rules = RuleBook(postgres, RetentionRules())
    assert (await rules.set("acme", TenantRules(audio=True))).keeps_audio
    with pytest.raises(ClientError, match="can't be masked"):
        await rules.set("acme", TenantRules(audio=True, words="mask"))
    with pytest.raises(ClientError, match="can't be masked"):
        await RuleBook(postgres, RetentionRules(words="mask")).set("acme", TenantRules(audio=True))
    assert (await rules.of("acme")).keeps_audio


async def test_audio_is_deleted_with_its_session(
    postgres: Postgres, records_url: str, manual_clock: ManualClock
) -> None:
    manual_clock.advance(T0 + 31 * 86_400 - manual_clock.wall_s())
    await Conversations(postgres, RuleBook(postgres, KEEPS)).write([batch(opened(), piece(0), piece(1))])
    janitor = await Postgres.open(records_url, most_connections=1, role=JANITOR_ROLE)
    swept = await Retention(janitor, RetentionRules(days=30), clock=manual_clock, rest_s=0.0).sweep()
    await janitor.close()
    assert swept == SweepCounts(sessions=1, audio_pieces=2)
    assert await stored(postgres) == []


@pytest.mark.parametrize("is_kept", [True, False])
async def test_a_whole_call_is_heard_again_if_its_tenant_wants_that(
    redis_broker: RedisBroker, workers: Workers, postgres: Postgres, is_kept: bool
) -> None:
    rules = RuleBook(postgres, RetentionRules())
    await rules.set(DEFAULT_TENANT, TenantRules(audio=is_kept))
    stores = RecordStores(postgres, History(postgres), UsageReader(postgres), rules, CallAudioReader(postgres))
    async with (
        gateway(redis_broker, records=stores) as served,
        recording(redis_broker, Conversations(postgres, rules)),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{served.port}/v1") as rest,
    ):
        async with calling(served.url()) as client:
            session_id = client.events[0]["session"]["id"]
            await client.use(audio=SERVER_VAD)
            await client.speak()
            await client.until("response.done")

        async def is_heard() -> bool:
            return (await rest.get(f"/realtime/sessions/{session_id}/audio")).status_code == 200

        await until_closed(rest, session_id)
        if is_kept:
            await until(is_heard)
        answer = await rest.get(f"/realtime/sessions/{session_id}/audio")
    if not is_kept:
        assert answer.status_code == 404
        assert await redis_broker.connection.commands.xlen("avb:dead:record") == 0
        return
    with SoundFile(io.BytesIO(answer.content)) as file:
        samples = file.read(dtype="float32", always_2d=True)
    assert samples.shape[1] == 2
    assert np.abs(samples[:, 0]).max() > 0.1, "the caller's tone"


@pytest.mark.parametrize("is_kept", [True, False])
async def test_a_caller_hears_that_the_call_is_recorded_if_its_audio_is_kept(
    redis_broker: RedisBroker, workers: Workers, postgres: Postgres, tmp_path: Path, is_kept: bool
) -> None:
    (tmp_path / "clerk.toml").write_text(f'instructions = "Be brief."\nrecording_notice = "{NOTICE}"\n')
    rules = RuleBook(postgres, RetentionRules())
    await rules.set(DEFAULT_TENANT, TenantRules(audio=is_kept))
    stores = RecordStores(postgres, History(postgres), UsageReader(postgres), rules, CallAudioReader(postgres))
    agents = Agents(folder=str(tmp_path), default="clerk", kits=DELIVERY)
    async with (
        gateway(redis_broker, records=stores, agents=agents) as served,
        recording(redis_broker, Conversations(postgres, rules)),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{served.port}/v1") as rest,
        calling(served.url("model=clerk")) as client,
    ):
        session_id = client.events[0]["session"]["id"]
        await client.send("session.update", session={"type": "realtime"})
        await client.send("response.create")
        if is_kept:
            await client.until("response.done")
        await client.until("response.done")
        said = [event["transcript"] for event in client.of("response.output_audio_transcript.done")]
        assert said == [*([NOTICE] if is_kept else []), "It is on its way."]
        assert "error" not in [event["type"] for event in client.events]

        async def stored() -> list[str]:
            answer = (await rest.get(f"/realtime/sessions/{session_id}/items")).json()
            return [str(item["content"]) for item in answer.get("data", ())]

        async def is_stored() -> bool:
            return len(await stored()) == len(said)

        await until(is_stored)
        assert said[0] in str(await stored()), "its record says that it was said"
    prompts = [request for _, request in workers.taken if isinstance(request, Generate)]
    assert prompts and NOTICE not in str(prompts)
