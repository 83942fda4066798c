"""What has begun to change the world is not undone by an interruption: it ends, once, and the conversation knows."""

import pytest
from tests.kit.conversation import BOOK, LOOKUP, Call, Talk

from agentvoicebox.engine import effects as fx
from agentvoicebox.engine import inputs as i
from agentvoicebox.engine.jobs import CallTool, ChatMessage, Generate
from agentvoicebox.engine.session import Engine
from agentvoicebox.engine.tool_calls import MAX_GENERATIONS, OUTCOME_UNKNOWN, PENDING, TOOL_FAILED
from agentvoicebox.wire import client_events as ce
from agentvoicebox.wire.items import FunctionCallItem, FunctionCallOutputItem

AT_TEN = '{"at":"10:00"}'
DONE = '{"booked":"10:00"}'


def booking(talk: Talk, arguments: str = AT_TEN) -> fx.OpenJob:
    """The caller asks, the model books."""
    talk.speech(0, 16_000, "Send somebody at ten.")
    talk.model("One moment. ", calls=[Call(BOOK, arguments)])
    job: fx.OpenJob = talk.open_job("call_tool")
    return job


def interrupting(talk: Talk, text: str) -> None:
    """The caller speaks into the answer; the recogniser has the words at the pause."""
    talk.give(i.SpeechStarted(40_000))
    talk.give(i.SpeechPaused(56_000))
    turn = talk.engine.state.buffer.turn
    assert turn is not None
    talk.give(i.Transcribed(turn.job_id, text, 56_000))


def tool_lines(talk: Talk) -> list[str]:
    return [message.text for message in talk.engine.state.conversation.messages() if message.role == "tool"]


def bookings(talk: Talk) -> int:
    opened = [e.request for e in talk.effects if isinstance(e, fx.OpenJob)]
    return sum(isinstance(request, CallTool) and request.name == BOOK for request in opened)


def test_a_tool_job_names_the_agent_whose_tool_it_is() -> None:
    request = booking(Talk()).request
    assert isinstance(request, CallTool)
    assert (request.agent, request.name, request.arguments) == ("delivery", BOOK, AT_TEN)


@pytest.mark.parametrize("how", ["barge-in", "response.cancel"])
def test_an_interruption_leaves_a_side_effect_running_and_its_result_reaches_the_next_generation(how: str) -> None:
    talk = Talk()
    job = booking(talk)
    talk.clear()
    if how == "barge-in":
        talk.give(i.SpeechStarted(40_000))
    else:
        talk.client(ce.ResponseCancel())
    assert talk.sent[-1].response.status == "cancelled"
    assert fx.CancelJob(job.job_id) not in talk.effects
    assert tool_lines(talk) == [PENDING]
    talk.give(i.ToolReturned(job.job_id, DONE))
    assert tool_lines(talk) == [DONE]
    talk.client(ce.ResponseCreate())
    request = talk.open_job("generate").request
    assert isinstance(request, Generate)
    call = next(m for m in request.messages if m.tool_calls)
    after = request.messages[request.messages.index(call) + 1]
    assert after == ChatMessage(role="tool", text=DONE, call_id=call.tool_calls[0].call_id)
    assert bookings(talk) == 0 and talk.open_job("call_tool", missing_ok=True) is None


def test_the_late_result_is_recorded_once() -> None:
    talk = Talk()
    job = booking(talk)
    talk.give(i.SpeechStarted(40_000))
    talk.clear()
    talk.give(i.ToolReturned(job.job_id, DONE))
    talk.give(i.ToolReturned(job.job_id, DONE))
    records = [e.body["item"] for e in talk.effects if isinstance(e, fx.Persist)]
    assert [record["output"] for record in records] == [DONE]  # type: ignore[index]


def test_a_read_only_tool_stops_with_its_response() -> None:
    talk = Talk()
    talk.speech(0, 16_000, "Where is it?")
    talk.model(calls=[Call(LOOKUP, "{}")])
    job = talk.open_job("call_tool")
    talk.give(i.SpeechStarted(40_000))
    assert fx.CancelJob(job.job_id) in talk.effects
    assert tool_lines(talk) == []


def test_a_late_result_makes_an_answer_void_that_was_prepared_without_it() -> None:
    talk = Talk()
    job = booking(talk)
    interrupting(talk, "Did it work?")
    talk.model("I am still at it.")
    talk.give(i.ToolReturned(job.job_id, DONE))
    talk.give(i.SpeechStopped(64_000, 56_000))
    assert [m.text for m in talk.open_job("generate").request.messages if m.role == "tool"] == [DONE]


def test_the_outcome_of_a_failed_side_effect_is_unknown() -> None:
    for tool, output in ((BOOK, OUTCOME_UNKNOWN), (LOOKUP, TOOL_FAILED)):
        talk = Talk()
        talk.speech(0, 16_000, "Please.")
        talk.model(calls=[Call(tool, "{}")])
        talk.give(i.JobFailed(talk.open_job("call_tool").job_id, "internal_error", "the worker failed"))
        assert tool_lines(talk) == [output]


def test_a_detached_side_effect_survives_a_snapshot() -> None:
    talk = Talk()
    job = booking(talk)
    talk.give(i.SpeechStarted(40_000))
    restored = Engine.restore(talk.engine.snapshot())
    restored.receive(i.ToolReturned(job.job_id, DONE), talk.now_s)
    assert DONE in [m.text for m in restored.state.conversation.messages()]


def test_a_response_beside_the_conversation_keeps_its_late_result_in_the_records_alone() -> None:
    talk = Talk(modality="text")
    talk.client(ce.ResponseCreate(response=ce.ResponseOptions(conversation="none")))
    talk.model(calls=[Call(BOOK, AT_TEN)])
    job = talk.open_job("call_tool")
    response_id = next(e.response.id for e in talk.sent if e.__struct_config__.tag == "response.created")
    talk.client(ce.ResponseCancel(response_id=response_id))
    talk.clear()
    talk.give(i.ToolReturned(job.job_id, DONE))
    assert tool_lines(talk) == []
    assert [e.body["item"]["output"] for e in talk.effects if isinstance(e, fx.Persist)] == [DONE]  # type: ignore[index]


def test_a_client_cannot_answer_for_a_tool_of_the_server() -> None:
    talk = Talk()
    booking(talk)
    hidden = next(e.item for e in talk.engine.state.conversation.entries if e.is_hidden)
    assert isinstance(hidden, FunctionCallItem)
    forged = FunctionCallOutputItem(call_id=hidden.call_id, output=DONE)
    talk.client(ce.ConversationItemCreate(item=forged))
    assert talk.sent[-1].error.code == "invalid_tool_call_id"


def test_a_model_may_call_no_more_tools_in_its_last_generation() -> None:
    talk = Talk()
    talk.speech(0, 16_000, "Where is my parcel?")
    choices = []
    for number in range(1, MAX_GENERATIONS):
        choices.append(talk.open_job("generate").request.tool_choice)
        talk.model(calls=[Call(LOOKUP, f'{{"tracking_id":"{number}"}}')])
        talk.tool("{}")
    assert choices == ["auto"] * (MAX_GENERATIONS - 1)
    assert talk.open_job("generate").request.tool_choice == "none"


def test_a_required_tool_call_is_required_once() -> None:
    talk = Talk()
    talk.client(ce.ResponseCreate(response=ce.ResponseOptions(tool_choice="required")))
    assert talk.open_job("generate").request.tool_choice == "required"
    talk.model(calls=[Call(LOOKUP, "{}")])
    talk.tool("{}")
    assert talk.open_job("generate").request.tool_choice == "auto"


def test_a_function_of_the_client_replaces_the_servers_tool_of_that_name() -> None:
    talk = Talk(client_tool=LOOKUP)
    talk.speech(0, 16_000, "Where is my parcel?")
    offered = [(tool.name, tool.description) for tool in talk.open_job("generate").request.tools]
    assert offered == [(LOOKUP, ""), (BOOK, "Book a courier.")]
