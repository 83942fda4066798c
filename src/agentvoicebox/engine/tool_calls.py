"""Tool calls of a response: calls of the client's functions are sent to it, the server's tools run and stay off the wire.

A tool that changes the world (`is_read_only` false) starts only when the turn is certain. Once started it runs to its end, also
when its response ends before: the conversation then shows it as pending, and later holds its result. A tool that only reads
stops with its response. The tool ledger (`tools/ledger`) carries out a repeated call only once: nothing here looks into
arguments, so a log with masked text is replayed with the same decisions.
"""

from typing import Any, Literal

import msgspec

from agentvoicebox.engine import rules
from agentvoicebox.engine.conversation import Entry
from agentvoicebox.engine.effects import CancelJob, OpenJob
from agentvoicebox.engine.jobs import CallTool, ChatMessage, ToolSpec
from agentvoicebox.engine.outputs import add_output, conversation_of, emit, finish_output, record_item, send
from agentvoicebox.engine.response import LiveResponse
from agentvoicebox.engine.state import State
from agentvoicebox.engine.step import Step
from agentvoicebox.engine.tool_call import CallEvent, CallPhase, DetachedCall, LiveToolCall
from agentvoicebox.wire import server_events as ev
from agentvoicebox.wire.items import FunctionCallItem, FunctionCallOutputItem

MAX_GENERATIONS = 8  # a model that calls tools without end is stopped here
PENDING = '{"status":"pending"}'
TOOL_FAILED = '{"error":"tool_unavailable"}'
OUTCOME_UNKNOWN = '{"error":"outcome_unknown"}'
INVALID_ARGUMENTS = '{"error":"invalid_arguments","message":"the arguments are no JSON object"}'
NO_ARGUMENTS = "{}"  # what a client can parse, for a tool without parameters


def write_call(state: State, step: Step, response: LiveResponse, index: int, name: str | None, arguments: str) -> None:
    """The model wrote more of a tool call. The first piece of a call must have its name, else it is ignored."""
    call = next((c for c in response.calls if c.index == index), None)
    if call is None:
        if not name:
            return
        if state.rules == rules.FIRST:
            for earlier in response.calls:
                finish_call(state, step, response, earlier)
        call = _open_call(state, step, response, index, name)
    _add_arguments(step, response, call, arguments)


def _open_call(state: State, step: Step, response: LiveResponse, index: int, name: str) -> LiveToolCall:
    call = LiveToolCall(index=index, item_id=step.ids.next("item"), call_id=step.ids.next("call"), name=name)
    response.calls.append(call)
    is_client = any(tool.get("type") == "function" and tool.get("name") == name for tool in response.config.tools)
    is_server = not is_client and any(tool.name == name for tool in state.agent.server_tools)
    if is_client or (state.rules == rules.FIRST and not is_server):
        call.output_index = len(response.outputs)
        add_output(state, step, response, _call_item(call, "in_progress"))
    else:
        call.is_unknown = not is_server
    return call


def _add_arguments(step: Step, response: LiveResponse, call: LiveToolCall, arguments: str) -> None:
    call.arguments += arguments
    if call.output_index is not None and arguments:
        delta = ev.ResponseFunctionCallArgumentsDelta(**_call_ids(step, response, call), delta=arguments)
        send(response, step, delta)


def complete_calls(state: State, step: Step, response: LiveResponse, *, is_cut_off: bool) -> None:
    """The model finished its line. A call without arguments has an empty object; one that holds no JSON object is incomplete.

    Args:
        state: of the session.
        step: collects the effects.
        response: whose calls they are.
        is_cut_off: the model was stopped by a limit, so a call without arguments was cut before them.
    """
    for call in response.calls:
        if call.phase is not CallPhase.WRITING:
            continue
        if state.rules == rules.FIRST:
            finish_call(state, step, response, call)
            continue
        if call.is_unknown:
            call.apply(CallEvent.REFUSED)
            continue
        if not call.arguments.strip() and not is_cut_off:
            _add_arguments(step, response, call, NO_ARGUMENTS)
        finish_call(state, step, response, call, "completed" if is_json_object(call.arguments) else "incomplete")


def refusals(state: State, response: LiveResponse) -> list[ChatMessage]:
    """What the model reads of its calls that can't be run."""
    known = [tool.name for tool in offered_tools(state, response)]
    answers = []
    for call in response.calls:
        match call.phase:
            case CallPhase.REFUSED:
                output = msgspec.json.encode({"error": "unknown_tool", "tools": known}).decode()
            case CallPhase.CUT_OFF:
                output = INVALID_ARGUMENTS
            case _:
                continue
        answers.append(ChatMessage(role="tool", text=output, call_id=call.call_id))
    return answers


def finish_call(
    state: State,
    step: Step,
    response: LiveResponse,
    call: LiveToolCall,
    status: Literal["completed", "incomplete"] = "completed",
) -> None:
    """Complete a call, or mark it `incomplete` when the model was stopped in the middle of it. Later calls do nothing."""
    if call.phase is not CallPhase.WRITING:
        return
    call.apply(CallEvent.WRITTEN if status == "completed" else CallEvent.CUT_OFF)
    if call.output_index is None:
        if status == "completed":
            entry = Entry(_call_item(call, status), response.id, is_hidden=True, is_provisional=response.is_provisional)
            conversation_of(state, response).add(entry)
            if response.is_default:
                emit(response, step, record_item(entry))
        return
    done = ev.ResponseFunctionCallArgumentsDone(
        **_call_ids(step, response, call), name=call.name, arguments=call.arguments
    )
    send(response, step, done)
    finish_output(state, step, response, call.output_index, _call_item(call, status))


def run_tools(state: State, step: Step, response: LiveResponse) -> None:
    """Start the server tools that may start: while the turn is uncertain, only those that read."""
    read_only = {tool.name for tool in state.agent.server_tools if tool.is_read_only}
    for call in response.calls:
        if not call.is_server_tool or call.phase is not CallPhase.WRITTEN:
            continue
        call.has_effects = call.name not in read_only
        if call.has_effects and response.is_provisional:
            continue
        call.job_id = step.ids.next("job")
        call.apply(CallEvent.STARTED)
        request = CallTool(response.id, call.call_id, call.name, call.arguments, state.agent.name)
        step.emit(OpenJob(call.job_id, request))


def add_result(state: State, step: Step, response: LiveResponse, call: LiveToolCall, output: str) -> None:
    """A server tool returned: add its result to what the model reads and to the conversation."""
    call.apply(CallEvent.RETURNED)
    call.output = output
    response.tool_messages.append(ChatMessage(role="tool", text=output, call_id=call.call_id))
    item = FunctionCallOutputItem(id=step.ids.next("item"), call_id=call.call_id, output=output)
    entry = Entry(item, response.id, is_hidden=True, is_provisional=response.is_provisional)
    conversation = conversation_of(state, response)
    conversation.add_result(entry)
    if response.is_default:
        emit(response, step, record_item(entry))


def detach(state: State, step: Step, response: LiveResponse) -> None:
    """A response ends: its running side effects go on without it, with a pending result in the conversation."""
    for call in response.calls:
        if not call.is_running or call.job_id is None:
            continue
        if not call.has_effects:
            call.apply(CallEvent.CANCELLED)
            continue
        call.apply(CallEvent.DETACHED)
        item = FunctionCallOutputItem(id=step.ids.next("item"), call_id=call.call_id, output=PENDING)
        state.detached[call.job_id] = DetachedCall(call.call_id, response.id, item.id or "", response.is_default)
        if response.is_default:
            state.conversation.add_result(Entry(item, response.id, is_hidden=True))


def finish_detached(state: State, step: Step, job_id: str, output: str) -> None:
    """A side effect returned after its response ended: its result replaces the pending one, and is recorded."""
    call = state.detached.pop(job_id)
    call.apply(CallEvent.RETURNED)
    item = FunctionCallOutputItem(id=call.output_item_id, call_id=call.call_id, output=output)
    entry = next((e for e in state.conversation.entries if e.is_hidden and e.item.id == item.id), None)
    if entry is None:  # of a response beside the conversation
        entry = Entry(item, call.response_id, is_hidden=True)
    entry.item = item
    step.emit(record_item(entry))


def abandon_detached(state: State, step: Step) -> None:
    """The session ends: the results of its side effects stay unknown. A worker that has begun one still completes it."""
    for job_id in list(state.detached):
        step.emit(CancelJob(job_id))
        finish_detached(state, step, job_id, OUTCOME_UNKNOWN)


def failed_output(state: State, job_id: str) -> str:
    """What a model reads of a tool whose job failed for good. A side effect may have happened nevertheless."""
    calls = [call for response in state.responses.values() for call in response.calls]
    has_effects = any(call.job_id == job_id and call.has_effects for call in calls)
    return OUTCOME_UNKNOWN if has_effects or job_id in state.detached else TOOL_FAILED


def is_json_object(text: str) -> bool:
    """Whether text is one whole JSON object."""
    try:
        return isinstance(msgspec.json.decode(text.encode()), dict)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return False


def _call_item(call: LiveToolCall, status: Literal["completed", "incomplete", "in_progress"]) -> FunctionCallItem:
    arguments = "" if status == "in_progress" else call.arguments
    return FunctionCallItem(id=call.item_id, call_id=call.call_id, name=call.name, arguments=arguments, status=status)


def _call_ids(step: Step, response: LiveResponse, call: LiveToolCall) -> dict[str, Any]:
    return {
        "event_id": step.event_id(),
        "response_id": response.id,
        "item_id": call.item_id,
        "output_index": call.output_index,
        "call_id": call.call_id,
    }


def offered_tools(state: State, response: LiveResponse) -> tuple[ToolSpec, ...]:
    """The client's functions, then the server's tools whose name no function of the client has."""
    client = [
        ToolSpec(tool["name"], tool.get("description") or "", tool.get("parameters") or {})
        for tool in response.config.tools
        if tool.get("type") == "function"
    ]
    taken = {tool.name for tool in client}
    server = [ToolSpec(t.name, t.description, t.parameters) for t in state.agent.server_tools if t.name not in taken]
    return (*client, *server)


def tool_choice(response: LiveResponse) -> str:
    """What the model may do with its tools in this generation."""
    if response.generations >= MAX_GENERATIONS:
        return "none"
    choice = response.config.tool_choice
    if isinstance(choice, str):
        # `required` is for the first line; afterwards the model must be free to answer
        return choice if response.generations == 1 or choice != "required" else "auto"
    return f"function:{choice.get('name', '')}" if response.generations == 1 else "auto"
