"""The invariants of a conversation, checked from outside over the inputs and effects of each step.

Used by the property tests and by replay. The checker never changes the engine.
"""

from enum import StrEnum

from agentvoicebox.engine import effects as fx
from agentvoicebox.engine import inputs as i
from agentvoicebox.engine import rules
from agentvoicebox.engine.conversation import Entry, assistant_text, user_text
from agentvoicebox.engine.jobs import CallTool, Generate, Synthesise
from agentvoicebox.engine.playout import samples_ms
from agentvoicebox.engine.segment_queue import AHEAD_MS, TOLERANCE_MS
from agentvoicebox.engine.session import Engine
from agentvoicebox.engine.tool_calls import OUTCOME_UNKNOWN, is_json_object
from agentvoicebox.turns.vocal_sounds import is_vocal_sound
from agentvoicebox.wire import server_events as ev
from agentvoicebox.wire.items import FunctionCallItem, FunctionCallOutputItem, MessageItem, OutputAudio
from agentvoicebox.wire.response import Response

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


class Invariant(StrEnum):
    """The invariants, by the names that stored interactions use: a value never changes."""

    NOTHING_FOLLOWS_CLOSE = "nothing follows close"
    EVENT_IDS_ARE_UNIQUE = "event ids are unique"
    NO_CONTENT_OUTSIDE_A_LIVE_RESPONSE = "no content outside a live response"
    AUDIO_BELONGS_TO_AN_OPEN_PART = "audio belongs to an open part"
    A_JOB_IS_OPENED_ONCE = "a job is opened once"
    A_SIDE_EFFECT_RUNS_TO_ITS_END = "a side effect runs to its end"
    A_JOB_IS_ENDED_OR_CANCELLED_ONCE = "a job is ended or cancelled once"
    MARKS_GO_TO_AN_OPEN_JOB = "marks go to an open job"
    EACH_INPUT_SAMPLE_ENDS_ONCE = "each input sample ends once"
    A_SIDE_EFFECT_BEGINS_ONCE = "a side effect begins once"
    SPECULATION_HAS_NO_SIDE_EFFECTS = "speculation has no side effects"
    SPEECH_DETECTED_MEANS_A_TURN_IS_OPEN = "speech detected means a turn is open"
    SPEECH_STOPS_IN_AN_OPEN_TURN = "speech stops in an open turn"
    THE_OLD_RESPONSE_ENDS_BEFORE_THE_NEW_TURN_IS_COMMITTED = "the old response ends before the new turn is committed"
    AT_MOST_ONE_RESPONSE_IN_THE_CONVERSATION = "at most one response in the conversation"
    A_RESPONSE_IS_CREATED_ONCE = "a response is created once"
    ONE_TERMINAL_FOR_EACH_RESPONSE = "one terminal for each response"
    EACH_ITEM_ADDED_HAS_ITS_DONE = "each item added has its done"
    EACH_PART_ADDED_HAS_ITS_DONE = "each part added has its done"
    AN_ITEM_DONE_WAS_ADDED = "an item done was added"
    A_PART_DONE_WAS_ADDED = "a part done was added"
    CONTENT_BELONGS_TO_AN_OPEN_ITEM = "content belongs to an open item"
    PLAYED_IS_AT_MOST_WHAT_WAS_SENT = "heard is at most what was sent"
    AN_ITEM_OF_AN_ENDED_RESPONSE_IS_FINAL = "an item of an ended response is final"
    THE_NEXT_DEADLINE_LIES_AHEAD = "the next deadline lies ahead"
    EVERY_RESPONSE_ENDED = "every response ended"
    EVERY_JOB_WAS_ENDED_OR_CANCELLED = "every job was ended or cancelled"
    THE_RESULT_OF_A_SIDE_EFFECT_IS_NEVER_LOST = "the result of a side effect is never lost"
    A_CALL_OF_AN_ENDED_RESPONSE_HAS_A_RESULT = "a call of an ended response has a result"
    A_SECOND_SEGMENT_IS_BEGUN_ONLY_WITH_CREDIT = "a second segment is begun only with credit"
    A_RELEASED_RESPONSE_ANSWERS_THE_PAUSE_THAT_ENDED_ITS_TURN = (
        "a released response answers the pause that ended its turn"
    )
    THE_WORDS_OF_A_TURN_ARE_READ = "the words of a turn are read"
    NOTHING_IS_ANSWERED_THAT_WAS_NOT_SAID = "nothing is answered that was not said"
    A_COMPLETED_CALL_HAS_A_JSON_OBJECT = "a completed call has a json object"
    A_TRUNCATED_ITEM_IS_CUT_EVERYWHERE = "a truncated item is cut everywhere"
    A_COMPLETED_RESPONSE_SAYS_SOMETHING = "a completed response says something"


class InvariantViolation(AssertionError):
    """An invariant does not hold. The message begins with its name.

    Attributes:
        invariant: which one.
    """

    def __init__(self, invariant: Invariant, detail: object) -> None:
        super().__init__(f"{invariant}: {detail}")
        self.invariant = invariant


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
        self._prepared: dict[str, int] = {}  # provisional response → end of speech that its question reaches
        self._chunks_ms: dict[tuple[str, int], float] = {}  # chunks that are not sent, by (job id, sequence)
        self._playback_ends_s = 0.0
        self._synthesis: dict[str, str] = {}  # open synthesis job → response id
        self._read: dict[str, set[str]] = {}  # response → user items with words that its first generation read
        self._owed: set[str] = set()  # turns that ended with an answer due, and that no response has read or given up
        self._is_closed = False

    def check(self, engine: Engine, given: i.Input | None, effects: list[fx.Effect], now_s: float) -> None:
        """Check one step.

        Args:
            engine: as it is after the step.
            given: the input; None for the opening.
            effects: what the step gave.
            now_s: session time of the step.

        Raises:
            InvariantViolation: an invariant does not hold.
        """
        match given:
            case i.Generated() | i.SynthesisDone() | i.ToolReturned() | i.JobFailed() | i.Transcribed(is_final=True):
                if given.job_id in self._jobs:
                    self._jobs[given.job_id] = False
                self._synthesis.pop(given.job_id, None)
                self._record_returned(given)
            case i.AudioSynthesised():
                self._chunks_ms[given.job_id, given.sequence] = samples_ms(given.sample_count)
        for effect in effects:
            self._require(Invariant.NOTHING_FOLLOWS_CLOSE, not self._is_closed)
            self._check_effect(engine, given, effect, now_s)
        self._check_words(engine, given)
        self._record_prepared(engine, given)
        self._check_state(engine, given, now_s)

    @staticmethod
    def _require(invariant: Invariant, holds: bool, detail: object = "") -> None:
        if not holds:
            raise InvariantViolation(invariant, detail)

    def _check_effect(self, engine: Engine, given: i.Input | None, effect: fx.Effect, now_s: float) -> None:
        match effect:
            case fx.Send(event=event):
                self._require(Invariant.EVENT_IDS_ARE_UNIQUE, event.event_id not in self._event_ids, event.event_id)
                self._event_ids.add(event.event_id)
                self._check_event(engine, given, event, now_s)
            case fx.SendAudio():
                self._require(Invariant.NO_CONTENT_OUTSIDE_A_LIVE_RESPONSE, effect.response_id in self._live, effect)
                self._require(Invariant.AUDIO_BELONGS_TO_AN_OPEN_PART, effect.item_id in self._open_parts, effect)
                self._require(Invariant.EVENT_IDS_ARE_UNIQUE, effect.event_id not in self._event_ids, effect.event_id)
                self._event_ids.add(effect.event_id)
                chunk_ms = self._chunks_ms.pop((effect.job_id, effect.sequence), 0.0)
                self._playback_ends_s = max(self._playback_ends_s, now_s) + chunk_ms / 1000
            case fx.SendRetrieved(event=event):
                self._require(Invariant.EVENT_IDS_ARE_UNIQUE, event.event_id not in self._event_ids, event.event_id)
                self._event_ids.add(event.event_id)
            case fx.OpenJob():
                self._require(Invariant.A_JOB_IS_OPENED_ONCE, effect.job_id not in self._jobs, effect.job_id)
                self._jobs[effect.job_id] = True
                if isinstance(effect.request, CallTool):
                    self._check_tool(engine, effect.job_id, effect.request)
                elif isinstance(effect.request, Synthesise):
                    self._check_credit(effect.job_id, effect.request, now_s)
                elif isinstance(effect.request, Generate):
                    self._check_generation(engine, effect.request)
            case fx.CancelJob():
                is_side_effect = effect.job_id in self._side_effects
                self._require(
                    Invariant.A_SIDE_EFFECT_RUNS_TO_ITS_END, engine.is_closed or not is_side_effect, effect.job_id
                )
                self._require(
                    Invariant.A_JOB_IS_ENDED_OR_CANCELLED_ONCE, self._jobs.get(effect.job_id, False), effect.job_id
                )
                self._jobs[effect.job_id] = False
                self._synthesis.pop(effect.job_id, None)
            case fx.ProbeUtterance():
                self._require(Invariant.MARKS_GO_TO_AN_OPEN_JOB, self._jobs.get(effect.job_id, False), effect.job_id)
            case fx.EndUtterance():
                self._require(Invariant.MARKS_GO_TO_AN_OPEN_JOB, self._jobs.get(effect.job_id, False), effect.job_id)
                self._ending.add(effect.job_id)  # ends by itself; may still be cancelled
            case fx.DropAudio(before_sample=sample):
                self._require(Invariant.EACH_INPUT_SAMPLE_ENDS_ONCE, sample >= self._dropped_sample, sample)
                self._dropped_sample = sample
            case fx.Close():
                self._is_closed = True

    def _check_tool(self, engine: Engine, job_id: str, request: CallTool) -> None:
        if any(tool.name == request.name and tool.is_read_only for tool in engine.state.agent.server_tools):
            return
        self._require(Invariant.A_SIDE_EFFECT_BEGINS_ONCE, request.call_id not in self._begun, request)
        self._require(Invariant.SPECULATION_HAS_NO_SIDE_EFFECTS, request.response_id in self._live, request)
        self._begun.add(request.call_id)
        self._side_effects[job_id] = request

    def _check_credit(self, job_id: str, request: Synthesise, now_s: float) -> None:
        unplayed_ms = (self._playback_ends_s - now_s) * 1000
        is_second = request.response_id in self._synthesis.values()
        has_credit = unplayed_ms <= AHEAD_MS + 2 * TOLERANCE_MS
        self._require(Invariant.A_SECOND_SEGMENT_IS_BEGUN_ONLY_WITH_CREDIT, has_credit or not is_second, unplayed_ms)
        self._synthesis[job_id] = request.response_id

    def _check_generation(self, engine: Engine, request: Generate) -> None:
        """The first generation of a response in the conversation: what it reads, and that there is something to answer."""
        state = engine.state
        response = state.responses.get(request.response_id)
        if response is None or not response.is_default or request.response_id in self._read:
            return
        known = {entry.item.id for entry in state.conversation.entries if _text(entry)}
        if state.rules > rules.FIRST and response.turn_item_id and state.agent.answers_noise is False:
            before = set().union(*(ids for key, ids in self._read.items() if key in self._of_conversation))
            is_asked_again = response.interruption is not None and response.interruption.is_unwritten
            self._require(
                Invariant.NOTHING_IS_ANSWERED_THAT_WAS_NOT_SAID, bool(known - before) or is_asked_again, response.id
            )
        self._read[request.response_id] = known if response.input is None else set()

    def _check_words(self, engine: Engine, given: i.Input | None) -> None:
        """Once no turn is open and no response runs, each turn that was to be answered has been read, or given up openly."""
        state = engine.state
        detection = state.config.turn_detection
        if isinstance(given, i.SpeechStopped) and detection is not None and detection.create_response:
            turns = [e.item.id for e in state.conversation.entries if e.end_sample == given.end_sample]
            self._owed |= set(turns if state.config.type == "realtime" and state.rules > rules.FIRST else ())
        for response_id, ids in self._read.items():
            if response_id in self._of_conversation:
                self._owed -= ids
        with_words = {entry.item.id for entry in state.conversation.entries if _has_words(entry)}
        unread = self._owed & with_words
        is_quiet = (
            state.active is None and state.buffer.turn is None and not state.is_closed and not state.is_notice_due
        )
        self._require(Invariant.THE_WORDS_OF_A_TURN_ARE_READ, not (is_quiet and unread), unread)

    def _record_prepared(self, engine: Engine, given: i.Input | None) -> None:
        provisional = [r.id for r in engine.state.responses.values() if r.is_provisional]
        if isinstance(given, i.Transcribed):
            new = {response_id: given.speech_end_sample for response_id in provisional}
            self._prepared = new | self._prepared
        self._prepared = {key: end for key, end in self._prepared.items() if key in provisional}

    def _record_returned(self, given: i.Input) -> None:
        if not isinstance(given, i.ToolReturned | i.JobFailed):
            return
        request = self._side_effects.pop(given.job_id, None)
        if request is not None and request.response_id in self._of_conversation:
            self._returned[request.call_id] = given.output if isinstance(given, i.ToolReturned) else OUTCOME_UNKNOWN

    def _check_event(self, engine: Engine, given: i.Input | None, event: ev.ServerEvent, now_s: float) -> None:
        match event:
            case ev.InputAudioBufferSpeechStarted():
                self._require(Invariant.SPEECH_DETECTED_MEANS_A_TURN_IS_OPEN, self._turn is None, event.item_id)
                self._turn = event.item_id
                detection = engine.state.config.turn_detection
                active = engine.state.active
                says_notice = active is not None and engine.state.says_notice(active)  # to its end
                interrupts = detection is not None and detection.interrupt_response and not says_notice
                if interrupts:
                    self._playback_ends_s = min(self._playback_ends_s, now_s)
                # Interruption that is switched on in the middle of a turn applies to the next one.
                self._before_turn = {r for r, is_default in self._live.items() if is_default} if interrupts else set()
            case ev.InputAudioBufferSpeechStopped():
                self._require(Invariant.SPEECH_STOPS_IN_AN_OPEN_TURN, self._turn == event.item_id, event.item_id)
            case ev.InputAudioBufferCommitted():
                if self._turn == event.item_id:
                    old = self._before_turn & self._live.keys()
                    self._require(Invariant.THE_OLD_RESPONSE_ENDS_BEFORE_THE_NEW_TURN_IS_COMMITTED, not old, old)
                    self._turn = None
            case ev.InputAudioBufferCleared() | ev.SessionUpdated():
                if engine.state.buffer.turn is None:
                    self._turn = None
            case ev.ResponseCreated(response=response):
                is_default = response.conversation_id is not None
                self._require(
                    Invariant.AT_MOST_ONE_RESPONSE_IN_THE_CONVERSATION, not (is_default and any(self._live.values()))
                )
                known = response.id in self._live or response.id in self._ended
                self._require(Invariant.A_RESPONSE_IS_CREATED_ONCE, not known, response.id)
                if response.id in self._prepared:
                    is_same = (
                        isinstance(given, i.SpeechStopped) and given.speech_end_sample == self._prepared[response.id]
                    )
                    self._require(
                        Invariant.A_RELEASED_RESPONSE_ANSWERS_THE_PAUSE_THAT_ENDED_ITS_TURN, is_same, response.id
                    )
                self._live[response.id] = is_default
                if is_default:
                    self._of_conversation.add(response.id)
            case ev.ResponseDone(response=response):
                self._require(Invariant.ONE_TERMINAL_FOR_EACH_RESPONSE, response.id in self._live, response.id)
                open_items = [item for item, owner in self._open_items.items() if owner == response.id]
                self._require(Invariant.EACH_ITEM_ADDED_HAS_ITS_DONE, not open_items, open_items)
                open_parts = [item for item, owner in self._open_parts.items() if owner == response.id]
                self._require(Invariant.EACH_PART_ADDED_HAS_ITS_DONE, not open_parts, open_parts)
                self._check_output(engine, response)
                del self._live[response.id]
                self._ended.add(response.id)
            case _ if isinstance(event, Content):
                self._require(Invariant.NO_CONTENT_OUTSIDE_A_LIVE_RESPONSE, event.response_id in self._live, event)
                self._check_content(event)

    def _check_output(self, engine: Engine, response: Response) -> None:
        """Of a response that ends: its calls can be executed, and it says something. One that fails gives its turns up."""
        if engine.state.rules == rules.FIRST:
            return
        is_default = response.conversation_id is not None
        for item in response.output:
            if isinstance(item, FunctionCallItem) and item.status == "completed":
                self._require(Invariant.A_COMPLETED_CALL_HAS_A_JSON_OBJECT, is_json_object(item.arguments), item)
        if is_default and response.status == "completed" and not response.output:
            unread = self._owed & {entry.item.id for entry in engine.state.conversation.entries if _has_words(entry)}
            is_noise = engine.state.agent.answers_noise is False and not unread
            self._require(Invariant.A_COMPLETED_RESPONSE_SAYS_SOMETHING, is_noise, response.id)
        reason = None if response.status_details is None else response.status_details.reason
        is_withdrawn = reason == "client_cancelled" and response.id not in self._read  # before it could read
        if is_default and (response.status == "failed" or is_withdrawn):
            self._owed.clear()

    def _check_content(self, event: Content) -> None:
        match event:
            case ev.ResponseOutputItemAdded():
                self._open_items[event.item.id] = event.response_id
            case ev.ResponseOutputItemDone():
                self._require(
                    Invariant.AN_ITEM_DONE_WAS_ADDED,
                    self._open_items.pop(event.item.id, None) is not None,
                    event.item.id,
                )
            case ev.ResponseContentPartAdded():
                self._open_parts[event.item_id] = event.response_id
            case ev.ResponseContentPartDone():
                self._require(
                    Invariant.A_PART_DONE_WAS_ADDED,
                    self._open_parts.pop(event.item_id, None) is not None,
                    event.item_id,
                )
            case _:
                self._require(
                    Invariant.CONTENT_BELONGS_TO_AN_OPEN_ITEM, event.item_id in self._open_items, event.item_id
                )

    def _check_state(self, engine: Engine, given: i.Input | None, now_s: float) -> None:
        state = engine.state
        defaults = [r.id for r in state.responses.values() if r.is_default]
        self._require(Invariant.AT_MOST_ONE_RESPONSE_IN_THE_CONVERSATION, len(defaults) <= 1, defaults)
        for entry in state.conversation.entries:
            played_ms = entry.sent_ms if entry.played_ms is None else entry.played_ms
            self._require(
                Invariant.PLAYED_IS_AT_MOST_WHAT_WAS_SENT, 0 <= played_ms <= entry.sent_ms + 1e-6, entry.item.id
            )
            if isinstance(entry.item, MessageItem) and entry.item.role == "assistant" and entry.response_id:
                is_live = entry.response_id in state.responses
                is_excused = entry.is_truncated and state.rules == rules.FIRST
                is_idle = entry.item.status != "in_progress" or is_excused
                self._require(Invariant.AN_ITEM_OF_AN_ENDED_RESPONSE_IS_FINAL, is_live or is_idle, entry.item.id)
            if entry.is_truncated and state.rules > rules.FIRST:
                self._require(Invariant.A_TRUNCATED_ITEM_IS_CUT_EVERYWHERE, _is_cut(entry), entry.item.id)
        self._check_calls(engine)
        if isinstance(given, i.TimePassed):
            due = engine.deadline()
            self._require(Invariant.THE_NEXT_DEADLINE_LIES_AHEAD, due is None or due > now_s, due)
        if state.is_closed:
            self._require(Invariant.EVERY_RESPONSE_ENDED, not self._live, self._live)
            open_jobs = [job for job, is_open in self._jobs.items() if is_open and job not in self._ending]
            self._require(Invariant.EVERY_JOB_WAS_ENDED_OR_CANCELLED, not open_jobs, open_jobs)

    def _check_calls(self, engine: Engine) -> None:
        state = engine.state
        hidden = [entry for entry in state.conversation.entries if entry.is_hidden]
        outputs = {e.item.call_id: e.item.output for e in hidden if isinstance(e.item, FunctionCallOutputItem)}
        for call_id, output in self._returned.items():
            self._require(Invariant.THE_RESULT_OF_A_SIDE_EFFECT_IS_NEVER_LOST, outputs.get(call_id) == output, call_id)
        for entry in hidden:
            if isinstance(entry.item, FunctionCallItem) and entry.response_id not in state.responses:
                self._require(
                    Invariant.A_CALL_OF_AN_ENDED_RESPONSE_HAS_A_RESULT,
                    entry.item.call_id in outputs,
                    entry.item.call_id,
                )


def _text(entry: Entry) -> str:
    """What a user said or typed with an entry."""
    return user_text(entry) if isinstance(entry.item, MessageItem) and entry.item.role == "user" else ""


def _has_words(entry: Entry) -> bool:
    """Whether a user said or typed a word with an entry."""
    return not is_vocal_sound(_text(entry))


def _is_cut(entry: Entry) -> bool:
    """Whether what the client reads of a truncated item is what the model reads."""
    assert isinstance(entry.item, MessageItem)
    return entry.item.content == (OutputAudio(transcript=assistant_text(entry)),)
