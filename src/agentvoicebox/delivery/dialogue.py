"""The deterministic delivery agent: need → confirm → fetch → report → fallback, as a function of the conversation.

`next_move` reads the whole conversation afresh and folds it through one small state machine, so that a restarted worker,
another gateway or a replay says the same. It trusts what the caller said and what the tool returned; of its own earlier
lines it only asks whether the caller heard them out. Every fact in a line comes from a tool result.
"""

from collections.abc import Sequence
from enum import Enum, auto
from typing import Any

import msgspec

from agentvoicebox.delivery import phrases, reply, track, tracking
from agentvoicebox.delivery.carriers import is_unfinished
from agentvoicebox.delivery.chat import ChatLine, OfferedTool, find_tool, properties, turns
from agentvoicebox.delivery.intent import Intent, intents, word_count
from agentvoicebox.delivery.readback import readback
from agentvoicebox.delivery.tool_result import ToolResult, read

LEAST_FRAGMENT = 2  # characters among other words that count as part of a number


class Say(msgspec.Struct, frozen=True):
    """Speak this line."""

    text: str


class CallTool(msgspec.Struct, frozen=True):
    """Call a tool and wait for its result. `arguments` is JSON-able."""

    name: str
    arguments: dict[str, Any]


Move = Say | CallTool


class Stage(Enum):
    """Where in the conversation we are."""

    OPEN = auto()
    ASKED = auto()
    COLLECTING = auto()
    CONFIRMING = auto()
    CHOOSING = auto()
    FETCHING = auto()
    REPORTED = auto()
    FAILED = auto()
    ENDED = auto()


class State(msgspec.Struct, frozen=True):
    """What the conversation so far comes to.

    Attributes:
        pieces: what the caller said of a number that isn't whole yet.
        guess: the id under discussion.
        choices: ids between which the caller is to choose.
        misses: lines in a row that were not understood.
        failures: look-ups in a row that found nothing.
        result: the last tool result worth repeating.
        said: the last line of ours.
        is_unheard: whether nothing of it reached the caller.
        was_cut: whether the caller broke into it.
    """

    stage: Stage = Stage.OPEN
    pieces: tuple[str, ...] = ()
    guess: str = ""
    choices: tuple[str, ...] = ()
    misses: int = 0
    failures: int = 0
    result: ToolResult | None = None
    said: str = ""
    is_unheard: bool = False
    was_cut: bool = False


Step = tuple[State, Move]


def next_move(messages: Sequence[ChatLine], tools: Sequence[OfferedTool]) -> Move:
    """The next line, or the call to make, after `messages`.

    Args:
        messages: the conversation from its start; lines of ours that were cut short hold what was heard.
        tools: what may be called now; without the look-up tool the agent says that it can't look up.
    """
    tool = find_tool(tools)
    state, move = _say(State(), phrases.GREETING)
    is_due = True  # whether the last line is not ours
    for role, text in turns(messages):
        if role == "assistant":
            state, is_due = _heard(state, text), False
            continue
        is_due = True
        state, move = _step_result(state, read(text)) if role == "tool" else _Step(state, text, tool).take()
    return move if is_due else _nudge(state)


def _say(state: State, text: str, **changes: Any) -> Step:
    return msgspec.structs.replace(state, said=text, is_unheard=True, was_cut=False, **changes), Say(text)


def _heard(state: State, text: str) -> State:
    said, heard = state.said.split(), text.split()
    was_cut = len(heard) < len(said) and heard[:-1] == said[: max(0, len(heard) - 1)]
    return msgspec.structs.replace(state, is_unheard=False, was_cut=was_cut)


def _nudge(state: State) -> Move:
    """Nothing new came from the caller: ask after them, with the open question."""
    if state.stage in (Stage.REPORTED, Stage.FAILED, Stage.ENDED):
        return Say(phrases.STILL_THERE)
    return Say(f"{phrases.STILL_THERE} {_question(state)}")


def _question(state: State) -> str:
    match state.stage:
        case Stage.CONFIRMING | Stage.CHOOSING:
            return state.said
        case Stage.COLLECTING:
            return phrases.WHAT_COMES_NEXT
        case Stage.REPORTED | Stage.FAILED:
            return phrases.ANYTHING_ELSE
    return phrases.ASK


def _step_result(state: State, result: ToolResult) -> Step:
    state = msgspec.structs.replace(state, misses=0, choices=())
    match result.code:
        case track.CONFIRM if result.tracking_id:
            return _say(state, result.speech, stage=Stage.CONFIRMING, guess=result.tracking_id)
        case track.AMBIGUOUS if result.choices:
            return _say(state, result.speech, stage=Stage.CHOOSING, choices=result.choices)
        case track.NOT_FOUND | track.INVALID_ID | track.INVALID_ARGUMENTS:
            failures = state.failures + 1
            if failures >= len(phrases.AFTER_FAILURE):
                return _say(state, phrases.CANT_FIND, stage=Stage.ENDED, pieces=(), failures=0)
            line = f"{result.speech} {phrases.AFTER_FAILURE[failures]}"
            pieces = (state.guess,) if state.guess else ()
            return _say(state, line, stage=Stage.ASKED, pieces=pieces, failures=failures)
        case track.UNAVAILABLE | track.ERROR | track.UNKNOWN_TOOL:
            return _say(state, result.speech, stage=Stage.FAILED, pieces=(), failures=0)
    line = f"{result.speech} {phrases.ANYTHING_ELSE}"
    return _say(state, line, stage=Stage.REPORTED, pieces=(), failures=0, result=result)


class _Step:
    """One line of the caller, taken in one state."""

    def __init__(self, state: State, text: str, tool: OfferedTool | None) -> None:
        self.state = state
        self.text = text
        self.tool = tool
        self.intent = intents(text)
        self.fresh = tracking.candidates(text)
        self.fragment = tracking.fragment(text)

    def take(self) -> Step:
        """The state after the line, and the answer to it."""
        state = self.state
        is_news = state.stage in (Stage.REPORTED, Stage.FAILED, Stage.CONFIRMING, Stage.CHOOSING)
        if state.is_unheard and is_news and not self.fresh and Intent.BYE not in self.intent:
            return _say(state, state.said)  # the answer was drowned before its first word
        if self.state.stage is Stage.CONFIRMING:
            return self._confirming()
        if self.state.stage is Stage.CHOOSING:
            return self._choosing()
        if self._is_about_a_number():
            return self._number(self.fresh, self.text)
        return self._talk()

    def _is_about_a_number(self) -> bool:
        if self.fresh:
            return True
        is_all = word_count(self.text) <= len(self.fragment) + 2
        is_awaited = self.state.stage in (Stage.ASKED, Stage.COLLECTING)
        return len(self.fragment) >= (1 if is_all and is_awaited else LEAST_FRAGMENT) and (is_awaited or is_all)

    def _confirming(self) -> Step:
        state = self.state
        if self.fresh and self.fresh[0].tracking_id != state.guess:
            return self._number(self.fresh, self.text)
        if Intent.REPEAT in self.intent or (Intent.YES in self.intent and state.was_cut):
            return _say(state, state.said)
        if self.fragment and not (Intent.YES in self.intent and Intent.NO not in self.intent):
            mended = tracking.candidates(f"{state.guess}, no, {self.text}")
            if mended:
                return self._confirm(mended[0].tracking_id)
        if Intent.NO in self.intent:
            return _say(state, phrases.SAY_AGAIN, stage=Stage.ASKED, pieces=(), misses=0)
        if Intent.YES in self.intent or self.fresh:
            return self._fetch(state.guess, ())
        return self._talk()

    def _choosing(self) -> Step:
        state = self.state
        named = [each for each in state.choices if self.fresh and each == self.fresh[0].tracking_id]
        if not named and self.fragment:
            named = [each for each in state.choices if each.endswith(self.fragment)]
        if not named:
            named = [
                state.choices[index]
                for word, index in (("first", 0), ("second", 1), ("third", 2), ("last", -1))
                if word in self.text.lower().split() and index < len(state.choices)
            ]
        if len(named) == 1:
            return self._fetch(named[0], ())
        if self.fresh:
            return self._number(self.fresh, self.text)
        if Intent.NO in self.intent:
            return _say(state, phrases.SAY_AGAIN, stage=Stage.ASKED, pieces=(), choices=(), misses=0)
        if Intent.YES in self.intent or Intent.REPEAT in self.intent:
            return _say(state, state.said)
        return self._talk()

    def _number(self, fresh: list[tracking.Candidate], text: str) -> Step:
        """The line holds a number, or a part of one."""
        state = self.state
        pieces = (*state.pieces, text)
        whole = tracking.candidates(", ".join(pieces)) if state.pieces else []
        best = fresh
        kept: tuple[str, ...] = (text,)
        if whole and (not fresh or self._belongs_together(whole[0], fresh[0])):
            best, kept = whole, pieces
        if not best:
            so_far = tracking.fragment(", ".join(pieces))
            line = phrases.so_far(readback(so_far))
            return _say(state, line, stage=Stage.COLLECTING, pieces=pieces, misses=0)
        first = best[0]
        if is_unfinished(first.tracking_id) and Intent.COMPLETE not in self.intent:
            line = phrases.so_far(readback(first.tracking_id))
            return _say(state, line, stage=Stage.COLLECTING, pieces=kept, misses=0)
        self.state = msgspec.structs.replace(state, pieces=kept)
        if tracking.is_certain(best):
            return self._fetch(first.tracking_id, ())
        rivals = tuple(each.tracking_id for each in tracking.rivals(best))
        is_plain = first.cost < tracking.CLEAR_LEAD and first.check_digit_ok is not False
        if is_plain and rivals and self.tool is not None and "candidates" in properties(self.tool):
            return self._fetch(first.tracking_id, rivals)
        return self._confirm(first.tracking_id)

    def _belongs_together(self, whole: tracking.Candidate, fresh: tracking.Candidate) -> bool:
        if self.state.stage is Stage.COLLECTING and whole.check_digit_ok is not False:
            return whole.score >= fresh.score
        return whole.score > fresh.score + tracking.CLOSE_SCORE

    def _confirm(self, tracking_id: str) -> Step:
        line = phrases.confirm(readback(tracking_id))
        return _say(self.state, line, stage=Stage.CONFIRMING, guess=tracking_id, choices=(), misses=0)

    def _fetch(self, tracking_id: str, rivals: tuple[str, ...]) -> Step:
        if self.tool is None:
            return _say(self.state, phrases.NO_TOOL, stage=Stage.FAILED, guess=tracking_id)
        arguments: dict[str, Any] = {"tracking_id": tracking_id}
        if rivals:
            arguments["candidates"] = [tracking_id, *rivals]
        state = msgspec.structs.replace(
            self.state, stage=Stage.FETCHING, guess=tracking_id, choices=(), misses=0, said="", was_cut=False
        )
        return state, CallTool(self.tool.name, arguments)

    def _talk(self) -> Step:
        """A line without a number."""
        state, intent = self.state, self.intent
        is_done = state.stage in (Stage.REPORTED, Stage.FAILED, Stage.ENDED)
        calm = msgspec.structs.replace(state, misses=0)
        if Intent.COMPLETE in intent and state.stage is Stage.COLLECTING:
            whole = tracking.candidates(", ".join(state.pieces))
            return self._confirm(whole[0].tracking_id) if whole else self._not_understood()
        if Intent.BYE in intent or (is_done and (Intent.THANKS in intent or intent is Intent.NO)):
            return _say(calm, phrases.GOODBYE, stage=Stage.ENDED, pieces=())
        if Intent.HUMAN in intent:
            return _say(calm, f"{phrases.NO_HUMAN} {_question(state)}", stage=self._asking())
        if state.stage is Stage.FETCHING or (state.stage is Stage.FAILED and Intent.RETRY in intent):
            return self._fetch(state.guess, ()) if state.guess else _say(calm, phrases.ASK, stage=Stage.ASKED)
        if Intent.REPEAT in intent:
            return _say(calm, state.said or phrases.ASK)
        if Intent.HOLD in intent:
            return _say(calm, phrases.TAKE_YOUR_TIME)
        if is_done and (answer := self._follow_up()):
            return _say(calm, f"{answer} {phrases.ANYTHING_ELSE}")
        if Intent.FIND_NUMBER in intent:
            return _say(calm, f"{phrases.WHERE_TO_FIND} {phrases.ASK}", stage=Stage.ASKED)
        if Intent.NO_NUMBER in intent or (state.stage is Stage.ASKED and Intent.NO in intent):
            if state.said == phrases.NO_NUMBER:
                return _say(calm, phrases.CANT_WITHOUT, stage=Stage.ENDED)
            return _say(calm, phrases.NO_NUMBER, stage=Stage.ASKED)
        if Intent.NEED in intent or (is_done and Intent.YES in intent):
            ask = (
                phrases.ASK if state.stage is not Stage.OPEN or Intent.GREETING not in intent else phrases.GREETED_NEED
            )
            return _say(calm, ask, stage=Stage.ASKED, pieces=())
        if Intent.GREETING in intent:
            return _say(calm, phrases.GREETED if state.stage is Stage.OPEN else _question(state), stage=self._asking())
        if Intent.YES in intent:
            return _say(calm, _question(state), stage=self._asking())
        if word_count(self.text) >= 3 and state.misses == 0:
            return _say(state, f"{phrases.OFF_TOPIC} {_question(state)}", stage=self._asking(), misses=1)
        return self._not_understood()

    def _asking(self) -> Stage:
        return Stage.ASKED if self.state.stage in (Stage.OPEN, Stage.ENDED) else self.state.stage

    def _follow_up(self) -> str:
        """A question about the parcel just reported, answered from the same tool result."""
        result = self.state.result
        shipment = result.shipment if result else None
        if result is None or self.state.stage is not Stage.REPORTED:
            return ""
        if shipment is None:
            return result.speech if self.intent & (Intent.WHEN | Intent.WHERE | Intent.WHO) else ""
        if Intent.WHEN in self.intent:
            return reply.arrival(shipment) or reply.found(shipment)
        if Intent.WHERE in self.intent:
            return reply.whereabouts(shipment) or phrases.UNKNOWN_PLACE
        if Intent.WHO in self.intent:
            return phrases.carrier(reply.plain(shipment.carrier)) if shipment.carrier else phrases.UNKNOWN_CARRIER
        return ""

    def _not_understood(self) -> Step:
        state = self.state
        misses = state.misses + 1
        if misses > len(phrases.AFTER_MISS):
            return _say(state, phrases.GIVE_UP, stage=Stage.ENDED, pieces=(), misses=0)
        line = phrases.AFTER_MISS[misses - 1]
        if misses == 1:
            line = f"{line} {_question(state)}"
        return _say(state, line, stage=self._asking(), misses=misses)
