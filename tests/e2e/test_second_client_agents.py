"""The `openai-agents` SDK, which parses each event strictly, as the second stock client."""

import asyncio
from collections.abc import Callable

import pytest
from agents import function_tool
from agents.realtime import RealtimeAgent, RealtimeRunner, RealtimeSession
from tests.kit.waiting import PATIENCE_S

from agentvoicebox.audio.pcm import bytes_of
from agentvoicebox.cli.local_server import LocalServer
from agentvoicebox.client.line import SpokenLine

pytestmark = pytest.mark.requirement("A16.1", "C9")

FRAME_SAMPLES = 960  # 40 ms


def config_of(server: LocalServer, **settings: object) -> dict[str, object]:
    url = server.url.replace("http", "ws") + "/realtime?model=delivery"
    return {"url": url, "api_key": "any key", "initial_model_settings": {"model_name": "delivery", **settings}}


async def collect(session: RealtimeSession, until: str) -> list[object]:
    """Events up to one of a type; an event that the SDK can't parse fails the test."""
    events: list[object] = []
    async with asyncio.timeout(PATIENCE_S):
        async for event in session:
            assert event.type != "error", event
            events.append(event)
            if event.type == until:
                return events
    raise AssertionError(f"no {until}")


def words_of(events: list[object]) -> str:
    """What the agent said, by the last history the SDK holds."""
    said = []
    for event in events:
        if event.type in ("history_added", "history_updated"):  # type: ignore[attr-defined]
            items = event.history if event.type == "history_updated" else [event.item]  # type: ignore[attr-defined]
            for item in items:
                if item.type == "message" and item.role == "assistant":
                    said += [part.transcript for part in item.content if getattr(part, "transcript", None)]
                    said += [part.text for part in item.content if getattr(part, "text", None)]
    return " ".join(said)


async def test_a_typed_turn_is_answered_aloud(server: LocalServer) -> None:
    runner = RealtimeRunner(RealtimeAgent(name="line"))
    async with await runner.run(model_config=config_of(server)) as session:  # type: ignore[arg-type]
        await session.send_message("Where is my parcel?")
        events = await collect(session, "agent_end")
    audio = b"".join(event.audio.data for event in events if event.type == "audio")  # type: ignore[attr-defined]
    assert len(audio) > 48_000
    assert "tracking number" in words_of(events)


async def test_a_spoken_turn_is_heard_and_answered(server: LocalServer, say: Callable[[str], SpokenLine]) -> None:
    runner = RealtimeRunner(RealtimeAgent(name="line"))
    async with await runner.run(model_config=config_of(server)) as session:  # type: ignore[arg-type]
        sound = bytes_of(say("Where is my parcel?").pcm) + bytes(48_000 * 2)

        async def speak() -> None:
            for start in range(0, len(sound), 2 * FRAME_SAMPLES):
                await session.send_audio(sound[start : start + 2 * FRAME_SAMPLES])
                await asyncio.sleep(FRAME_SAMPLES / 24_000)

        speaking = asyncio.create_task(speak())
        events = await collect(session, "agent_end")
        await speaking
    assert "tracking number" in words_of(events)


async def test_a_function_of_the_sdk_is_called_and_its_answer_told(server: LocalServer) -> None:
    asked: list[str] = []

    @function_tool
    def get_delivery_status(tracking_id: str) -> str:
        """Where a parcel is."""
        asked.append(tracking_id)
        return "Parcel 777123 sails on the ferry to Calais."

    runner = RealtimeRunner(RealtimeAgent(name="line", tools=[get_delivery_status]))
    async with await runner.run(model_config=config_of(server)) as session:  # type: ignore[arg-type]
        await session.send_message("Where is parcel PKG 777123?")
        events = await collect(session, "agent_end")
        while "Calais" not in words_of(events):
            events += await collect(session, "agent_end")
    assert asked == ["PKG777123"]
