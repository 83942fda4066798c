"""The life of a response: from the transcript of a turn to the last chunk of audio, and its end, once.

Decides when a response generates, calls tools, speaks and ends. A provisional response does the same, but its output is
withheld until `release`, or discarded by `drop`.
"""

from typing import Literal

import msgspec
from msgspec import UNSET

from agentvoicebox.engine import reading, rules, synthesis, tool_calls
from agentvoicebox.engine.conversation import Conversation, Entry, chat_messages, is_typed
from agentvoicebox.engine.effects import CancelJob, OpenJob, Persist
from agentvoicebox.engine.inputs import Generated
from agentvoicebox.engine.jobs import ChatMessage, Generate, ToolCall
from agentvoicebox.engine.outputs import add_output, emit, finish_output, part_ids, send, update_entry
from agentvoicebox.engine.response import LiveResponse, Message, ResponseEvent, ResponsePhase
from agentvoicebox.engine.segment_queue import Segment
from agentvoicebox.engine.state import State
from agentvoicebox.engine.step import Step
from agentvoicebox.engine.tool_call import CallEvent, CallPhase, LiveToolCall
from agentvoicebox.wire import server_events as ev
from agentvoicebox.wire.items import (
    AudioPart,
    FunctionCallItem,
    FunctionCallOutputItem,
    MessageItem,
    ResponsePart,
    TextPart,
)
from agentvoicebox.wire.response import ResponseError, ResponseStatus, StatusReason
from agentvoicebox.wire.session_config import SessionConfig

APOLOGY = "I'm sorry, I can't answer that right now. Please try again in a moment."
NO_WORDS = ResponseError(
    type="server_error", code="empty_answer", message="The language model answered without a word."
)
NOT_UNDERSTOOD = "I'm sorry, I couldn't make out what you said. Could you say it again?"
NOT_UNDERSTOOD_SAY_OR_TYPE = "I'm sorry, I couldn't make out what you said. Please say it again, or type it."


def start(
    state: State,
    step: Step,
    config: SessionConfig,
    *,
    metadata: dict[str, str] | None = None,
    side: Conversation | None = None,
    input: list[str | Entry] | None = None,
    question_item_id: str | None = None,
    turn_item_id: str | None = None,
) -> LiveResponse:
    """Begin a response; `question_item_id` makes it provisional (see LiveResponse)."""
    response = LiveResponse(
        id=step.ids.next("resp"),
        config=config,
        metadata=metadata,
        side=side,
        input=input,
        question_item_id=question_item_id,
        turn_item_id=turn_item_id,
        held=None if question_item_id is None else [],
    )
    state.responses[response.id] = response
    if response.is_default:
        state.idle_at_s = None
        if not response.is_provisional:
            response.interruption, state.interruption = state.interruption, None
    created = response.to_wire(state.conversation_id)
    send(response, step, ev.ResponseCreated(event_id=step.event_id(), response=created))
    generate_when_ready(state, step, response)
    return response


def generate_when_ready(state: State, step: Step, response: LiveResponse) -> None:
    """Start the first generation, unless the response waits for a transcript that is not known yet."""
    if response.phase is not ResponsePhase.WAITING:
        return
    entries = reading.entries_to_read(state, response)
    waits = state.rules > rules.FIRST or (response.is_default and response.input is None)
    if waits and any(entry.awaits_transcript for entry in entries):
        return
    response.context = chat_messages(entries, marks_typed=state.rules >= rules.THIRD)
    response.apply(ResponseEvent.TRANSCRIPT_KNOWN)
    visible = [entry for entry in entries if not entry.is_hidden]
    failure = visible[-1].failure if waits and visible else None
    is_wordless = reading.is_wordless(state, response)
    if response.is_default and response.input is None and not response.is_provisional:
        if failure is None:
            reading.note_read(state)
        else:
            response.given_up = tuple(state.unanswered)
    if failure is not None:  # without the text a model would answer the previous line again
        may_type = state.rules < rules.THIRD or any(is_typed(entry.item) for entry in entries)
        fail(state, step, response, *failure, apology=NOT_UNDERSTOOD_SAY_OR_TYPE if may_type else NOT_UNDERSTOOD)
    elif is_wordless:
        _go_on_after_noise(state, step, response)
    else:
        _generate(state, step, response)


def _go_on_after_noise(state: State, step: Step, response: LiveResponse) -> None:
    """Nothing was said. An answer that was cut goes on where the caller stopped hearing it; else there is none."""
    cut = response.interruption
    rest = "" if cut is None else reading.unplayed(state, cut)
    if cut is not None and cut.is_unwritten:
        _generate(state, step, response)
        return
    if rest:
        add_text(state, step, response, rest)
    _finish_text(state, step, response)


def _generate(state: State, step: Step, response: LiveResponse) -> None:
    response.generations += 1
    response.calls = []
    response.llm_job = step.ids.next("job")
    response.draft = ""
    limit = response.config.max_output_tokens
    tools = tool_calls.offered_tools(state, response)
    truncation = response.config.truncation
    request = Generate(
        response_id=response.id,
        language_model=state.agent.language_model,
        instructions=response.config.instructions,
        messages=(*(response.context or ()), *response.tool_messages),
        tools=tools,
        tool_choice=tool_calls.tool_choice(response) if tools else "none",
        max_output_tokens=limit if isinstance(limit, int) else None,
        truncation=UNSET if truncation == "auto" or state.rules == rules.FIRST else truncation,
        options=state.agent.language_model_options,
    )
    step.emit(OpenJob(response.llm_job, request))


def add_text(state: State, step: Step, response: LiveResponse, text: str) -> None:
    """The language model wrote more text."""
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
        synthesis.add_segments(state, step, response, response.segmenter.feed(text))
    else:
        message.text += text
        send(response, step, ev.ResponseOutputTextDelta(**part_ids(step, response, message), delta=text))
        update_entry(state, response, message, "in_progress")


def generation_done(state: State, step: Step, response: LiveResponse, done: Generated) -> None:
    """The model finished its line: finish its calls, then run the server's tools or synthesise what is left."""
    response.llm_job = None
    response.input_tokens += done.input_tokens
    response.output_tokens += done.output_tokens
    if done.without_images is True and response.input is None:
        state.conversation.leave_images_out()
    if done.left_out and response.context is not None:
        _leave_out(state, response, min(done.left_out, len(response.context)))
    if done.finish_reason == "length":
        response.incomplete = "max_output_tokens"
    elif done.finish_reason == "content_filter":
        response.incomplete = "content_filter"
    tool_calls.complete_calls(state, step, response, is_cut_off=response.incomplete is not None)
    is_running = any(call.is_server_tool and call.phase is CallPhase.WRITTEN for call in response.calls)
    refused = [] if response.incomplete else tool_calls.refusals(state, response)
    is_owed = any(call.is_owed_by_client for call in response.calls)
    may_go_on = response.generations < tool_calls.MAX_GENERATIONS or state.rules == rules.FIRST
    if may_go_on and (is_running or (refused and not is_owed)):
        calls = tuple(ToolCall(call.call_id, call.name, call.arguments) for call in response.calls)
        response.tool_messages.append(ChatMessage(role="assistant", text=response.draft.strip(), tool_calls=calls))
        response.tool_messages += refused
        response.apply(ResponseEvent.TOOLS_CALLED)
        if response.has_audio:
            synthesis.add_segments(state, step, response, response.segmenter.flush())
        if is_running:
            tool_calls.run_tools(state, step, response)
        else:
            response.apply(ResponseEvent.TOOLS_RETURNED)
            _generate(state, step, response)
    else:
        _all_text_written(state, step, response)


def _leave_out(state: State, response: LiveResponse, count: int) -> None:
    """The model was not given the first messages: they would not fit next time, either."""
    response.context = (response.context or ())[count:]
    if response.input is None:
        state.conversation.leave_out(count)


def say(state: State, step: Step, response: LiveResponse, text: str) -> None:
    """Let a response say fixed words, and nothing else. They are no part of any prompt."""
    add_text(state, step, response, text)
    entry = None if response.message is None else state.conversation.find(response.message.item_id)
    if entry is not None:
        entry.is_left_out = True
    _finish_text(state, step, response)


def _all_text_written(state: State, step: Step, response: LiveResponse) -> None:
    """All text is there: synthesise the rest of it. A caller who would hear nothing hears the apology."""
    if response.has_audio:
        synthesis.add_segments(state, step, response, response.segmenter.flush())
    is_owed = any(call.is_owed_by_client for call in response.calls)
    if state.rules > rules.FIRST and response.is_default and not response.has_words and not is_owed:
        if response.failure is None and response.incomplete is None:
            response.failure = NO_WORDS
        response.draft = ""
        add_text(state, step, response, APOLOGY)
    _finish_text(state, step, response)


def _finish_text(state: State, step: Step, response: LiveResponse) -> None:
    if response.has_audio:
        synthesis.add_segments(state, step, response, response.segmenter.flush())
    response.apply(ResponseEvent.TEXT_WRITTEN)
    end_if_all_sent(state, step, response)


def _open_message(state: State, step: Step, response: LiveResponse) -> None:
    message = Message(item_id=step.ids.next("item"), output_index=len(response.outputs))
    response.message = message
    item = MessageItem(id=message.item_id, role="assistant", content=(), status="in_progress")
    add_output(state, step, response, item)
    part: ResponsePart = AudioPart(transcript="") if response.has_audio else TextPart(text="")
    send(response, step, ev.ResponseContentPartAdded(**part_ids(step, response, message), part=part))


def tool_returned(state: State, step: Step, response: LiveResponse, call: LiveToolCall, output: str) -> None:
    """A server tool returned: once all have, the model goes on, unless the client owes results too."""
    tool_calls.add_result(state, step, response, call, output)
    if any(c.is_server_tool and c.phase not in (CallPhase.RETURNED, CallPhase.CUT_OFF) for c in response.calls):
        return
    if any(c.is_owed_by_client for c in response.calls):
        _all_text_written(state, step, response)
    else:
        response.apply(ResponseEvent.TOOLS_RETURNED)
        _generate(state, step, response)


def segment_synthesised(state: State, step: Step, response: LiveResponse, segment: Segment) -> None:
    """A segment is synthesised to its end, or can't be: then only its text is sent."""
    synthesis.segment_synthesised(state, step, response, segment)
    end_if_all_sent(state, step, response)


def end_if_all_sent(state: State, step: Step, response: LiveResponse) -> None:
    """End the response if all text is written and all audio is sent."""
    if response.phase is ResponsePhase.SPEAKING and response.segment_queue.is_sent and not response.is_provisional:
        if response.failure is not None:
            end(state, step, response, "failed")
        elif response.incomplete is not None:
            end(state, step, response, "incomplete", response.incomplete)
        else:
            end(state, step, response, "completed")


def release_audio(state: State, step: Step) -> None:
    """The caller does not interrupt: send the audio that waited for that."""
    for response in list(state.responses.values()):
        if response.is_default:
            synthesis.release_audio(state, step, response)
            end_if_all_sent(state, step, response)


def release(state: State, step: Step, response: LiveResponse) -> None:
    """The turn is over: emit the withheld effects in their order, and go on as a certain response."""
    held, response.held, response.question_item_id = response.held or [], None, None
    state.interruption = None
    reading.note_read(state)
    for entry in state.conversation.entries:
        if entry.response_id == response.id:
            entry.is_provisional = False
    for effect in held:
        step.emit(effect)
    if response.message is not None and response.message.sent_samples:
        synthesis.count_sent(state, step, response.message.sent_samples)
    if response.phase is ResponsePhase.CALLING:
        tool_calls.run_tools(state, step, response)
    synthesis.open_synthesis(state, step, response)
    end_if_all_sent(state, step, response)


def drop(state: State, step: Step, response: LiveResponse) -> None:
    """The turn goes on: remove a provisional response. The client never knew of it."""
    for job_id in response.jobs():
        step.emit(CancelJob(job_id))
    for call in response.calls:
        if call.is_running:
            call.apply(CallEvent.CANCELLED)
    state.conversation.entries = [e for e in state.conversation.entries if e.response_id != response.id]
    del state.responses[response.id]


def fail(state: State, step: Step, response: LiveResponse, code: str, message: str, *, apology: str = APOLOGY) -> None:
    """There will be no answer: apologise if nothing was sent yet, then end as failed."""
    response.llm_job = None
    response.failure = ResponseError(type="server_error", code=code, message=message)
    if response.message is None and response.is_default:
        add_text(state, step, response, apology)
    for call in response.calls:
        tool_calls.finish_call(state, step, response, call, "incomplete")
    _all_text_written(state, step, response)


def end(
    state: State, step: Step, response: LiveResponse, status: ResponseStatus, reason: StatusReason | None = None
) -> None:
    """End a response: stop its jobs (but no side effect), close open parts and items, send `response.done`."""
    if response.llm_job is not None and state.rules > rules.FIRST:
        response.estimate_usage()
    for job_id in response.jobs():
        step.emit(CancelJob(job_id))
    message = response.message
    if message is not None and message.is_open:
        _close_message(state, step, response, message, "completed" if status == "completed" else "incomplete")
    for call in response.calls:
        tool_calls.finish_call(state, step, response, call, "incomplete")
    tool_calls.detach(state, step, response)
    response.apply(ResponseEvent.ENDED)
    if response.is_default:
        _remove_unanswered_calls(state, response)
        state.conversation.move_behind_calls(response.id)
        _schedule_idle_timeout(state, step)
    if status == "failed":
        state.unanswered = [item_id for item_id in state.unanswered if item_id not in response.given_up]
    del state.responses[response.id]
    final = response.to_wire(state.conversation_id, status, reason)
    send(response, step, ev.ResponseDone(event_id=step.event_id(), response=final))
    emit(response, step, Persist(record_id=response.id, kind="response", body=msgspec.to_builtins(final)))
    if response.is_default:
        answer_waiting_turn(state, step)


def answer_waiting_turn(state: State, step: Step) -> None:
    """Answer the turn that ended while another response ran, unless the caller is speaking again."""
    waiting = [item_id for item_id in state.unanswered if state.conversation.find(item_id) is not None]
    if waiting and state.buffer.turn is None and state.active is None and not state.is_notice_due:
        start(state, step, state.config, turn_item_id=waiting[-1])


def _close_message(
    state: State, step: Step, response: LiveResponse, message: Message, status: Literal["completed", "incomplete"]
) -> None:
    message.is_open = False
    part: ResponsePart
    if response.has_audio:
        send(response, step, ev.ResponseOutputAudioDone(**part_ids(step, response, message)))
        send(
            response,
            step,
            ev.ResponseOutputAudioTranscriptDone(**part_ids(step, response, message), transcript=message.text),
        )
        part = AudioPart(transcript=message.text)
    else:
        send(response, step, ev.ResponseOutputTextDone(**part_ids(step, response, message), text=message.text))
        part = TextPart(text=message.text)
    send(response, step, ev.ResponseContentPartDone(**part_ids(step, response, message), part=part))
    item = update_entry(state, response, message, status)
    finish_output(state, step, response, message.output_index, item)


def _remove_unanswered_calls(state: State, response: LiveResponse) -> None:
    """Remove hidden calls whose tool never returned: a model must not wait for their results."""
    answered = {e.item.call_id for e in state.conversation.entries if isinstance(e.item, FunctionCallOutputItem)}
    state.conversation.entries = [
        e
        for e in state.conversation.entries
        if not (e.is_hidden and isinstance(e.item, FunctionCallItem) and e.item.call_id not in answered)
    ]


def _schedule_idle_timeout(state: State, step: Step) -> None:
    detection = state.config.turn_detection
    if detection is None or detection.idle_timeout_ms is None or state.config.type != "realtime":
        return
    played_s = step.now_s + state.playout.remaining_ms(step.now_s) / 1000
    state.idle_at_s = played_s + detection.idle_timeout_ms / 1000
