"""The laws of a conversation, checked from the outside: over inputs and effects, as they pass.

Used by the property tests, by replay, and by a server started with `AVB_DEBUG_INVARIANTS`. A broken law raises InvariantViolation with
its name; the checker never changes the engine.
"""

from agentvoicebox.engine import effects as fx
from agentvoicebox.engine import inputs as i
from agentvoicebox.engine.jobs import CallTool
from agentvoicebox.engine.session import Engine
from agentvoicebox.engine.tool_calls import OUTCOME_UNKNOWN
from agentvoicebox.wire import server_events as ev
from agentvoicebox.wire.items import FunctionCallItem, FunctionCallOutputItem, MessageItem

Content = (
    ev.ResponseOutputItemAdded
    | ev.ResponseOutputItemDone
    | ev.ResponseContentPartAdded
    | ev.ResponseContentPartDone
    | ev.ResponseOutputTextDelta
    | ev.ResponseOutputTextDone
    | ev.ResponseOutputAudioTranscriptDelta
    | ev.ResponseOutputAudioTranscriptDone
    | ev.ResponseOutputAudioDone
    | ev.ResponseFunctionCallArgumentsDelta
    | ev.ResponseFunctionCallArgumentsDone
)


class InvariantViolation(AssertionError):
    """A law does not hold. The message begins with its name."""


class Invariants:
    """Watches one session from its first input to its last."""

    def __init__(self) -> None:
        self._event_ids: set[str] = set()
        self._live: dict[str, bool] = {}  # response id → is in the conversation
        self._of_conversation: set[str] = set()  # responses, also ended ones
        self._ended: set[str] = set()
        self._open_items: dict[str, str] = {}  # item id → response id
        self._open_parts: dict[str, str] = {}
        self._turn: str | None = None  # item id between speech_started and its end
        self._before_turn: set[str] = set()  # responses alive when the turn began
        self._dropped_sample = 0
        self._jobs: dict[str, bool] = {}  # job id → is open
        self._ending: set[str] = set()
        self._side_effects: dict[str, CallTool] = {}  # by job id, from begin to end
        self._begun: set[str] = set()  # call ids of side effects
        self._returned: dict[str, str] = {}  # call id → output of side effects of the conversation
        self._is_closed = False

    def check(self, engine: Engine, given: i.Input | None, effects: list[fx.Effect], now_s: float) -> None:
        """One step: what was given (None: the opening), what came out. Raises InvariantViolation."""
        match given:
            case i.Generated() | i.SynthesisDone() | i.ToolReturned() | i.JobFailed() | i.Transcribed(is_final=True):
                if given.job_id in self._jobs:
                    self._jobs[given.job_id] = False
                self._record_returned(given)
        for effect in effects:
            self._require("nothing follows close", not self._is_closed)
            self._check_effect(engine, effect)
        self._check_state(engine, given, now_s)

    @staticmethod
    def _require(name: str, holds: bool, detail: object = "") -> None:
        if not holds:
            raise InvariantViolation(f"{name}: {detail}")

    def _check_effect(self, engine: Engine, effect: fx.Effect) -> None:
        match effect:
            case fx.Send(event=event):
                self._require("event ids are unique", event.event_id not in self._event_ids, event.event_id)
                self._event_ids.add(event.event_id)
                self._check_event(engine, event)
            case fx.SendAudio():
                self._require("no content outside a live response", effect.response_id in self._live, effect)
                self._require("audio belongs to an open part", effect.item_id in self._open_parts, effect)
                self._require("event ids are unique", effect.event_id not in self._event_ids, effect.event_id)
                self._event_ids.add(effect.event_id)
            case fx.OpenJob():
                self._require("a job is opened once", effect.job_id not in self._jobs, effect.job_id)
                self._jobs[effect.job_id] = True
                if isinstance(effect.request, CallTool):
                    self._check_tool(engine, effect.job_id, effect.request)
            case fx.CancelJob():
                is_side_effect = effect.job_id in self._side_effects
                self._require("a side effect runs to its end", engine.is_closed or not is_side_effect, effect.job_id)
                self._require("a job is ended or cancelled once", self._jobs.get(effect.job_id, False), effect.job_id)
                self._jobs[effect.job_id] = False
            case fx.ProbeUtterance():
                self._require("marks go to an open job", self._jobs.get(effect.job_id, False), effect.job_id)
            case fx.EndUtterance():
                self._require("marks go to an open job", self._jobs.get(effect.job_id, False), effect.job_id)
                self._ending.add(effect.job_id)  # ends by itself; may still be cancelled
            case fx.DropAudio(before_sample=sample):
                self._require("each input sample ends once", sample >= self._dropped_sample, sample)
                self._dropped_sample = sample
            case fx.Close():
                self._is_closed = True

    def _check_tool(self, engine: Engine, job_id: str, request: CallTool) -> None:
        if any(tool.name == request.name and tool.is_read_only for tool in engine.state.agent.server_tools):
            return
        self._require("a side effect begins once", request.call_id not in self._begun, request)
        self._require("speculation has no side effects", request.response_id in self._live, request)
        self._begun.add(request.call_id)
        self._side_effects[job_id] = request

    def _record_returned(self, given: i.Input) -> None:
        if not isinstance(given, i.ToolReturned | i.JobFailed):
            return
        request = self._side_effects.pop(given.job_id, None)
        if request is not None and request.response_id in self._of_conversation:
            self._returned[request.call_id] = given.output if isinstance(given, i.ToolReturned) else OUTCOME_UNKNOWN

    def _check_event(self, engine: Engine, event: ev.ServerEvent) -> None:
        match event:
            case ev.InputAudioBufferSpeechStarted():
                self._require("speech detected means a turn is open", self._turn is None, event.item_id)
                self._turn = event.item_id
                detection = engine.state.config.turn_detection
                interrupts = detection is not None and detection.interrupt_response
                # A client that switches interruption on in the middle of a turn means the next one.
                self._before_turn = {r for r, is_default in self._live.items() if is_default} if interrupts else set()
            case ev.InputAudioBufferSpeechStopped():
                self._require("speech stops in an open turn", self._turn == event.item_id, event.item_id)
            case ev.InputAudioBufferCommitted():
                if self._turn == event.item_id:
                    old = self._before_turn & self._live.keys()
                    self._require("the old response ends before the new turn is committed", not old, old)
                    self._turn = None
            case ev.InputAudioBufferCleared() | ev.SessionUpdated():
                if engine.state.buffer.turn is None:
                    self._turn = None
            case ev.ResponseCreated(response=response):
                is_default = response.conversation_id is not None
                self._require("at most one response in the conversation", not (is_default and any(self._live.values())))
                known = response.id in self._live or response.id in self._ended
                self._require("a response is created once", not known, response.id)
                self._live[response.id] = is_default
                if is_default:
                    self._of_conversation.add(response.id)
            case ev.ResponseDone(response=response):
                self._require("one terminal for each response", response.id in self._live, response.id)
                open_items = [item for item, owner in self._open_items.items() if owner == response.id]
                self._require("each item added has its done", not open_items, open_items)
                open_parts = [item for item, owner in self._open_parts.items() if owner == response.id]
                self._require("each part added has its done", not open_parts, open_parts)
                del self._live[response.id]
                self._ended.add(response.id)
            case _ if isinstance(event, Content):
                self._require("no content outside a live response", event.response_id in self._live, event)
                self._check_content(event)

    def _check_content(self, event: Content) -> None:
        match event:
            case ev.ResponseOutputItemAdded():
                self._open_items[event.item.id] = event.response_id
            case ev.ResponseOutputItemDone():
                self._require(
                    "an item done was added", self._open_items.pop(event.item.id, None) is not None, event.item.id
                )
            case ev.ResponseContentPartAdded():
                self._open_parts[event.item_id] = event.response_id
            case ev.ResponseContentPartDone():
                self._require(
                    "a part done was added", self._open_parts.pop(event.item_id, None) is not None, event.item_id
                )
            case _:
                self._require("content belongs to an open item", event.item_id in self._open_items, event.item_id)

    def _check_state(self, engine: Engine, given: i.Input | None, now_s: float) -> None:
        state = engine.state
        defaults = [r.id for r in state.responses.values() if r.is_default]
        self._require("at most one response in the conversation", len(defaults) <= 1, defaults)
        for entry in state.conversation.entries:
            played_ms = entry.sent_ms if entry.played_ms is None else entry.played_ms
            self._require("heard is at most what was sent", 0 <= played_ms <= entry.sent_ms + 1e-6, entry.item.id)
            if isinstance(entry.item, MessageItem) and entry.item.role == "assistant" and entry.response_id:
                is_live = entry.response_id in state.responses
                is_idle = entry.item.status != "in_progress" or entry.is_truncated
                self._require("an item of an ended response is final", is_live or is_idle, entry.item.id)
        self._check_calls(engine)
        if isinstance(given, i.TimePassed):
            due = engine.deadline()
            self._require("the next deadline lies ahead", due is None or due > now_s, due)
        if state.is_closed:
            self._require("every response ended", not self._live, self._live)
            open_jobs = [job for job, is_open in self._jobs.items() if is_open and job not in self._ending]
            self._require("every job was ended or cancelled", not open_jobs, open_jobs)

    def _check_calls(self, engine: Engine) -> None:
        state = engine.state
        hidden = [entry for entry in state.conversation.entries if entry.is_hidden]
        outputs = {e.item.call_id: e.item.output for e in hidden if isinstance(e.item, FunctionCallOutputItem)}
        for call_id, output in self._returned.items():
            self._require("the result of a side effect is never lost", outputs.get(call_id) == output, call_id)
        for entry in hidden:
            if isinstance(entry.item, FunctionCallItem) and entry.response_id not in state.responses:
                self._require(
                    "a call of an ended response has a result", entry.item.call_id in outputs, entry.item.call_id
                )
