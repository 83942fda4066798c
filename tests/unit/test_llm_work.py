"""How a stream becomes records, and how a later attempt goes on without saying anything twice."""

from collections.abc import AsyncGenerator

import msgspec
import pytest
from tests.kit.scripted_llm import ScriptedLlm

from agentvoicebox.engine.inputs import Generated, TextDelta, ToolCallDelta
from agentvoicebox.engine.jobs import ChatMessage, Generate
from agentvoicebox.errors import BadProviderAnswer
from agentvoicebox.ports.broker import JobKind, JobResult
from agentvoicebox.providers.llm.chat import CONTINUE_PROMPT, chat_messages
from agentvoicebox.workers.llm import (
    MAX_TEXT_BYTES,
    Delta,
    PublishedText,
    bounded,
    continued,
    merged,
    skipped,
)

JOB = "job_1"
REQUEST = Generate("resp_1", "openai", "Be kind.", (ChatMessage("user", "where is it?"),))


async def stream(*deltas: Delta) -> AsyncGenerator[Delta, None]:
    for delta in deltas:
        yield delta


def text(deltas: list[Delta]) -> str:
    return "".join(delta.text for delta in deltas if isinstance(delta, TextDelta))


def test_pieces_that_came_together_leave_together() -> None:
    batch: list[Delta] = [
        TextDelta(JOB, "It "), TextDelta(JOB, "is."), ToolCallDelta(JOB, 0, "f", ""), ToolCallDelta(JOB, 0, None, "{"),
        ToolCallDelta(JOB, 0, None, "}"), ToolCallDelta(JOB, 1, "g", "{}"), Generated(JOB),
    ]  # fmt: skip
    assert merged(batch) == [
        TextDelta(JOB, "It is."), ToolCallDelta(JOB, 0, "f", "{}"), ToolCallDelta(JOB, 1, "g", "{}"), Generated(JOB),
    ]  # fmt: skip


def test_what_was_said_is_read_from_the_records() -> None:
    bodies = [
        TextDelta(JOB, "It "),
        TextDelta(JOB, "is"),
        ToolCallDelta(JOB, 0, "f", "{"),
        ToolCallDelta(JOB, 0, None, "}"),
    ]
    records = [JobResult(JOB, JobKind.LLM, n, 1, msgspec.msgpack.encode(body)) for n, body in enumerate(bodies, 1)]
    assert PublishedText.of(records) == PublishedText("It is", {0: "{}"})


@pytest.mark.parametrize("cut", range(len("It is out for delivery.") + 1))
async def test_a_deterministic_line_goes_on_from_any_place(cut: int) -> None:
    whole = "It is out for delivery."
    deltas = stream(*(TextDelta(JOB, piece) for piece in ("It", " is", " out for", " delivery.")), Generated(JOB))
    rest = [delta async for delta in skipped(deltas, PublishedText(whole[:cut]))]
    assert whole[:cut] + text(rest) == whole
    assert rest[-1] == Generated(JOB)


async def test_a_tool_call_goes_on_within_its_arguments() -> None:
    deltas = stream(ToolCallDelta(JOB, 0, "f", '{"a"'), ToolCallDelta(JOB, 0, None, ":1}"), Generated(JOB))
    rest = [delta async for delta in skipped(deltas, PublishedText(calls={0: '{"a":'}))]
    assert rest == [ToolCallDelta(JOB, 0, None, "1}"), Generated(JOB)]


@pytest.mark.parametrize(
    ("said", "line", "whole"),
    [
        ("It is out", (" for", " delivery."), "It is out for delivery."),
        ("It is out", ("for delivery.",), "It is out for delivery."),
        ("It is out", ("It is", " out for delivery."), "It is out for delivery."),
        ("It is out", ("It will come.",), "It is out It will come."),
        ("It is out.", ("It is out.",), "It is out."),
        ("It is out", (",", " I think."), "It is out, I think."),
    ],
)
async def test_another_model_is_asked_to_go_on_and_repeats_nothing(
    said: str, line: tuple[str, ...], whole: str
) -> None:
    llm = ScriptedLlm(line)
    rest = [delta async for delta in continued(llm, REQUEST, JOB, said)]
    assert said + text(rest) == whole
    assert llm.requests[0].messages[-1] == ChatMessage("assistant", said)
    chat = chat_messages(llm.requests[0])
    assert [line["content"] for line in chat[-2:]] == [said, CONTINUE_PROMPT] and chat[-1]["role"] == "user"
    assert isinstance(rest[-1], Generated)


async def test_an_answer_without_end_is_cut_off_by_its_length() -> None:
    piece = "x" * 1_000

    async def endless() -> AsyncGenerator[Delta, None]:
        while True:
            yield TextDelta("job_1", piece)

    written = [delta async for delta in bounded(endless(), "job_1", PublishedText(text=piece))]
    *texts, last = written
    assert len(text(list(texts))) + len(piece) <= MAX_TEXT_BYTES < len(text(list(texts))) + 2 * len(piece)
    assert isinstance(last, Generated) and last.finish_reason == "length"


async def test_tool_calls_without_end_are_an_invalid_answer() -> None:
    async def endless() -> AsyncGenerator[Delta, None]:
        index = 0
        while True:
            yield ToolCallDelta("job_1", index := index + 1, "look_up", "")

    with pytest.raises(BadProviderAnswer, match="too long"):
        async for _ in bounded(endless(), "job_1", PublishedText()):
            pass
