"""The `openai-agents` package with its default settings: words, a function, and an interruption that it handles itself."""

import asyncio
from collections.abc import Callable

import pytest
from agents import function_tool
from agents.realtime import RealtimeAgent, RealtimeRunner
from agents.realtime.openai_realtime import DEFAULT_REALTIME_MODEL
from tests.e2e.clients.conftest import FlowerShop
from tests.kit import florist
from tests.kit.heard import Heard
from tests.kit.microphone import Microphone

from agentvoicebox.client.line import SpokenLine

pytestmark = pytest.mark.requirement("A16.1", "C9")


@function_tool
def get_price(flower: str) -> str:
    """The price of a flower."""
    return florist.PRICE


def said_in(heard: Heard) -> list[str]:
    """What the agent said, line by line, by the package's own history."""
    updates = heard.of("history_updated")
    items = updates[-1].history if updates else []
    lines = [item for item in items if item.type == "message" and item.role == "assistant"]
    return [" ".join(part.transcript or "" for part in line.content if part.type == "audio") for line in lines]


async def until_said(heard: Heard, *lines: str) -> None:
    """Until these are the agent's lines."""
    await heard.until_so(lambda: said_in(heard) == list(lines), f"history {lines}")


async def test_a_call_with_words_a_function_and_an_interruption(
    shop: FlowerShop, say: Callable[[str], SpokenLine]
) -> None:
    runner = RealtimeRunner(RealtimeAgent(name="Flora", instructions=florist.INSTRUCTIONS, tools=[get_price]))
    url = shop.server.url.replace("http", "ws") + f"/realtime?model={DEFAULT_REALTIME_MODEL}"
    session = await runner.run(model_config={"url": url, "api_key": "any key"})
    async with session, Heard(session) as heard, Microphone(session.send_audio) as microphone:
        microphone.speak(say(florist.NAME_LINE))
        await until_said(heard, florist.NAME_REPLY)
        assert heard.of("audio")
        await asyncio.sleep(3.0)  # the loudspeaker plays

        microphone.speak(say(florist.PRICE_LINE))
        called = await heard.until("tool_end")
        await until_said(heard, florist.NAME_REPLY, florist.PRICE_REPLY)
        await heard.until("audio_end", 2)
        await asyncio.sleep(2.0)

        microphone.speak(say(florist.ENDLESS_LINE))
        chunks = len(heard.of("audio"))
        await heard.until("audio", chunks + 1)
        await asyncio.sleep(3.0)
        microphone.speak(say(florist.STOP_LINE))
        await heard.until_so(
            lambda: said_in(heard)[-1:] == [florist.NAME_REPLY], "the answer to the line that interrupted"
        )
        cut = florist.check_cut_story(shop.model.prompts[-1])
        await until_said(heard, florist.NAME_REPLY, florist.PRICE_REPLY, cut, florist.NAME_REPLY)

    assert heard.of("audio_interrupted")
    assert florist.INSTRUCTIONS in shop.model.prompts[0][0]["content"]
    assert (called.tool.name, called.output) == ("get_price", florist.PRICE)
