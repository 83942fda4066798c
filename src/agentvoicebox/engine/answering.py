"""Responses on their way: from the words of a turn to the last chunk of audio, and their end, once.

Decides which events a response sends and in which order (§5 of the protocol page). A provisional response does the same,
but its events and audio are withheld until `release`, or forgotten by `drop`.
"""

import json
from typing import Any, Literal

import msgspec

from agentvoicebox.engine.conversation import Conversation, Entry
from agentvoicebox.engine.effects import CancelJob, Effect, OpenJob, Persist, Send, SendAudio
from agentvoicebox.engine.jobs import CallTool, ChatMessage, Generate, ToolCall, ToolSpec
from agentvoicebox.engine.playout import samples_ms
from agentvoicebox.engine.response import Call, Happened, LiveResponse, Message, Phase
from agentvoicebox.engine.speech import OPEN_JOBS, Chunk, Segment
from agentvoicebox.engine.state import State
from agentvoicebox.engine.step import Step
from agentvoicebox.wire import server_events as ev
from agentvoicebox.wire.items import (
    AudioPart,
    FunctionCallItem,
    FunctionCallOutputItem,
    Item,
    MessageItem,
    OutputAudio,
    OutputText,
    ResponsePart,
    TextPart,
)
from agentvoicebox.wire.response import ResponseError, ResponseStatus, StatusReason
from agentvoicebox.wire.session_config import SessionConfig

MAX_GENERATIONS = 8  # a model that only ever calls tools is stopped here
APOLOGY = "I'm sorry, I can't answer that right now. Please try again in a moment."
TOOL_FAILED = json.dumps({"error": "tool_unavailable"})


# -- beginning -------------------------------------------------------------------------------------------------------


def start(
    state: State,
    step: Step,
    config: SessionConfig,
    *,
    metadata: dict[str, str] | None = None,
    side: Conversation | None = None,
    base: tuple[ChatMessage, ...] | None = None,
    question: str | None = None,
) -> LiveResponse:
    """Begin a response; `question` makes it provisional (see LiveResponse)."""
    response = LiveResponse(
        id=step.ids.next("resp"),
        config=config,
        metadata=metadata,
        side=side,
        base=base,
        question=question,
        held=None if question is None else [],
    )
    state.responses[response.id] = response
    if response.is_default:
        state.idle_at_s = None
    created = response.to_wire(state.conversation_id)
    _send(response, step, ev.ResponseCreated(event_id=step.event_id(), response=created))
    go_on(state, step, response)
    return response


def go_on(state: State, step: Step, response: LiveResponse) -> None:
    """The words of the turn may be known by now: if so, let the model write."""
    if response.phase is Phase.WAITING and (response.base is not None or not state.conversation.awaits_transcript()):
        if response.base is None:
            response.base = state.conversation.messages()
        response.move(Happened.WORDS_KNOWN)
        _generate(state, step, response)


def _generate(state: State, step: Step, response: LiveResponse) -> None:
    response.generations += 1
    response.calls = []
    response.llm_job = step.ids.next("job")
    response.draft = ""
    limit = response.config.max_output_tokens
    tools = offered_tools(state, response)
    request = Generate(
        response_id=response.id,
        language_model=state.agent.language_model,
        instructions=response.config.instructions,
        messages=(*(response.base or ()), *response.own),
        tools=tools,
        tool_choice=_tool_choice(response) if tools else "none",
        max_output_tokens=limit if isinstance(limit, int) else None,
    )
    step.do(OpenJob(response.llm_job, request))


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


def _tool_choice(response: LiveResponse) -> str:
    if response.generations >= MAX_GENERATIONS:
        return "none"
    choice = response.config.tool_choice
    if isinstance(choice, str):
        # `required` is for the first line; afterwards the model must be free to speak
        return choice if response.generations == 1 or choice != "required" else "auto"
    return f"function:{choice.get('name', '')}" if response.generations == 1 else "auto"


# -- writing ---------------------------------------------------------------------------------------------------------


def write(state: State, step: Step, response: LiveResponse, text: str) -> None:
    """The model wrote on."""
    if not response.draft:
        text = text.lstrip()
        if not text:
            return
        if response.message is None:
            _open_message(state, step, response)
        elif response.message.text:
            text = f" {text}"
    response.draft += text
    message = response.message
    assert message is not None
    if response.has_audio:
        _speak(state, step, response, response.segmenter.feed(text))
    else:
        message.text += text
        _send(response, step, ev.ResponseOutputTextDelta(**_part_ids(step, response, message), delta=text))
        _update_entry(state, response, message, "in_progress")


def written(
    state: State, step: Step, response: LiveResponse, finish_reason: str, input_tokens: int, output_tokens: int
) -> None:
    """The model finished its line: finish its calls, run the server's tools, or only speak what is left."""
    response.llm_job = None
    response.input_tokens += input_tokens
    response.output_tokens += output_tokens
    if finish_reason == "length":
        response.incomplete = "max_output_tokens"
    elif finish_reason == "content_filter":
        response.incomplete = "content_filter"
    for call in response.calls:
        _finish_call(state, step, response, call)
    if any(call.output_index is None for call in response.calls):
        calls = tuple(ToolCall(call.call_id, call.name, call.arguments) for call in response.calls)
        response.own.append(ChatMessage(role="assistant", text=response.draft.strip(), tool_calls=calls))
        response.move(Happened.TOOLS_CALLED)
        if response.has_audio:
            _speak(state, step, response, response.segmenter.flush())
        run_tools(state, step, response)
    else:
        _all_written(state, step, response)


def _all_written(state: State, step: Step, response: LiveResponse) -> None:
    response.move(Happened.WRITTEN)
    if response.has_audio:
        _speak(state, step, response, response.segmenter.flush())
    finish_if_spoken(state, step, response)


def _open_message(state: State, step: Step, response: LiveResponse) -> None:
    message = Message(item_id=step.ids.next("item"), output_index=len(response.outputs))
    response.message = message
    item = MessageItem(id=message.item_id, role="assistant", content=(), status="in_progress")
    _add_output(state, step, response, item)
    part: ResponsePart = AudioPart(transcript="") if response.has_audio else TextPart(text="")
    _send(response, step, ev.ResponseContentPartAdded(**_part_ids(step, response, message), part=part))


def _add_output(state: State, step: Step, response: LiveResponse, item: Item) -> None:
    """A response has a further item: tell the client, twice if it enters the conversation."""
    output_index = len(response.outputs)
    response.outputs.append(item)
    entry = Entry(item, response_id=response.id, is_provisional=response.is_provisional)
    conversation = _conversation(state, response)
    conversation.add(entry)
    _send(
        response,
        step,
        ev.ResponseOutputItemAdded(
            event_id=step.event_id(), response_id=response.id, output_index=output_index, item=item
        ),
    )
    if response.is_default:
        previous = conversation.previous_id(entry)
        added = ev.ConversationItemAdded(event_id=step.event_id(), previous_item_id=previous, item=item)
        _send(response, step, added)


def _finish_output(state: State, step: Step, response: LiveResponse, output_index: int, item: Item) -> None:
    """An item is final: tell the client, and the records."""
    response.outputs[output_index] = item
    conversation = _conversation(state, response)
    entry = conversation.find(item.id)
    if entry is not None:
        if not entry.is_truncated:
            entry.item = item
        if response.is_default:
            previous = conversation.previous_id(entry)
            done = ev.ConversationItemDone(event_id=step.event_id(), previous_item_id=previous, item=item)
            _send(response, step, done)
            _out(response, step, record_item(entry))
    _send(
        response,
        step,
        ev.ResponseOutputItemDone(
            event_id=step.event_id(), response_id=response.id, output_index=output_index, item=item
        ),
    )


# -- tools -----------------------------------------------------------------------------------------------------------


def write_call(state: State, step: Step, response: LiveResponse, index: int, name: str | None, arguments: str) -> None:
    """The model wrote on a tool call. A call without a name yet unseen is dropped: nothing can be done with it."""
    call = next((c for c in response.calls if c.index == index), None)
    if call is None:
        if not name:
            return
        for earlier in response.calls:
            _finish_call(state, step, response, earlier)
        call = _open_call(state, step, response, index, name)
    call.arguments += arguments
    if call.output_index is not None and arguments:
        delta = ev.ResponseFunctionCallArgumentsDelta(**_call_ids(step, response, call), delta=arguments)
        _send(response, step, delta)


def _open_call(state: State, step: Step, response: LiveResponse, index: int, name: str) -> Call:
    call = Call(index=index, item_id=step.ids.next("item"), call_id=step.ids.next("call"), name=name)
    response.calls.append(call)
    if not _is_server_tool(state, response, name):
        call.output_index = len(response.outputs)
        _add_output(state, step, response, _call_item(call, "in_progress"))
    return call


def _finish_call(state: State, step: Step, response: LiveResponse, call: Call) -> None:
    if call.is_written:
        return
    call.is_written = True
    if call.output_index is None:
        _conversation(state, response).add(
            Entry(_call_item(call, "completed"), response.id, is_hidden=True, is_provisional=response.is_provisional)
        )
        return
    done = ev.ResponseFunctionCallArgumentsDone(
        **_call_ids(step, response, call), name=call.name, arguments=call.arguments
    )
    _send(response, step, done)
    _finish_output(state, step, response, call.output_index, _call_item(call, "completed"))


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


def tool_returned(state: State, step: Step, response: LiveResponse, call: Call, output: str) -> None:
    """A server tool answered: once all have, the model goes on, unless the client owes results too."""
    call.output = output
    response.own.append(ChatMessage(role="tool", text=output, call_id=call.call_id))
    item = FunctionCallOutputItem(id=step.ids.next("item"), call_id=call.call_id, output=output)
    entry = Entry(item, response.id, is_hidden=True, is_provisional=response.is_provisional)
    conversation = _conversation(state, response)
    conversation.add(entry)
    if response.is_default:
        _out(response, step, record_item(entry))
    server_calls = [c for c in response.calls if c.output_index is None]
    if all(c.output is not None for c in server_calls):
        if len(server_calls) < len(response.calls):
            _all_written(state, step, response)
        else:
            response.move(Happened.TOOLS_RETURNED)
            _generate(state, step, response)


def _is_server_tool(state: State, response: LiveResponse, name: str) -> bool:
    is_client = any(tool.get("type") == "function" and tool.get("name") == name for tool in response.config.tools)
    return not is_client and any(tool.name == name for tool in state.agent.server_tools)


def _call_item(call: Call, status: Literal["completed", "incomplete", "in_progress"]) -> FunctionCallItem:
    arguments = "" if status == "in_progress" else call.arguments
    return FunctionCallItem(id=call.item_id, call_id=call.call_id, name=call.name, arguments=arguments, status=status)


# -- speaking --------------------------------------------------------------------------------------------------------


def _speak(state: State, step: Step, response: LiveResponse, texts: list[str]) -> None:
    response.speech.add(texts)
    open_speech(state, step, response)


def open_speech(state: State, step: Step, response: LiveResponse) -> None:
    """Open the synthesis jobs that credits allow. A provisional response only gets its first segment ready."""
    response.speech.open_due(
        step,
        response.id,
        response.config.voice,
        response.config.speed,
        ahead_ms=state.playout.remaining_ms(step.now_s),
        limit=1 if response.is_provisional else OPEN_JOBS,
    )


def chunk_ready(state: State, step: Step, response: LiveResponse, segment: Segment, chunk: Chunk) -> None:
    """A chunk of audio: send it if its segment's turn has come, else let it wait."""
    segment.waiting.append(chunk)
    _send_waiting(state, step, response)


def segment_done(state: State, step: Step, response: LiveResponse, segment: Segment) -> None:
    """A segment is synthesised to its end (or can't be: then only its words are sent)."""
    segment.is_synthesised = True
    _send_waiting(state, step, response)
    open_speech(state, step, response)
    finish_if_spoken(state, step, response)


def _send_waiting(state: State, step: Step, response: LiveResponse) -> None:
    speech, message = response.speech, response.message
    assert message is not None
    while speech.current < len(speech.segments):
        segment = speech.segments[speech.current]
        if segment.waiting or segment.is_synthesised:
            _announce(step, response, message, segment)
        for chunk in segment.waiting:
            _send_chunk(state, step, response, message, segment, chunk)
        segment.waiting = []
        if not segment.is_synthesised:
            break
        speech.current += 1
    _update_entry(state, response, message, "in_progress")


def _announce(step: Step, response: LiveResponse, message: Message, segment: Segment) -> None:
    """Send a segment's words just before its sound, so that the transcript never runs ahead of the voice."""
    if segment.is_announced:
        return
    segment.is_announced = True
    segment.start_ms = message.sent_ms
    delta = segment.text if not message.text else f" {segment.text}"
    message.text += delta
    _send(response, step, ev.ResponseOutputAudioTranscriptDelta(**_part_ids(step, response, message), delta=delta))


def _send_chunk(
    state: State, step: Step, response: LiveResponse, message: Message, segment: Segment, chunk: Chunk
) -> None:
    segment.sent_samples += chunk.sample_count
    message.sent_samples += chunk.sample_count
    if not response.is_provisional:
        _played(state, step, chunk.sample_count)
    _out(
        response,
        step,
        SendAudio(
            event_id=step.event_id(),
            response_id=response.id,
            item_id=message.item_id,
            output_index=message.output_index,
            content_index=0,
            job_id=chunk.job_id,
            sequence=chunk.sequence,
            format=response.config.output_format,
        ),
    )


def _played(state: State, step: Step, sample_count: int) -> None:
    state.playout.sent(step.now_s, samples_ms(sample_count))
    state.has_spoken = True


def finish_if_spoken(state: State, step: Step, response: LiveResponse) -> None:
    """End the response when everything is written and said."""
    if response.phase is Phase.SPEAKING and response.speech.is_idle and not response.is_provisional:
        if response.failure is not None:
            end(state, step, response, "failed")
        elif response.incomplete is not None:
            end(state, step, response, "incomplete", response.incomplete)
        else:
            end(state, step, response, "completed")


# -- certainty -------------------------------------------------------------------------------------------------------


def release(state: State, step: Step, response: LiveResponse) -> None:
    """The turn is over after all: everything withheld happens now, in its order."""
    held, response.held, response.question = response.held or [], None, None
    for entry in state.conversation.entries:
        if entry.response_id == response.id:
            entry.is_provisional = False
    for effect in held:
        step.do(effect)
    if response.message is not None and response.message.sent_samples:
        _played(state, step, response.message.sent_samples)
    if response.phase is Phase.CALLING:
        run_tools(state, step, response)
    open_speech(state, step, response)
    finish_if_spoken(state, step, response)


def drop(state: State, step: Step, response: LiveResponse) -> None:
    """The caller goes on: the response never was."""
    for job_id in response.jobs():
        step.do(CancelJob(job_id))
    state.conversation.entries = [e for e in state.conversation.entries if e.response_id != response.id]
    del state.responses[response.id]


# -- ending ----------------------------------------------------------------------------------------------------------


def fail(state: State, step: Step, response: LiveResponse, code: str, message: str) -> None:
    """The language model failed for good: say so, in words if the caller has heard none yet, then end as failed."""
    response.llm_job = None
    response.failure = ResponseError(type="server_error", code=code, message=message)
    if response.message is None and response.is_default:
        write(state, step, response, APOLOGY)
    for call in response.calls:
        _close_call(state, step, response, call)
    _all_written(state, step, response)


def end(
    state: State, step: Step, response: LiveResponse, status: ResponseStatus, reason: StatusReason | None = None
) -> None:
    """End a response, once: stop its jobs, close what is open, send `response.done`."""
    for job_id in response.jobs():
        step.do(CancelJob(job_id))
    message = response.message
    if message is not None and message.is_open:
        _close_message(state, step, response, message, "completed" if status == "completed" else "incomplete")
    for call in response.calls:
        _close_call(state, step, response, call)
    response.move(Happened.ENDED)
    if response.is_default:
        _forget_unanswered(state, response)
        state.conversation.settle(response.id)
        _plan_idle(state, step)
    del state.responses[response.id]
    final = response.to_wire(state.conversation_id, status, reason)
    _send(response, step, ev.ResponseDone(event_id=step.event_id(), response=final))
    _out(response, step, Persist(record_id=response.id, kind="response", body=msgspec.to_builtins(final)))


def _close_message(
    state: State, step: Step, response: LiveResponse, message: Message, status: Literal["completed", "incomplete"]
) -> None:
    message.is_open = False
    part: ResponsePart
    if response.has_audio:
        _send(response, step, ev.ResponseOutputAudioDone(**_part_ids(step, response, message)))
        _send(
            response,
            step,
            ev.ResponseOutputAudioTranscriptDone(**_part_ids(step, response, message), transcript=message.text),
        )
        part = AudioPart(transcript=message.text)
    else:
        _send(response, step, ev.ResponseOutputTextDone(**_part_ids(step, response, message), text=message.text))
        part = TextPart(text=message.text)
    _send(response, step, ev.ResponseContentPartDone(**_part_ids(step, response, message), part=part))
    item = _update_entry(state, response, message, status)
    _finish_output(state, step, response, message.output_index, item)


def _close_call(state: State, step: Step, response: LiveResponse, call: Call) -> None:
    """Close a call that the model never finished."""
    if call.is_written or call.output_index is None:
        return
    call.is_written = True
    done = ev.ResponseFunctionCallArgumentsDone(
        **_call_ids(step, response, call), name=call.name, arguments=call.arguments
    )
    _send(response, step, done)
    _finish_output(state, step, response, call.output_index, _call_item(call, "incomplete"))


def _forget_unanswered(state: State, response: LiveResponse) -> None:
    """Hidden calls whose tool never answered leave no trace: a model must not wait for them."""
    answered = {e.item.call_id for e in state.conversation.entries if isinstance(e.item, FunctionCallOutputItem)}
    state.conversation.entries = [
        e
        for e in state.conversation.entries
        if not (e.is_hidden and isinstance(e.item, FunctionCallItem) and e.item.call_id not in answered)
    ]


def _plan_idle(state: State, step: Step) -> None:
    detection = state.config.turn_detection
    if detection is None or detection.idle_timeout_ms is None or state.config.type != "realtime":
        return
    played_s = step.now_s + state.playout.remaining_ms(step.now_s) / 1000
    state.idle_at_s = played_s + detection.idle_timeout_ms / 1000


# -- small things ----------------------------------------------------------------------------------------------------


def _update_entry(
    state: State, response: LiveResponse, message: Message, status: Literal["completed", "incomplete", "in_progress"]
) -> MessageItem:
    """Bring the message's entry up to date with what was sent of it."""
    part = OutputAudio(transcript=message.text) if response.has_audio else OutputText(text=message.text)
    item = MessageItem(id=message.item_id, role="assistant", content=(part,), status=status)
    entry = _conversation(state, response).find(message.item_id)
    if entry is not None and not entry.is_truncated:
        entry.item = item
        entry.said = response.speech.said()
        entry.sent_ms = message.sent_ms
    return item


def record_item(entry: Entry) -> Persist:
    """The record of an item as it stands."""
    body: dict[str, Any] = {
        "item": msgspec.to_builtins(entry.item),
        "response_id": entry.response_id,
        "transcript": entry.transcript,
        "is_hidden": entry.is_hidden,
        "sent_ms": round(entry.sent_ms),
        "heard_ms": None if entry.heard_ms is None else round(entry.heard_ms),
    }
    return Persist(record_id=entry.item.id, kind="item", body=body)


def _conversation(state: State, response: LiveResponse) -> Conversation:
    return state.conversation if response.side is None else response.side


def _out(response: LiveResponse, step: Step, effect: Effect) -> None:
    """Do an effect of a response, or withhold it while the turn is uncertain."""
    if response.held is None:
        step.do(effect)
    else:
        response.held.append(effect)


def _send(response: LiveResponse, step: Step, event: ev.ServerEvent) -> None:
    _out(response, step, Send(event))


def _part_ids(step: Step, response: LiveResponse, message: Message) -> dict[str, Any]:
    return {
        "event_id": step.event_id(),
        "response_id": response.id,
        "item_id": message.item_id,
        "output_index": message.output_index,
        "content_index": 0,
    }


def _call_ids(step: Step, response: LiveResponse, call: Call) -> dict[str, Any]:
    return {
        "event_id": step.event_id(),
        "response_id": response.id,
        "item_id": call.item_id,
        "output_index": call.output_index,
        "call_id": call.call_id,
    }
