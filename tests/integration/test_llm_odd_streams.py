"""What servers stream otherwise than OpenAI's is read as it is meant, over real HTTP."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.kit.chat_server import ChatServer, chat_server, spoken
from tests.kit.odd_stream import TOOLS, OddStream
from tests.kit.odd_streams import NOTHING_SAID, ROWS
from tests.kit.odd_texts import THOUGHTS

from agentvoicebox.engine.inputs import Generated, TextDelta, ToolCallDelta
from agentvoicebox.engine.jobs import ChatMessage, Generate
from agentvoicebox.errors import BadProviderAnswer, ProviderError
from agentvoicebox.ports.language_model import LifeSign
from agentvoicebox.providers.llm.answer_reader import AnswerReader
from agentvoicebox.providers.llm.openai_compatible import Delta, OpenAICompatibleLlm
from agentvoicebox.providers.llm.registry import LanguageModels, Server

pytestmark = pytest.mark.requirement("A9")

REQUEST = Generate("resp_1", "openai", "Be kind.", (ChatMessage("user", "hello"),), TOOLS)


@pytest.fixture
async def server() -> AsyncIterator[ChatServer]:
    async with chat_server() as made:
        yield made


async def written(llm: OpenAICompatibleLlm) -> list[Delta]:
    try:
        return [delta async for delta in llm.generate(REQUEST, "job_1")]
    finally:
        await llm.close()


def model(server: ChatServer, name: str = "m") -> OpenAICompatibleLlm:
    return OpenAICompatibleLlm(base_url=server.url, model=name, read_timeout_s=5.0)


def text_of(deltas: list[Any]) -> str:
    return "".join(delta.text for delta in deltas if isinstance(delta, TextDelta))


def calls_of(deltas: list[Any]) -> list[tuple[str, Any]]:
    """Names and arguments by our number; the first piece of each call has its name."""
    calls: dict[int, tuple[str, str]] = {}
    for delta in deltas:
        if isinstance(delta, ToolCallDelta):
            if delta.index not in calls:
                assert delta.name and delta.index == len(calls)
                calls[delta.index] = (delta.name, "")
            else:
                assert delta.name is None
            name, arguments = calls[delta.index]
            calls[delta.index] = (name, arguments + delta.arguments)
    return [(name, parsed(arguments)) for name, arguments in calls.values()]


def parsed(arguments: str) -> Any:
    try:
        return json.loads(arguments)
    except ValueError:
        return arguments


def check(row: OddStream, deltas: list[Any]) -> None:
    assert text_of(deltas).strip() == row.text
    assert calls_of(deltas) == list(row.calls)
    assert isinstance(deltas[-1], Generated) and deltas[-1].finish_reason == row.reason
    text_of(deltas).encode()


async def test_each_odd_stream_is_read_as_it_is_meant(server: ChatServer) -> None:
    for number, row in enumerate(ROWS, start=1):
        server.scripts = [row.script()]
        check(row, await written(model(server)))
        assert len(server.asked) == number, row


async def test_an_empty_answer_is_asked_for_once_more_and_is_then_an_error(server: ChatServer) -> None:
    for row in NOTHING_SAID:
        server.asked.clear()
        server.scripts = [row.script(), spoken("Hello.")]
        assert text_of(await written(model(server))) == "Hello.", row
        server.scripts = [row.script(), row.script(), spoken("Hello.")]
        with pytest.raises(BadProviderAnswer, match="empty") as raised:
            await written(model(server))
        assert not raised.value.retryable and len(server.asked) == 4, row


async def test_nothing_but_words_calls_and_the_end_leaves_the_guard(server: ChatServer) -> None:
    models = LanguageModels([Server("openai", server.url, model="m")])
    for row in THOUGHTS:
        server.scripts = [row.script()]
        got = [delta async for delta in models.get("openai").llm.generate(REQUEST, "job_1")]
        assert not any(isinstance(delta, LifeSign) for delta in got)
        check(row, got)
    await models.close()


SILENT_OPENING = OddStream(
    "", [{"content": each} for each in ("Hmm, ", "hello.", "</thi", "nk>", "\n\nHello there.")], "Hello there."
)


async def test_a_template_that_begins_the_thought_is_learnt_from_its_first_end(server: ChatServer) -> None:
    llm = OpenAICompatibleLlm(base_url=server.url, model="m")
    stream = SILENT_OPENING._replace(finish="stop").script()
    server.scripts = [stream, stream, spoken("Hello."), spoken("Hi ", "you.")]
    first, *later = [[delta async for delta in llm.generate(REQUEST, "job_1")] for _ in range(4)]
    assert "</think>" not in text_of(first)
    assert [text_of(each).strip() for each in later] == ["Hello there.", "Hello.", "Hi you."]
    assert len([delta for delta in later[-1] if isinstance(delta, TextDelta)]) == 2, "not held any more"
    await llm.close()


async def test_a_model_known_to_think_is_held_from_the_first_answer_on(server: ChatServer) -> None:
    server.scripts = [SILENT_OPENING._replace(finish="stop").script()]
    got = await written(model(server, "deepseek-r1:8b"))
    assert text_of(got).strip() == "Hello there." and isinstance(got[0], LifeSign)


async def test_a_model_whose_server_separates_thoughts_is_not_held(server: ChatServer) -> None:
    row = OddStream("", [{"reasoning_content": "Hm"}, {"content": "Hello "}, {"content": "there."}], finish="stop")
    server.scripts = [row.script()]
    got = await written(model(server, "qwq"))
    assert [delta.text for delta in got if isinstance(delta, TextDelta)] == ["Hello ", "there."]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_after_any_stream_the_answer_ends_and_its_calls_are_whole(data: st.DataObject) -> None:
    """Rows one after the other, cut anywhere, with chunks missing."""
    rows = data.draw(st.lists(st.sampled_from([*ROWS, *NOTHING_SAID]), min_size=1, max_size=4))
    places = data.draw(st.lists(st.integers(0, 50), min_size=1, max_size=5))
    chunks = [piece for row in rows for piece in row.cut(places) if data.draw(st.integers(0, 9))]
    reader = AnswerReader("job_1", [tool.name for tool in TOOLS], begins_inside=data.draw(st.booleans()))
    got: list[Any] = []
    for piece in chunks:
        body = piece.removeprefix("data: ").strip()
        got += [] if body == "[DONE]" else reader.feed(json.loads(body))
    got += reader.finish()
    calls = calls_of(got)
    text = text_of(got)
    text.encode()
    assert "<think>" not in text and "<tool_call>" not in text
    assert reader.is_empty == (not text.strip() and not calls)
    if reader.is_ended:
        end = reader.generated(input_tokens=7)
        assert end.finish_reason in ("stop", "tool_calls", "length", "content_filter") and end.input_tokens == 7
        if end.finish_reason == "tool_calls":
            assert calls and all(isinstance(arguments, dict) for _, arguments in calls)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(ROWS), st.lists(st.integers(0, 80), min_size=1, max_size=6))
def test_a_text_cut_anywhere_is_read_as_the_whole(row: OddStream, places: list[int]) -> None:
    reader = AnswerReader("job_1", [tool.name for tool in TOOLS])
    bodies = [piece.removeprefix("data: ").strip() for piece in row.cut(places)]
    got: list[Any] = [delta for body in bodies if body != "[DONE]" for delta in reader.feed(json.loads(body))]
    check(row, [*got, *reader.finish(), reader.generated(input_tokens=0)])


@pytest.mark.parametrize(
    "body",
    [
        "<html><body>Bad gateway</body></html>",
        '{"id":"c","choices":[{"index":0,"message":{"content":"Hi"},"finish_reason":"stop"}]}',
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"}}]}\n\n",
        "data: 7\n\ndata: null\n\ndata: [DONE]\n\n",
        "data: [[[[\n\n",
        "",
    ],
)  # fmt: skip
async def test_what_is_no_stream_of_chunks_is_a_typed_error(server: ChatServer, body: str) -> None:
    server.scripts = [[body]] * 2
    with pytest.raises(ProviderError):
        await written(model(server))


@pytest.mark.parametrize(
    "delta",
    [
        {"content": "<think>" + "x" * 100_000},
        {"tool_calls": [{"index": 0, "function": {"arguments": "x" * 100_000}}]},
        {"content": "<tool_call>" + "x" * 100_000},
    ],
)
def test_an_answer_that_only_grows_within_what_is_held_is_an_error(delta: dict[str, Any]) -> None:
    reader = AnswerReader("job_1", ["get_time"])
    with pytest.raises(BadProviderAnswer, match="too long"):
        for _ in range(100):
            assert not any(isinstance(each, TextDelta) for each in reader.feed({"choices": [{"delta": delta}]}))


def test_calls_without_end_are_an_error() -> None:
    reader = AnswerReader("job_1", ["get_time"])
    with pytest.raises(BadProviderAnswer, match="128 tool calls"):
        for number in range(1_000):
            call = {"index": number, "id": f"c{number}", "function": {"arguments": ""}}
            reader.feed({"choices": [{"delta": {"tool_calls": [call]}}]})


@pytest.mark.parametrize(("end", "said"), [("<think", ""), ("</thi", ""), ("<tool_ca", ""), ("1 <", "1 <"), ("[", "[")])
def test_a_tag_that_the_end_cuts_off_is_no_text(end: str, said: str) -> None:
    reader = AnswerReader("job_1", ["get_time"])
    found = [
        *reader.feed({"choices": [{"delta": {"content": f"Hello. {end}"}, "finish_reason": "length"}]}),
        *reader.finish(),
    ]
    assert text_of(found).strip() == f"Hello. {said}".strip()
