"""Two language model servers behind a live call: the first fails in every way, the second answers, and the first is asked again.

Everything is real but the voice: a gateway, the store, the language worker, HTTP servers that stream.
"""

from contextlib import AsyncExitStack

import pytest
from tests.kit.chat_server import chat_server
from tests.kit.client import Client
from tests.kit.language_call import call_over

pytestmark = pytest.mark.requirement("A9")

FIRST, SECOND = "Good morning from the first.", "Good morning from the second."
ASK = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "good morning"}]}


async def answer(client: Client) -> tuple[str, str]:
    """Of a typed turn: how it ended, and what was said."""
    await client.send("conversation.item.create", item=ASK)
    await client.send("response.create")
    response = (await client.until("response.done"))["response"]
    return response["status"], response["output"][0]["content"][0]["transcript"]


async def heard(client: Client, *degraded: str) -> None:
    """Wait until the client has been told that exactly this does not work."""
    updates = client.of("session.updated")
    while not updates or updates[-1]["session"]["degraded"] != list(degraded):
        updates = [await client.until("session.updated")]


@pytest.mark.parametrize("trouble", ["hang", "503", "429", "ends at once", "refused"])
async def test_the_second_server_answers_while_the_first_fails_and_the_first_once_it_is_back(
    redis_url: str, trouble: str
) -> None:
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(chat_server(FIRST))
        second = await stack.enter_async_context(chat_server(SECOND))
        client = await stack.enter_async_context(call_over(redis_url, first, second))
        assert await answer(client) == ("completed", FIRST)
        if trouble == "refused":
            asked, port = len(first.asked), first.port
            await first.close()
        else:
            first.trouble, asked, port = trouble, len(first.asked), 0
        for _ in range(1 if trouble == "hang" else 3):
            assert await answer(client) == ("completed", SECOND)
        assert not client.of("session.updated"), "a language model was there all the time"
        if trouble == "refused":
            first = await stack.enter_async_context(chat_server(FIRST, port=port))
        else:
            assert len(first.asked) > asked
            first.trouble = ""
        said = ""
        while said != FIRST:  # as soon as its breaker lets one request try
            status, said = await answer(client)
            assert status == "completed"
        assert await answer(client) == ("completed", FIRST)


@pytest.mark.requirement("C8")
async def test_an_answer_that_breaks_in_the_middle_goes_on_where_the_caller_stopped_hearing(redis_url: str) -> None:
    async with chat_server("Good morning. And ", "so on.") as first, chat_server("a good day.") as second:
        async with call_over(redis_url, first, second) as client:
            first.faults, first.trouble = ["cut"], "503"
            status, said = await answer(client)
        assert (status, said) == ("completed", "Good morning. And a good day.")
        assert second.asked[0]["messages"][-2]["content"].startswith("Good morning.")


@pytest.mark.requirement("C8")
async def test_with_every_server_away_the_client_is_told_and_hears_an_apology_until_one_is_back(redis_url: str) -> None:
    async with (
        chat_server(FIRST) as first,
        chat_server(SECOND) as second,
        call_over(redis_url, first, second) as client,
    ):
        first.trouble = second.trouble = "503"
        status, said = await answer(client)
        assert status == "failed" and "I'm sorry" in said
        assert client.of("response.output_audio.delta"), "it is spoken"
        await heard(client, "language_model_unavailable")
        second.trouble = ""
        await heard(client)
        assert await answer(client) == ("completed", SECOND)
