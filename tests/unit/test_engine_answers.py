"""Whatever a language model writes, its calls are whole or incomplete, and the caller hears words or the apology."""

from typing import Any

import msgspec
import pytest
from tests.kit.conversation import BOOK, LOOKUP, Call, Talk

from agentvoicebox.engine import inputs as i
from agentvoicebox.engine.answering import APOLOGY
from agentvoicebox.engine.jobs import Generate
from agentvoicebox.engine.tool_calls import INVALID_ARGUMENTS, MAX_GENERATIONS
from agentvoicebox.wire import client_events as ce
from agentvoicebox.wire import server_events as ev

pytestmark = pytest.mark.requirement("C8")

TOOL = "get_weather"


def asked(talk: Talk) -> Generate:
    """The open generation's request."""
    request = talk.open_job("generate").request
    assert isinstance(request, Generate)
    return request


def begun(modality: str = "text", client_tool: str | None = TOOL) -> Talk:
    talk = Talk(modality=modality, client_tool=client_tool)
    talk.client(ce.ResponseCreate())
    talk.clear()
    return talk


def pieces(talk: Talk, *written: tuple[int, str | None, str], finish: str = "tool_calls") -> None:
    job_id = talk.open_job("generate").job_id
    for index, name, arguments in written:
        talk.give(i.ToolCallDelta(job_id, index, name, arguments))
    talk.give(i.Generated(job_id, finish, 10, 5))


def done(talk: Talk) -> Any:
    """The ended response."""
    return next(event.response for event in talk.sent if isinstance(event, ev.ResponseDone))


def said(talk: Talk) -> str:
    """All that a text response said."""
    return "".join(event.delta for event in talk.sent if isinstance(event, ev.ResponseOutputTextDelta))


# -- calls of the client's functions ---------------------------------------------------------------------------------


def test_arguments_of_two_calls_that_arrive_interleaved_stay_apart() -> None:
    talk = begun()
    pieces(talk, (0, TOOL, ""), (1, TOOL, ""), (0, None, '{"city":'), (1, None, "{}"), (0, None, '"Oslo"}'))
    assert [(item.arguments, item.status) for item in done(talk).output] == [
        ('{"city":"Oslo"}', "completed"),
        ("{}", "completed"),
    ]


@pytest.mark.parametrize("arguments", ["", " ", "\n"])
def test_a_call_without_arguments_has_an_empty_object(arguments: str) -> None:
    talk = begun()
    pieces(talk, (0, TOOL, arguments))
    written = [event.delta for event in talk.sent if isinstance(event, ev.ResponseFunctionCallArgumentsDelta)]
    finished = [event for event in talk.sent if isinstance(event, ev.ResponseFunctionCallArgumentsDone)]
    assert "".join(written).strip() == "{}"  # for clients that join the deltas
    assert finished[0].arguments.strip() == "{}"
    assert done(talk).output[0].arguments.strip() == "{}"


@pytest.mark.parametrize("finish", ["length", "content_filter"])
@pytest.mark.parametrize("arguments", ['{"city": "Os', "", '["Oslo"]', '"Oslo"'])
def test_a_call_that_a_limit_cut_is_incomplete_and_the_caller_is_told(finish: str, arguments: str) -> None:
    talk = begun()
    pieces(talk, (0, TOOL, arguments), finish=finish)
    assert done(talk).status == "incomplete"
    assert done(talk).output[0].status == "incomplete"
    assert said(talk) == APOLOGY


@pytest.mark.parametrize("arguments", ['{"city": "Os', "Oslo", "[]", "{}{}"])
def test_broken_arguments_are_incomplete_and_the_model_is_told(arguments: str) -> None:
    talk = begun()
    pieces(talk, (0, TOOL, arguments))
    told = asked(talk).messages[-1]
    assert (told.role, told.text) == ("tool", INVALID_ARGUMENTS)
    talk.model("Which city?")
    assert [item.status for item in done(talk).output] == ["incomplete", "completed"]
    assert said(talk) == "Which city?"


def test_a_whole_call_beside_a_broken_one_is_left_to_the_client() -> None:
    talk = begun()
    pieces(talk, (0, TOOL, '{"city":"Oslo"}'), (1, TOOL, '{"ci'))
    assert [item.status for item in done(talk).output] == ["completed", "incomplete"]
    assert talk.open_job("generate", missing_ok=True) is None


# -- tools that nobody has -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["get_wether", f"functions.{LOOKUP}", LOOKUP.upper(), "x" * 200])
def test_an_invented_tool_is_not_shown_and_the_model_is_told_which_there_are(name: str) -> None:
    talk = begun()
    talk.model(calls=[Call(name, "{}")])
    told = msgspec.json.decode(asked(talk).messages[-1].text)
    assert told == {"error": "unknown_tool", "tools": [TOOL, LOOKUP, BOOK]}
    talk.model("I can't do that.")
    assert [type(item).__name__ for item in done(talk).output] == ["MessageItem"]
    assert said(talk) == "I can't do that."


def test_a_call_of_the_server_s_tool_beside_an_invented_one_runs_and_both_are_answered() -> None:
    talk = begun(client_tool=None)
    talk.model(calls=[Call(LOOKUP, '{"tracking_id":"PKG004"}'), Call("look_further", "{}")])
    talk.tool('{"speech":"It is here."}')
    results = {message.call_id: message.text for message in asked(talk).messages if message.role == "tool"}
    calls = next(message.tool_calls for message in asked(talk).messages if message.tool_calls)
    assert results[calls[0].call_id] == '{"speech":"It is here."}'
    assert "unknown_tool" in results[calls[1].call_id]


def test_a_model_that_invents_tools_without_end_is_stopped_with_the_apology() -> None:
    talk = begun(client_tool=None)
    for _ in range(MAX_GENERATIONS):
        talk.model(calls=[Call("look_further", "{}")])
    assert talk.open_job("generate", missing_ok=True) is None
    assert said(talk) == APOLOGY
    assert done(talk).status == "failed"


def test_a_model_that_calls_a_real_tool_without_end_is_stopped_too() -> None:
    talk = begun(client_tool=None)
    for _ in range(MAX_GENERATIONS - 1):
        talk.model(calls=[Call(LOOKUP, "{}")])
        talk.tool("{}")
    talk.model(calls=[Call(LOOKUP, "{}")])
    assert talk.jobs == []
    assert said(talk) == APOLOGY


@pytest.mark.parametrize("arguments", ['{"tracking_id": "PK', "[]"])
def test_broken_arguments_of_the_server_s_tool_run_nothing(arguments: str) -> None:
    talk = begun(client_tool=None)
    talk.model(calls=[Call(BOOK, arguments)])
    assert talk.open_job("call_tool", missing_ok=True) is None
    assert asked(talk).messages[-1].text == INVALID_ARGUMENTS


# -- answers without words -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", " ", "\n\n", "👍", "...", "—"])
@pytest.mark.parametrize("finish", ["stop", "tool_calls"])
def test_an_answer_that_says_nothing_ends_in_the_apology(text: str, finish: str) -> None:
    talk = begun("audio")
    job_id = talk.open_job("generate").job_id
    if text:
        talk.give(i.TextDelta(job_id, text))
    talk.give(i.Generated(job_id, finish, 10, 0))
    while talk.open_job("speak", missing_ok=True):
        talk.voice(2_400)
    assert done(talk).status == "failed"
    assert done(talk).status_details.error.code == "empty_answer"
    assert APOLOGY in done(talk).output[0].content[0].transcript


def test_a_written_answer_of_one_emoji_is_an_answer() -> None:
    talk = begun()
    talk.model("👍")
    assert (done(talk).status, said(talk)) == ("completed", "👍")


def test_a_limit_that_leaves_no_word_is_incomplete_with_the_apology() -> None:
    talk = begun()
    talk.give(i.Generated(talk.open_job("generate").job_id, "length", 10, 4_096))
    assert (done(talk).status, said(talk)) == ("incomplete", APOLOGY)


def test_an_empty_answer_beside_the_conversation_is_just_empty() -> None:
    talk = Talk(modality="text")
    talk.client(ce.ResponseCreate(response=ce.ResponseOptions(conversation="none")))
    talk.give(i.Generated(talk.open_job("generate").job_id, "stop", 10, 0))
    assert (done(talk).status, done(talk).output) == ("completed", ())


# -- usage -----------------------------------------------------------------------------------------------------------


def test_a_cancelled_answer_counts_what_the_model_read_and_wrote() -> None:
    talk = Talk(modality="text")
    talk.speech(0, 16_000, "Tell me about the harbour of Hamburg, please.", is_speculated=False)
    talk.give(i.TextDelta(talk.open_job("generate").job_id, "The harbour is old."))
    talk.client(ce.ResponseCancel())
    usage = done(talk).usage
    assert usage.input_tokens >= 10
    assert usage.output_tokens >= 4


def test_an_answer_that_was_counted_is_not_estimated_as_well() -> None:
    talk = begun("audio")
    talk.model("It is here. And it is whole.")
    talk.client(ce.ResponseCancel())
    assert done(talk).usage.input_tokens == 10
