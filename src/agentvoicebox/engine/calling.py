"""Tool calls of a response: the client's are shown to it, the server's are run and stay off the wire."""

from typing import Any, Literal

from agentvoicebox.engine.conversation import Entry
from agentvoicebox.engine.effects import OpenJob
from agentvoicebox.engine.jobs import CallTool, ChatMessage, ToolSpec
from agentvoicebox.engine.outputs import add_output, conversation_of, finish_output, out, record_item, send
from agentvoicebox.engine.response import Call, LiveResponse
from agentvoicebox.engine.state import State
from agentvoicebox.engine.step import Step
from agentvoicebox.wire import server_events as ev
from agentvoicebox.wire.items import FunctionCallItem, FunctionCallOutputItem

MAX_GENERATIONS = 8  # a model that only ever calls tools is stopped here


def write_call(state: State, step: Step, response: LiveResponse, index: int, name: str | None, arguments: str) -> None:
    """The model wrote on a tool call. A call without a name yet unseen is dropped: nothing can be done with it."""
    call = next((c for c in response.calls if c.index == index), None)
    if call is None:
        if not name:
            return
        for earlier in response.calls:
            finish_call(state, step, response, earlier)
        call = _open_call(state, step, response, index, name)
    call.arguments += arguments
    if call.output_index is not None and arguments:
        delta = ev.ResponseFunctionCallArgumentsDelta(**_call_ids(step, response, call), delta=arguments)
        send(response, step, delta)


def _open_call(state: State, step: Step, response: LiveResponse, index: int, name: str) -> Call:
    call = Call(index=index, item_id=step.ids.next("item"), call_id=step.ids.next("call"), name=name)
    response.calls.append(call)
    if not _is_server_tool(state, response, name):
        call.output_index = len(response.outputs)
        add_output(state, step, response, _call_item(call, "in_progress"))
    return call


def finish_call(
    state: State,
    step: Step,
    response: LiveResponse,
    call: Call,
    status: Literal["completed", "incomplete"] = "completed",
) -> None:
    """No more of this call will be written; `incomplete` when the model was stopped in the middle of it."""
    if call.is_written:
        return
    call.is_written = True
    if call.output_index is None:
        if status == "completed":
            entry = Entry(_call_item(call, status), response.id, is_hidden=True, is_provisional=response.is_provisional)
            conversation_of(state, response).add(entry)
        return
    done = ev.ResponseFunctionCallArgumentsDone(
        **_call_ids(step, response, call), name=call.name, arguments=call.arguments
    )
    send(response, step, done)
    finish_output(state, step, response, call.output_index, _call_item(call, status))


def run_tools(state: State, step: Step, response: LiveResponse) -> None:
    """Start the server tools that may start. While the turn is uncertain only those that merely read may."""
    read_only = {tool.name for tool in state.agent.server_tools if tool.is_read_only}
    for call in response.calls:
        if call.output_index is not None or call.job_id is not None:
            continue
        if response.is_provisional and call.name not in read_only:
            continue
        call.job_id = step.ids.next("job")
        step.do(OpenJob(call.job_id, CallTool(response.id, call.call_id, call.name, call.arguments)))


def note_result(state: State, step: Step, response: LiveResponse, call: Call, output: str) -> None:
    """A server tool answered: the model will read it, and the conversation keeps it."""
    call.output = output
    response.own.append(ChatMessage(role="tool", text=output, call_id=call.call_id))
    item = FunctionCallOutputItem(id=step.ids.next("item"), call_id=call.call_id, output=output)
    entry = Entry(item, response.id, is_hidden=True, is_provisional=response.is_provisional)
    conversation = conversation_of(state, response)
    conversation.add(entry)
    if response.is_default:
        out(response, step, record_item(entry))


def _is_server_tool(state: State, response: LiveResponse, name: str) -> bool:
    is_client = any(tool.get("type") == "function" and tool.get("name") == name for tool in response.config.tools)
    return not is_client and any(tool.name == name for tool in state.agent.server_tools)


def _call_item(call: Call, status: Literal["completed", "incomplete", "in_progress"]) -> FunctionCallItem:
    arguments = "" if status == "in_progress" else call.arguments
    return FunctionCallItem(id=call.item_id, call_id=call.call_id, name=call.name, arguments=arguments, status=status)


def _call_ids(step: Step, response: LiveResponse, call: Call) -> dict[str, Any]:
    return {
        "event_id": step.event_id(),
        "response_id": response.id,
        "item_id": call.item_id,
        "output_index": call.output_index,
        "call_id": call.call_id,
    }


def offered_tools(state: State, response: LiveResponse) -> tuple[ToolSpec, ...]:
    """The client's functions, then the server's own whose name the client did not take."""
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
        # `required` is for the first line; afterwards the model must be free to speak
        return choice if response.generations == 1 or choice != "required" else "auto"
    return f"function:{choice.get('name', '')}" if response.generations == 1 else "auto"
