"""What a gateway leaves in the store is enough to go on: the log and the snapshot replay to the very events the client got."""

from collections.abc import Sequence

import msgspec
import pytest
from redis.asyncio import Redis
from tests.kit.client import Client, calling, until
from tests.kit.gateway import Gateway, Workers, silence, tone

from agentvoicebox.engine.effects import Effect, Send
from agentvoicebox.engine.inputs import Input, Opened
from agentvoicebox.engine.session import Engine
from agentvoicebox.ports.broker import AppendLog, Dispatch, SessionRef

pytestmark = pytest.mark.requirement("A4.1", "C5")

SERVER_VAD = {"input": {"turn_detection": {"type": "server_vad", "silence_duration_ms": 300}}}
_entries: msgspec.msgpack.Decoder[tuple[float, Input]] = msgspec.msgpack.Decoder(tuple[float, Input])


async def spoken_turn(client: Client) -> None:
    await client.append(tone(600) + silence(700))
    await client.until("response.done")


async def replay(served: Gateway, session: SessionRef) -> tuple[bool, Engine, list[Effect]]:
    """Whether a snapshot was used, the engine as it is now, and every effect since the snapshot."""
    state, raw = await served.state.session_log.load(session)
    entries = [_entries.decode(each) for each in raw]
    effects: list[Effect] = []
    if state is None:
        now_s, opened = entries.pop(0)
        assert isinstance(opened, Opened)
        engine, effects = Engine.open(opened, now_s)
    else:
        engine = Engine.restore(state)
    for now_s, given in entries:
        effects += engine.receive(given, now_s)
    return state is not None, engine, effects


def sent(effects: list[Effect]) -> list[str]:
    return [effect.event.event_id for effect in effects if isinstance(effect, Send)]


def received(client: Client) -> list[str]:
    audio = "response.output_audio.delta"
    return [event["event_id"] for event in client.events if event["type"] != audio]


async def test_the_log_replays_to_the_events_the_client_got(served: Gateway, workers: Workers) -> None:
    async with calling(served.url()) as client:
        session = SessionRef("default", client.events[0]["session"]["id"])
        await client.use(audio=SERVER_VAD)
        await spoken_turn(client)
        await client.append(tone(400))
        await client.until("input_audio_buffer.speech_started")
        is_restored, engine, effects = await replay(served, session)
        assert not is_restored
        assert sent(effects) == received(client)
        assert engine.state.buffer.turn is not None


async def test_a_snapshot_and_the_log_since_replay_to_the_same(
    served: Gateway, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agentvoicebox.gateway.call.session_log_writer.SNAPSHOT_EVERY", 10)
    monkeypatch.setattr("agentvoicebox.gateway.call.session_log_writer.REPLAY_S", 0.0)
    async with calling(served.url()) as client:
        session = SessionRef("default", client.events[0]["session"]["id"])
        await client.use(audio=SERVER_VAD)
        for _ in range(3):
            await spoken_turn(client)
        await client.nothing_but()
        is_restored, _, effects = await replay(served, session)
        assert is_restored
        again = sent(effects)
        assert 0 < len(again) < len(received(client))
        assert again == received(client)[-len(again) :]


async def test_a_store_that_lost_the_log_is_mended_by_a_snapshot(
    served: Gateway, workers: Workers, redis_url: str
) -> None:
    async with calling(served.url()) as client:
        session = SessionRef("default", client.events[0]["session"]["id"])
        await client.use(audio=SERVER_VAD)
        slot = served.state.sessions._slots[session]
        slot._call._parts.outbox.has_lost = True  # type: ignore[union-attr]
        async with Redis.from_url(redis_url) as redis:
            await redis.flushall()
        await client.use(instructions="Be kind.")

        async def is_saved() -> bool:
            return (await served.state.session_log.load(session))[0] is not None

        await until(is_saved)
        is_restored, engine, _ = await replay(served, session)
        assert is_restored
        assert engine.state.config.instructions == "Be kind."


async def test_nothing_is_sent_before_the_store_has_its_log(
    served: Gateway, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with calling(served.url()) as client:
        session = SessionRef("default", client.events[0]["session"]["id"])
        writer = served.state.sessions._slots[session]._call._parts.writer  # type: ignore[union-attr]
        dispatch, sent_before_the_log = served.state.broker.dispatch, []

        async def observed(actions: Sequence[Dispatch], *, owner: str = "") -> None:
            if any(isinstance(action, AppendLog) for action in actions):
                sent_before_the_log.append(writer.last_event_id)
            await dispatch(actions, owner=owner)

        monkeypatch.setattr(served.state.broker, "dispatch", observed)
        last_event_id = writer.last_event_id
        await client.use(instructions="Be kind.")
        assert sent_before_the_log == [last_event_id]
        assert writer.last_event_id == client.events[-1]["event_id"] != last_event_id
