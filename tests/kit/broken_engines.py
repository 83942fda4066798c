"""Engines that are broken on purpose, one for each invariant: what shows that the checker catches a violation.

A fault replaces one attribute of the engine's code. Its script is a list of `tests.kit.world` moves in which the fault shows; the
sound engine passes it.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from agentvoicebox.engine import answering, listening, reading, requests, segment_queue, tool_calls
from agentvoicebox.engine import effects as fx
from agentvoicebox.engine import inputs as i
from agentvoicebox.engine.conversation import Conversation
from agentvoicebox.engine.invariants import Invariant, Invariants
from agentvoicebox.engine.jobs import Transcribe
from agentvoicebox.engine.outputs import finish_output
from agentvoicebox.engine.response import LiveResponse
from agentvoicebox.engine.session import Engine
from agentvoicebox.engine.state import State
from agentvoicebox.engine.tool_call import CallPhase
from agentvoicebox.engine.turn import TurnEvent
from agentvoicebox.wire import server_events as ev
from agentvoicebox.wire.items import OutputAudio
from tests.kit.world import MODES, World

Script = list[tuple[int, int, int]]

SPEAK, PAUSE, TRANSCRIBE, GENERATE, CALL, CHUNK, TOOL, WAIT = 0, 1, 2, 3, 4, 5, 7, 9
COMMIT, CREATE, CANCEL, TRUNCATE, BESIDE, ODD_CALL = 10, 12, 13, 15, 18, 23
LOOKING_UP, BOOKING, BOOKING_GOES_ON = 4, 2, 3  # of CALL: the model books and waits for the result; books and writes on

A_LONG_CALL: Script = [
    (0, 3, 0), (1, 0, 0), (2, 0, 2), (1, 0, 0), (2, 0, 2), (3, 1, 3), (5, 1, 4), (9, 2, 1), (0, 3, 0), (1, 0, 0),
    (1, 0, 0), (2, 0, 2), (3, 0, 3), (5, 0, 4), (6, 0, 4), (9, 0, 0), (12, 0, 0), (3, 0, 2), (9, 1, 0), (0, 3, 0),
]  # fmt: skip
TYPED: Script = [(CREATE, 0, 0), (GENERATE, 0, 3), (CHUNK, 0, 3), (CHUNK, 0, 3), (CHUNK, 0, 3), (CHUNK, 0, 3)]
CUT_OFF: Script = [(CREATE, 0, 0), (CALL, 0, BOOKING), (CANCEL, 0, 0), (TOOL, 0, 0)]
TWO_CALLS: Script = [(CREATE, 0, 0), (CALL, 0, BOOKING_GOES_ON), (CALL, 0, LOOKING_UP)]
SPECULATED: Script = [(SPEAK, 3, 0), (PAUSE, 0, 0), (TRANSCRIBE, 0, 2), (CALL, 0, BOOKING), (PAUSE, 0, 0), (TOOL, 0, 0)]
RESUMED: Script = [(SPEAK, 3, 0), (PAUSE, 0, 0), (TRANSCRIBE, 0, 2), (SPEAK, 3, 0), (PAUSE, 0, 0), (PAUSE, 0, 0)]
FAST: Script = [(CREATE, 0, 0), (GENERATE, 0, 3), *[(CHUNK, 1, 9)] * 12, (CHUNK, 0, 9), (CHUNK, 1, 9), (CHUNK, 0, 9)]
COUGH: Script = [(SPEAK, 3, 0), (PAUSE, 0, 0), (PAUSE, 0, 0), (TRANSCRIBE, 0, 0)]
TURN_DURING_AN_ANSWER: Script = [
    (CREATE, 0, 0), (SPEAK, 3, 0), (PAUSE, 0, 0), (PAUSE, 0, 0), (TRANSCRIBE, 0, 2), (GENERATE, 0, 1), (CHUNK, 0, 4),
]  # fmt: skip


class Fault(NamedTuple):
    """One broken engine.

    Attributes:
        name: what it does.
        invariant: which invariant it violates.
        where, attribute, replacement: the code that is replaced.
        script: moves in which it shows.
        mode: of the world; see `tests.kit.world.MODES`.
    """

    name: str
    invariant: Invariant
    where: Any
    attribute: str
    replacement: Any
    script: Script = A_LONG_CALL
    mode: int = 3


def play(script: Script, mode: int = 3, *, transcription: bool = True) -> World:
    """Run a script under the checker, and end the session."""
    world = World(mode, transcription=transcription, on_step=Invariants().check)
    for move, a, b in script:
        world.step(move, a, b)
    world.hang_up()
    return world


# -- ways to break it ------------------------------------------------------------------------------------------------


def _effects(change: Callable[[list[fx.Effect]], list[fx.Effect]]) -> Callable[..., list[fx.Effect]]:
    """An engine whose effects are changed on their way out."""
    original = Engine.receive

    def broken(self: Engine, given: i.Input, now_s: float) -> list[fx.Effect]:
        return change(original(self, given, now_s))

    return broken


def _without(*events: type) -> Callable[..., list[fx.Effect]]:
    return _effects(
        lambda effects: [e for e in effects if not (isinstance(e, fx.Send) and isinstance(e.event, events))]
    )


def _without_effect(matches: Callable[[fx.Effect], bool]) -> Callable[..., list[fx.Effect]]:
    return _effects(lambda effects: [effect for effect in effects if not matches(effect)])


def _twice(event: type, matches: Callable[[Any], bool] = lambda _: True) -> Callable[..., list[fx.Effect]]:
    def change(effects: list[fx.Effect]) -> list[fx.Effect]:
        changed: list[fx.Effect] = []
        for effect in effects:
            changed.append(effect)
            if isinstance(effect, fx.Send) and isinstance(effect.event, event) and matches(effect.event):
                again = msgspec.structs.replace(effect.event, event_id=f"{effect.event.event_id}_again")
                changed.append(fx.Send(again))
        return changed

    return _effects(change)


def _jobs_opened_twice(effects: list[fx.Effect]) -> list[fx.Effect]:
    return [each for effect in effects for each in ([effect] * 2 if isinstance(effect, fx.OpenJob) else [effect])]


def _same_event_ids(effects: list[fx.Effect]) -> list[fx.Effect]:
    return [
        fx.Send(msgspec.structs.replace(e.event, event_id="event_same")) if isinstance(e, fx.Send) else e
        for e in effects
    ]


def _goes_on_after_close(effects: list[fx.Effect]) -> list[fx.Effect]:
    late = fx.Send(ev.InputAudioBufferCleared(event_id="event_late"))
    return [*effects, late] if effects and isinstance(effects[-1], fx.Close) else effects


def _drops_earlier_samples(effects: list[fx.Effect]) -> list[fx.Effect]:
    return [
        msgspec.structs.replace(e, before_sample=-e.before_sample) if isinstance(e, fx.DropAudio) else e
        for e in effects
    ]


def _leaves_items_open(
    state: Any, step: Any, response: Any, index: int, item: Any, original: Any = finish_output
) -> None:
    original(state, step, response, index, item)
    entry = state.conversation.find(item.id)
    if entry is not None:
        entry.item = msgspec.structs.replace(item, status="in_progress")


def _claims_more_was_played(state: State, step: Any) -> None:
    for entry in state.conversation.entries:
        entry.played_ms = entry.sent_ms + 1


def _keeps_speculation(state: State, step: Any) -> None:
    turn = state.buffer.turn
    assert turn is not None
    turn.apply(TurnEvent.RESUMED)


def _all_jobs(self: LiveResponse) -> list[str]:
    return [*([self.llm_job] if self.llm_job else []), *(c.job_id for c in self.calls if c.job_id and c.is_running)]


def _jobs_twice(self: LiveResponse, original: Any = LiveResponse.jobs) -> list[str]:
    jobs: list[str] = original(self)
    return jobs * 2


def _loses_late_results(state: Any, step: Any, job_id: str, output: str) -> None:
    state.detached.pop(job_id)


def _acts_on_speculation(state: Any, step: Any, response: Any, original: Any = tool_calls.run_tools) -> None:
    held, response.held = response.held, None
    original(state, step, response)
    response.held = held


def _runs_calls_again(state: Any, step: Any, response: Any, original: Any = tool_calls.run_tools) -> None:
    for _ in range(2):
        original(state, step, response)
        for call in response.calls:
            call.phase = CallPhase.WRITTEN


def _forgets_who_waits(state: State, step: Any) -> None:
    state.unanswered = []


def _is_transcription(effect: fx.Effect) -> bool:
    return isinstance(effect, fx.OpenJob) and isinstance(effect.request, Transcribe)


def _nothing(*_: Any, **__: Any) -> None:
    return None


FAULTS = (
    Fault(
        "sends an event after the close", Invariant.NOTHING_FOLLOWS_CLOSE,
        Engine, "receive", _effects(_goes_on_after_close)),
    Fault("uses one event id for all", Invariant.EVENT_IDS_ARE_UNIQUE, Engine, "receive", _effects(_same_event_ids)),
    Fault(
        "does not announce its responses", Invariant.NO_CONTENT_OUTSIDE_A_LIVE_RESPONSE,
        Engine, "receive", _without(ev.ResponseCreated)),
    Fault(
        "does not open parts", Invariant.AUDIO_BELONGS_TO_AN_OPEN_PART,
        Engine, "receive", _without(ev.ResponseContentPartAdded), TYPED),
    Fault("opens each job twice", Invariant.A_JOB_IS_OPENED_ONCE, Engine, "receive", _effects(_jobs_opened_twice)),
    Fault(
        "cancels each job twice", Invariant.A_JOB_IS_ENDED_OR_CANCELLED_ONCE,
        LiveResponse, "jobs", _jobs_twice, [(CREATE, 0, 0), (CANCEL, 0, 0)]),
    Fault(
        "probes a job that it did not open", Invariant.MARKS_GO_TO_AN_OPEN_JOB,
        Engine, "receive", _without_effect(_is_transcription)),
    Fault(
        "drops audio that is dropped", Invariant.EACH_INPUT_SAMPLE_ENDS_ONCE,
        Engine, "receive", _effects(_drops_earlier_samples)),
    Fault(
        "does not announce commits", Invariant.SPEECH_DETECTED_MEANS_A_TURN_IS_OPEN,
        Engine, "receive", _without(ev.InputAudioBufferCommitted)),
    Fault(
        "does not announce speech", Invariant.SPEECH_STOPS_IN_AN_OPEN_TURN,
        Engine, "receive", _without(ev.InputAudioBufferSpeechStarted)),
    Fault(
        "is not interrupted", Invariant.THE_OLD_RESPONSE_ENDS_BEFORE_THE_NEW_TURN_IS_COMMITTED,
        listening, "interrupt", _nothing),
    Fault(
        "does not know its active response", Invariant.AT_MOST_ONE_RESPONSE_IN_THE_CONVERSATION,
        State, "active", None, [(CREATE, 0, 0), (CREATE, 0, 0)]),
    Fault(
        "announces a response twice", Invariant.A_RESPONSE_IS_CREATED_ONCE,
        Engine, "receive", _twice(ev.ResponseCreated, lambda event: event.response.conversation_id is None),
        [(BESIDE, 0, 0)]),
    Fault(
        "ends a response twice", Invariant.ONE_TERMINAL_FOR_EACH_RESPONSE,
        Engine, "receive", _twice(ev.ResponseDone), TYPED),
    Fault(
        "does not end items", Invariant.EACH_ITEM_ADDED_HAS_ITS_DONE,
        Engine, "receive", _without(ev.ResponseOutputItemDone), TYPED),
    Fault(
        "does not end parts", Invariant.EACH_PART_ADDED_HAS_ITS_DONE,
        Engine, "receive", _without(ev.ResponseContentPartDone), TYPED),
    Fault("ends items twice", Invariant.AN_ITEM_DONE_WAS_ADDED, Engine, "receive", _twice(ev.ResponseOutputItemDone), TYPED),
    Fault("ends parts twice", Invariant.A_PART_DONE_WAS_ADDED, Engine, "receive", _twice(ev.ResponseContentPartDone), TYPED),
    Fault(
        "does not announce items", Invariant.CONTENT_BELONGS_TO_AN_OPEN_ITEM,
        Engine, "receive", _without(ev.ResponseOutputItemAdded), TYPED),
    Fault(
        "claims that more was played than sent", Invariant.PLAYED_IS_AT_MOST_WHAT_WAS_SENT,
        listening, "_record_played", _claims_more_was_played),
    Fault(
        "leaves items in progress", Invariant.AN_ITEM_OF_AN_ENDED_RESPONSE_IS_FINAL,
        answering, "finish_output", _leaves_items_open, TYPED),
    Fault("asks for a time that has passed", Invariant.THE_NEXT_DEADLINE_LIES_AHEAD, Engine, "deadline", lambda self: 0.0),
    Fault(
        "closes without ending its responses", Invariant.EVERY_RESPONSE_ENDED,
        answering, "end", _nothing, [(CREATE, 0, 0)]),
    Fault(
        "cancels no job", Invariant.EVERY_JOB_WAS_ENDED_OR_CANCELLED,
        Engine, "receive", _without_effect(lambda effect: isinstance(effect, fx.CancelJob))),
    Fault(
        "synthesises without credit", Invariant.A_SECOND_SEGMENT_IS_BEGUN_ONLY_WITH_CREDIT,
        segment_queue, "AHEAD_MS", 10**9, FAST),
    Fault(
        "keeps a speculation when the caller goes on", Invariant.A_RELEASED_RESPONSE_ANSWERS_THE_PAUSE_THAT_ENDED_ITS_TURN,
        listening, "speech_resumed", _keeps_speculation, RESUMED),
    Fault(
        "stops a side effect with its response", Invariant.A_SIDE_EFFECT_RUNS_TO_ITS_END,
        LiveResponse, "jobs", _all_jobs, CUT_OFF, mode=0),
    Fault(
        "forgets a side effect with its response", Invariant.THE_RESULT_OF_A_SIDE_EFFECT_IS_NEVER_LOST,
        tool_calls, "detach", _nothing, CUT_OFF, mode=0),
    Fault(
        "loses a late result", Invariant.THE_RESULT_OF_A_SIDE_EFFECT_IS_NEVER_LOST,
        tool_calls, "finish_detached", _loses_late_results, CUT_OFF, mode=0),
    Fault(
        "loses every result", Invariant.THE_RESULT_OF_A_SIDE_EFFECT_IS_NEVER_LOST,
        Conversation, "add_result", _nothing, CUT_OFF, mode=0),
    Fault(
        "leaves a model waiting", Invariant.A_CALL_OF_AN_ENDED_RESPONSE_HAS_A_RESULT,
        answering, "_remove_unanswered_calls", _nothing,
        [*CUT_OFF, (CREATE, 0, 0), (CALL, 0, LOOKING_UP), (CANCEL, 0, 0)], mode=0),
    Fault(
        "runs a call again", Invariant.A_SIDE_EFFECT_BEGINS_ONCE,
        tool_calls, "run_tools", _runs_calls_again, TWO_CALLS, mode=0),
    Fault(
        "acts on speculation", Invariant.SPECULATION_HAS_NO_SIDE_EFFECTS,
        tool_calls, "run_tools", _acts_on_speculation, SPECULATED, mode=0),
    Fault(
        "drops a turn that ends during an answer", Invariant.THE_WORDS_OF_A_TURN_ARE_READ,
        answering, "answer_waiting_turn", _forgets_who_waits, TURN_DURING_AN_ANSWER, mode=1),
    Fault(
        "answers a cough", Invariant.NOTHING_IS_ANSWERED_THAT_WAS_NOT_SAID,
        reading, "is_wordless", lambda *_: False, COUGH, mode=len(MODES)),
    Fault(
        "takes half a call for whole", Invariant.A_COMPLETED_CALL_HAS_A_JSON_OBJECT,
        tool_calls, "is_json_object", lambda _: True, [(CREATE, 0, 0), (ODD_CALL, 1, 1)]),
    Fault(
        "acknowledges a truncation and keeps the words", Invariant.A_TRUNCATED_ITEM_IS_CUT_EVERYWHERE,
        requests, "OutputAudio", lambda transcript: OutputAudio(transcript="All of it."),
        [*TYPED, (TRUNCATE, 1, 2)]),
    Fault(
        "ends without a word", Invariant.A_COMPLETED_RESPONSE_SAYS_SOMETHING,
        LiveResponse, "has_words", True, [(CREATE, 0, 0), *[(ODD_CALL, 2, 6)] * tool_calls.MAX_GENERATIONS]),
)  # fmt: skip
