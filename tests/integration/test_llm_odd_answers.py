"""However a language model's server streams, a response ends with calls that can be executed, with words, or the apology."""

from typing import Any

import pytest
from tests.kit.chat_server import ChatServer, chat_server, spoken
from tests.kit.conversation import Talk
from tests.kit.odd_stream import TOOLS, OddStream
from tests.kit.odd_streams import NOTHING_SAID, ROWS

from agentvoicebox.engine import inputs as i
from agentvoicebox.engine.invariants import Invariants
from agentvoicebox.engine.jobs import CallTool, Generate, Synthesise
from agentvoicebox.engine.tool_calls import is_json_object
from agentvoicebox.errors import ProviderError
from agentvoicebox.providers.llm.openai_compatible import OpenAICompatibleLlm
from agentvoicebox.wire import client_events as ce
from agentvoicebox.wire import server_events as ev
from agentvoicebox.wire.items import FunctionCallItem, MessageItem, OutputAudio, OutputText

pytestmark = pytest.mark.requirement("C8")

SERVER_TOOLS = tuple(i.ServerTool(tool.name, tool.description, tool.parameters, is_read_only=True) for tool in TOOLS)
MOST_ANSWERS = 10  # of the model in one response, beyond which it would go on without end


def talk_with(owner: str, modality: str) -> Talk:
    """A session whose tools belong to the client, to the server, or to neither."""
    return Talk(
        modality=modality,
        client_tools=TOOLS if owner == "client" else (),
        server_tools=SERVER_TOOLS if owner == "server" else (),
        answers_noise=False,
    )


async def play(talk: Talk, server: ChatServer) -> Any:
    """One response to its end, with workers of every kind. The invariants hold at each step."""
    llm = OpenAICompatibleLlm(base_url=server.url, model="m")
    check = Invariants().check
    check(talk.engine, None, talk.effects, talk.now_s)

    def give(given: i.Input) -> None:
        check(talk.engine, given, talk.give(given), talk.now_s)

    give(i.ClientEventReceived(ce.ResponseCreate(), 0))
    try:
        while talk.jobs:
            job = talk.jobs[0]
            match job.request:
                case Generate():
                    try:
                        async for delta in llm.generate(job.request, job.job_id):
                            if isinstance(delta, i.TextDelta | i.ToolCallDelta | i.Generated):
                                give(delta)
                    except ProviderError as error:
                        give(i.JobFailed(job.job_id, error.code or "", error.message))
                case Synthesise():
                    give(i.AudioSynthesised(job.job_id, 1, 2_400))
                    give(i.SynthesisDone(job.job_id))
                case CallTool():
                    give(i.ToolReturned(job.job_id, '{"degrees":7}'))
    finally:
        await llm.close()
    (done,) = (event.response for event in talk.sent if isinstance(event, ev.ResponseDone))
    return done


def words_of(output: tuple[Any, ...]) -> str:
    """All that was said."""
    parts = [part for item in output if isinstance(item, MessageItem) for part in item.content]
    texts = [part.text for part in parts if isinstance(part, OutputText)]
    return " ".join([*texts, *(str(part.transcript) for part in parts if isinstance(part, OutputAudio))])


@pytest.mark.parametrize("modality", ["text", "audio"])
@pytest.mark.parametrize("owner", ["client", "server", "neither"])
async def test_after_any_answer_the_response_ends_with_words_or_a_call(owner: str, modality: str) -> None:
    async with chat_server() as server:
        for row in (*ROWS, *NOTHING_SAID):
            server.asked.clear()
            server.scripts = [row.script(), *([spoken("It is seven degrees.")] * MOST_ANSWERS)]
            done = await play(talk_with(owner, modality), server)
            assert len(server.asked) <= MOST_ANSWERS, row.name
            check_response(done, row, owner, modality)


def check_response(done: Any, row: OddStream, owner: str, modality: str) -> None:
    """A response after an odd answer."""
    calls = [item for item in done.output if isinstance(item, FunctionCallItem)]
    assert owner == "client" or not calls, (row.name, "only what the client offered is shown to it")
    for call in calls:
        assert call.status == "incomplete" or is_json_object(call.arguments), (row.name, call)
    said = words_of(done.output)
    assert not any(tag in said for tag in ("<think", "</think", "<tool_call", "[TOOL_CALLS]", "<function=")), row.name
    is_owed = any(call.status == "completed" for call in calls)
    has_words = any(character.isalnum() for character in said) or (modality == "text" and bool(said))
    assert is_owed or has_words, (row.name, done)


@pytest.mark.parametrize(
    "fault", ["ends at once", "ends early", "cut", "garbage", "error inside", "400", "404", "500", "503"]
)
@pytest.mark.parametrize("modality", ["text", "audio"])
async def test_a_server_that_fails_for_good_is_apologised_for(fault: str, modality: str) -> None:
    talk = talk_with("neither", modality)
    async with chat_server() as server:
        server.trouble = fault
        done = await play(talk, server)
    assert done.status == "failed"
    assert any(character.isalnum() for character in words_of(done.output))
