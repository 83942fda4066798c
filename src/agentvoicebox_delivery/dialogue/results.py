"""What follows from a result of the look-up: a report, a question about the number, or another way to ask for it."""

import msgspec

from agentvoicebox_delivery.dialogue import phrases
from agentvoicebox_delivery.dialogue.look_ups import Tools
from agentvoicebox_delivery.dialogue.number_line import from_queue
from agentvoicebox_delivery.dialogue.state import FORGOTTEN, DialogueState, Stage, Step, question, remember, say
from agentvoicebox_delivery.numbers.collecting import asks_for_ending, asks_for_groups, may_continue
from agentvoicebox_delivery.numbers.readback import readback
from agentvoicebox_delivery.parcels import track
from agentvoicebox_delivery.parcels.tool_result import ToolResult, read

OFFERED_FROM = 2  # failures in a row, from which on a person is offered


def step_result(state: DialogueState, output: str, tools: Tools) -> Step:
    """The state after a result, and what is said or looked up next."""
    result = read(output)
    state = msgspec.structs.replace(state, misses=0, choices=())
    match result.code:
        case track.CONFIRM if result.tracking_id:
            state = msgspec.structs.replace(state, stage=Stage.CONFIRMING, guess=result.tracking_id)
            asked = question(state) if state.is_typed else result.speech
            return say(state, _with_report(state, asked), report="")
        case track.AMBIGUOUS if result.choices and not _was_refused(state):
            return say(
                state, _with_report(state, result.speech), stage=Stage.CHOOSING, choices=result.choices, report=""
            )
        case track.AMBIGUOUS if result.choices:
            # Endings of other people's parcels are no answer to a no.
            return _not_found(msgspec.structs.replace(state, is_refused=True), result, tools)
        case track.NOT_FOUND | track.INVALID_ID | track.INVALID_ARGUMENTS if state.queue or state.report:
            return _reported(state, result, tools)
        case track.NOT_FOUND | track.INVALID_ID | track.INVALID_ARGUMENTS:
            return _not_found(state, result, tools)
        case track.UNAVAILABLE | track.ERROR | track.UNKNOWN_TOOL:
            failures = state.failures + 1 if state.stage is Stage.FETCHING else 1
            line = _with_report(state, result.speech)
            changes = {"stage": Stage.FAILED, "pieces": (), "queue": (), "report": "", "failures": failures}
            if failures >= OFFERED_FROM and tools.hand_over is not None:
                return say(state, f"{line} {phrases.OFFER_PERSON}", offers_person=True, **changes)
            return say(state, line, **changes)
    return _reported(state, result, tools)


def _reported(state: DialogueState, result: ToolResult, tools: Tools) -> Step:
    """A parcel was reported, or one of several numbers was not found."""
    report = _with_report(state, result.speech)
    if result.code not in (track.NOT_FOUND, track.INVALID_ID, track.INVALID_ARGUMENTS):
        reported = remember(state.reported, result)
        state = msgspec.structs.replace(state, reported=reported, about=result.tracking_id, failures=0)
    if state.queue:
        return from_queue(msgspec.structs.replace(state, report=report), tools)
    line = f"{report} {phrases.ANYTHING_ELSE}"
    return say(state, line, stage=Stage.REPORTED, failures=0, report="", **FORGOTTEN)


def _with_report(state: DialogueState, sentence: str) -> str:
    return f"{state.report} {sentence}".strip()


def _was_refused(state: DialogueState) -> bool:
    """Whether the caller has just said no, or says a number again that they said no to."""
    return state.is_refused or state.guess in state.refused


def _not_found(state: DialogueState, result: ToolResult, tools: Tools) -> Step:
    """No parcel was found: ask for the number in another way, three times at most."""
    if state.is_typed:
        return _typed_not_found(state, result, tools)
    is_part = may_continue(state.guess, state.tries, len(state.pieces)) and not state.is_refused and bool(state.pieces)
    if is_part and not state.failures:
        line = phrases.so_far(readback(state.guess))
        return say(state, line, stage=Stage.COLLECTING, tries=state.tries[:-1])
    failures = state.failures + 1
    if failures >= len(phrases.AFTER_FAILURE):
        return _cant_find(state, tools)
    opening = phrases.SORRY if state.is_refused else result.speech
    pieces = (state.guess,) if state.guess and not state.tries else ()
    if failures >= OFFERED_FROM and tools.hand_over is not None:
        line = f"{opening} {phrases.OFFER_PERSON}"
        return say(state, line, stage=Stage.ASKED, pieces=pieces, failures=failures, offers_person=True)
    if state.tries and asks_for_ending(state.guess, failures):
        return say(state, f"{opening} {phrases.ASK_ENDING}", stage=Stage.ENDING, pieces=(), failures=failures)
    ask = phrases.AFTER_FAILURE[1 + asks_for_groups(state.guess, failures)]
    ask = phrases.SAY_SLOWLY if state.is_refused and failures == 1 else ask
    ask = phrases.or_type_it(ask) if state.has_typed and failures > 1 else ask
    return say(state, f"{opening} {ask}", stage=Stage.ASKED, pieces=pieces, failures=failures)


def _typed_not_found(state: DialogueState, result: ToolResult, tools: Tools) -> Step:
    """No parcel has the number that was typed, so it is wrong. What comes next is another number, not the rest of it."""
    failures = state.failures + 1
    if failures >= len(phrases.AFTER_TYPED_FAILURE):
        return _cant_find(state, tools)
    offers = failures >= OFFERED_FROM and tools.hand_over is not None
    asked = phrases.OFFER_PERSON if offers else phrases.AFTER_TYPED_FAILURE[failures]
    line = f"{result.speech} {asked}"
    return say(state, line, stage=Stage.ASKED, failures=failures, offers_person=offers, **FORGOTTEN)


def _cant_find(state: DialogueState, tools: Tools) -> Step:
    if tools.hand_over is not None:
        line = f"{phrases.CANT_FIND.removesuffix(' Goodbye.')} {phrases.OFFER_PERSON}"
        return say(state, line, stage=Stage.ASKED, failures=0, offers_person=True, **FORGOTTEN)
    return say(state, phrases.CANT_FIND, stage=Stage.ENDED, failures=0, **FORGOTTEN)
