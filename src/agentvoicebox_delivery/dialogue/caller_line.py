"""Interprets one line of the caller in one state: a number, a yes, a no, or other talk; and decides the next step.

Decides how a number grows over several lines, when a line repeats it, and what is asked next. Pure.
"""

from typing import Any

import msgspec

from agentvoicebox_delivery.dialogue import phrases
from agentvoicebox_delivery.dialogue.chat import OfferedTool, properties
from agentvoicebox_delivery.dialogue.intent import Intent, intents, word_count
from agentvoicebox_delivery.dialogue.state import DialogueState, Stage, Step, ToolRequest, question, say
from agentvoicebox_delivery.numbers import inquiry, tracking
from agentvoicebox_delivery.numbers.carriers import is_unfinished, missing
from agentvoicebox_delivery.numbers.fuzzy_reading import read_fuzzy
from agentvoicebox_delivery.numbers.readback import readback, spelled_ending
from agentvoicebox_delivery.parcels import reply

MOST_REFUSED = 8
ENDING_LENGTHS = range(2, 7)  # accepted length of the answer when four characters were asked for
LEAST_HEARING = 4  # characters that are worth comparing, once the number was asked for again
MOST_MISSED = 3  # characters short of a whole number that a recogniser may have lost
LEAST_FRAGMENT = 2  # characters among other words that count as part of a number


class CallerLine:
    """A line, the state it is said in, and the offered tool."""

    def __init__(self, state: DialogueState, text: str, tool: OfferedTool | None) -> None:
        self.state = state
        self.text = text
        self.tool = tool
        self.intent = intents(text)
        self.fresh = tracking.candidates(text)
        self.fragment = tracking.fragment(text)

    def next_step(self) -> Step:
        """The state after the line, and the answer to it."""
        state = self.state
        is_news = state.stage in (Stage.REPORTED, Stage.FAILED, Stage.CONFIRMING, Stage.CHOOSING)
        if state.is_unheard and is_news and not self.fresh and Intent.BYE not in self.intent:
            return say(state, state.said)  # the answer was interrupted before its first word
        if self.state.stage is Stage.CONFIRMING:
            return self._confirming()
        if self.state.stage is Stage.CHOOSING:
            return self._choosing()
        if self.state.stage is Stage.ENDING and self._is_ending():
            return self._look_up(self.state.guess, state.tries, ending=self.text)
        if self._is_about_a_number():
            return self._number(self.fresh, self.text)
        return self._without_number()

    def _is_ending(self) -> bool:
        """Whether the line can be the requested last characters, recognised well or badly."""
        rough = read_fuzzy(self.text)
        return len(self.fragment) in ENDING_LENGTHS or (rough is not None and len(rough.text) in ENDING_LENGTHS[1:])

    def _is_goodbye(self) -> bool:
        """Recognisers write "bye" for "five": among other characters of a requested number it is not a goodbye."""
        is_awaited = self.state.stage in (Stage.ASKED, Stage.COLLECTING, Stage.ENDING)
        rough = read_fuzzy(self.text) if is_awaited else None
        return Intent.BYE in self.intent and (rough is None or len(rough.text) < LEAST_FRAGMENT)

    def _is_about_a_number(self) -> bool:
        if self.fresh:
            return True
        is_all = word_count(self.text) <= len(self.fragment) + 2
        is_awaited = self.state.stage in (Stage.ASKED, Stage.COLLECTING, Stage.ENDING)
        return len(self.fragment) >= (1 if is_all and is_awaited else LEAST_FRAGMENT) and (is_awaited or is_all)

    def _confirming(self) -> Step:
        state = self.state
        if self.fresh and self.fresh[0].tracking_id != state.guess:
            return self._number(self.fresh, self.text)
        if Intent.REPEAT in self.intent or (Intent.YES in self.intent and state.was_cut):
            return say(state, state.said)
        if self.fragment and not (Intent.YES in self.intent and Intent.NO not in self.intent):
            corrected = tracking.candidates(f"{state.guess}, no, {self.text}")
            if corrected:
                return self._confirm(corrected[0].tracking_id)
        if Intent.NO in self.intent:
            return self._refuse((state.guess,))
        if Intent.YES in self.intent or self.fresh:
            return self._fetch(state.guess, ())
        return self._without_number()

    def _choosing(self) -> Step:
        state = self.state
        named = [each for each in state.choices if self.fresh and each == self.fresh[0].tracking_id]
        if not named and self.fragment:
            named = [each for each in state.choices if spelled_ending(each) == self.fragment]
            named = named or [each for each in state.choices if each.endswith(self.fragment)]
        if not named:
            named = [
                state.choices[index]
                for word, index in (("first", 0), ("second", 1), ("third", 2), ("last", -1))
                if word in self.text.lower().split() and index < len(state.choices)
            ]
        if len(named) == 1:
            return self._confirm(named[0])  # similar numbers are easily misheard: confirm the whole number again
        if self.fresh:
            return self._number(self.fresh, self.text)
        if Intent.NO in self.intent:
            return self._refuse(state.choices)
        if Intent.YES in self.intent or Intent.REPEAT in self.intent:
            return say(state, state.said)
        return self._without_number()

    def _number(self, fresh: list[tracking.Candidate], text: str) -> Step:
        """The line holds a number, or a part of one."""
        state = self.state
        if state.stage is Stage.COLLECTING and Intent.NO in self.intent and self._allows_mishearing:
            # The caller repeated the whole number instead of its rest; the first recognition still counts.
            state = self.state = msgspec.structs.replace(
                state, pieces=(), tries=(*state.tries, ", ".join(state.pieces))
            )
        pieces = (*state.pieces, text)
        whole = tracking.candidates(", ".join(pieces)) if state.pieces else []
        best = fresh
        kept: tuple[str, ...] = (text,)
        if whole and (not fresh or self._belongs_together(whole[0], fresh[0])):
            best, kept = whole, pieces
        if not best:
            so_far = tracking.fragment(", ".join(pieces))
            least = LEAST_HEARING if state.tries else tracking.SHORTEST - 1
            if len(so_far) >= least and len(pieces) == 1 and self._allows_mishearing:
                self.state = msgspec.structs.replace(state, pieces=pieces)
                return self._look_up(so_far, (*state.tries, text))
            rest = tracking.candidates(f"{state.tries[-1]}, {text}") if state.tries and so_far.isdigit() else []
            if rest and not state.pieces and self._allows_mishearing:
                return self._look_up(rest[0].tracking_id, (*state.tries, text))  # it continues the number
            line = phrases.so_far(readback(so_far))
            return say(state, line, stage=Stage.COLLECTING, pieces=pieces, misses=0)
        first = best[0]
        is_short = is_unfinished(first.tracking_id)
        if is_short and self._allows_mishearing:
            is_short = missing(first.tracking_id) > MOST_MISSED
        if is_short and Intent.COMPLETE not in self.intent:
            line = phrases.so_far(readback(first.tracking_id))
            return say(state, line, stage=Stage.COLLECTING, pieces=kept, misses=0)
        self.state = msgspec.structs.replace(state, pieces=kept)
        if self._allows_mishearing:
            return self._look_up(first.tracking_id, (*state.tries, ", ".join(kept)))
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

    @property
    def _allows_mishearing(self) -> bool:
        return self.tool is not None and inquiry.HEARD in properties(self.tool)

    def _look_up(self, tracking_id: str, tries: tuple[str, ...], *, ending: str = "", is_refused: bool = False) -> Step:
        """Let the tool compare all recognised numbers with existing ones. A tool without this gets the one id."""
        if self.tool is None or not self._allows_mishearing:
            return self._fetch(tracking_id, ())
        tries = tries[-inquiry.MOST_HEARINGS :]
        arguments: dict[str, Any] = {"tracking_id": tracking_id, inquiry.HEARD: list(tries)}
        if ending:
            arguments[inquiry.ENDING] = ending
        if self.state.refused:
            arguments[inquiry.REFUSED] = list(self.state.refused)
        state = msgspec.structs.replace(
            self.state, stage=Stage.FETCHING, guess=tracking_id, choices=(), misses=0, said="", was_cut=False,
            tries=tries, ending=ending, is_refused=is_refused,
        )  # fmt: skip
        return state, ToolRequest(self.tool.name, arguments)

    def _refuse(self, tracking_ids: tuple[str, ...]) -> Step:
        """The caller rejected the number: the next likely parcel, or the number once more."""
        state = self.state
        if not state.tries or not self._allows_mishearing:
            return say(state, phrases.SAY_AGAIN, stage=Stage.ASKED, pieces=(), choices=(), misses=0)
        refused = (*state.refused, *tracking_ids)[-MOST_REFUSED:]
        self.state = msgspec.structs.replace(state, refused=refused, pieces=())
        return self._look_up(state.guess or tracking_ids[0], state.tries, ending=state.ending, is_refused=True)

    def _confirm(self, tracking_id: str) -> Step:
        line = phrases.confirm(readback(tracking_id))
        return say(self.state, line, stage=Stage.CONFIRMING, guess=tracking_id, choices=(), misses=0)

    def _fetch(self, tracking_id: str, rivals: tuple[str, ...]) -> Step:
        if self.tool is None:
            return say(self.state, phrases.NO_TOOL, stage=Stage.FAILED, guess=tracking_id)
        arguments: dict[str, Any] = {"tracking_id": tracking_id}
        if rivals:
            arguments["candidates"] = [tracking_id, *rivals]
        state = msgspec.structs.replace(
            self.state, stage=Stage.FETCHING, guess=tracking_id, choices=(), misses=0, said="", was_cut=False
        )
        return state, ToolRequest(self.tool.name, arguments)

    def _without_number(self) -> Step:
        """A line without a number."""
        state, intent = self.state, self.intent
        is_done = state.stage in (Stage.REPORTED, Stage.FAILED, Stage.ENDED)
        calm = msgspec.structs.replace(state, misses=0)
        if Intent.COMPLETE in intent and state.stage is Stage.COLLECTING:
            whole = tracking.candidates(", ".join(state.pieces))
            return self._confirm(whole[0].tracking_id) if whole else self._not_understood()
        if self._is_goodbye() or (is_done and (Intent.THANKS in intent or intent is Intent.NO)):
            return say(calm, phrases.GOODBYE, stage=Stage.ENDED, pieces=())
        if Intent.HUMAN in intent:
            return say(calm, f"{phrases.NO_HUMAN} {question(state)}", stage=self._asking())
        if state.stage is Stage.FETCHING or (state.stage is Stage.FAILED and Intent.RETRY in intent):
            return self._fetch(state.guess, ()) if state.guess else say(calm, phrases.ASK, stage=Stage.ASKED)
        if Intent.REPEAT in intent:
            return say(calm, state.said or phrases.ASK)
        if Intent.HOLD in intent:
            return say(calm, phrases.TAKE_YOUR_TIME)
        if is_done and (answer := self._follow_up()):
            return say(calm, f"{answer} {phrases.ANYTHING_ELSE}")
        if Intent.FIND_NUMBER in intent:
            return say(calm, f"{phrases.WHERE_TO_FIND} {phrases.ASK}", stage=Stage.ASKED)
        if Intent.NO_NUMBER in intent or (state.stage is Stage.ASKED and Intent.NO in intent):
            if state.said == phrases.NO_NUMBER:
                return say(calm, phrases.CANT_WITHOUT, stage=Stage.ENDED)
            return say(calm, phrases.NO_NUMBER, stage=Stage.ASKED)
        if Intent.NEED in intent or (is_done and Intent.YES in intent):
            ask = (
                phrases.ASK if state.stage is not Stage.OPEN or Intent.GREETING not in intent else phrases.GREETED_NEED
            )
            return say(calm, ask, stage=Stage.ASKED, pieces=())
        if Intent.GREETING in intent:
            return say(calm, phrases.GREETED if state.stage is Stage.OPEN else question(state), stage=self._asking())
        if Intent.YES in intent:
            return say(calm, question(state), stage=self._asking())
        if word_count(self.text) >= 3 and state.misses == 0:
            return say(state, f"{phrases.OFF_TOPIC} {question(state)}", stage=self._asking(), misses=1)
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
            return say(state, phrases.GIVE_UP, stage=Stage.ENDED, pieces=(), misses=0)
        line = phrases.AFTER_MISS[misses - 1]
        if misses == 1:
            line = f"{line} {question(state)}"
        return say(state, line, stage=self._asking(), misses=misses)
