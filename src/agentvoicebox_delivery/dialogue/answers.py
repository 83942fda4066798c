"""The answers of the table: each takes a line and gives the step that follows. Facts come from results only."""

import re

import msgspec

from agentvoicebox_delivery.dialogue import hand_over, phrases, reported, topics
from agentvoicebox_delivery.dialogue.chat import TRANSFER
from agentvoicebox_delivery.dialogue.line import CallerLine
from agentvoicebox_delivery.dialogue.look_ups import confirm, fetch, refuse
from agentvoicebox_delivery.dialogue.state import DialogueState, Stage, Step, ToolRequest, question, say
from agentvoicebox_delivery.dialogue.want_reading import bare, is_question, word_count
from agentvoicebox_delivery.dialogue.wants import Want
from agentvoicebox_delivery.numbers import tracking
from agentvoicebox_delivery.parcels.shipment import ShipmentStatus
from agentvoicebox_delivery.parcels.tool_result import ToolResult

MOST_MISSES = len(phrases.AFTER_MISS)
MOST_SILENCES = 2  # in a row; a third one ends the call
MOST_UNHEARD_WORDS = 3  # a longer line was heard, and is about something else

_BEGINS_WITH_NO = re.compile(r"(?:no|nope|nah|wrong|not)\b")
_ABOUT_IT = re.compile(r"\b(?:it|its|it's|they|them|this|that|parcel|package|delivery|driver|carrier|courier|van)\b")

_BEFORE = (Stage.OPEN, Stage.ASKED, Stage.COLLECTING, Stage.ENDING, Stage.CONFIRMING, Stage.CHOOSING)


def calm(state: DialogueState) -> DialogueState:
    """The state after a line that was understood."""
    return msgspec.structs.replace(state, misses=0)


def asking(state: DialogueState) -> Stage:
    """The stage once its open question is asked."""
    if state.stage is Stage.ENDED:
        return Stage.REPORTED if state.reported else Stage.ASKED
    return Stage.ASKED if state.stage is Stage.OPEN else state.stage


def with_question(line: CallerLine, *sentences: str) -> Step:
    """Sentences, and the open question again."""
    state = calm(line.state)
    said = " ".join(each for each in (*sentences, question(state)) if each)
    return say(state, said, stage=asking(state))


def ask_number(line: CallerLine) -> Step:
    """Ask for the number."""
    state = line.state
    if state.stage is Stage.OPEN and line.want is Want.GREETING:
        ask = phrases.GREETED
    elif state.stage is Stage.OPEN and line.text.lower().startswith(("hello", "hi", "hey", "good ")):
        ask = phrases.GREETED_NEED
    else:
        ask = phrases.ASK_OTHER if state.reported else phrases.ASK
    sorry = f"{phrases.SORRY_FOR_THIS} " if line.is_angry else ""
    if line.want in (Want.NOT_RECEIVED, Want.DAMAGED) and not sorry:
        sorry = f"{phrases.SORRY_TO_HEAR} "
    stage = state.stage if state.stage in (Stage.COLLECTING, Stage.ENDING) else Stage.ASKED
    if stage is not Stage.ASKED:
        ask = question(state)
    return say(calm(state), f"{sorry}{ask}", stage=stage)


def open_question(line: CallerLine) -> Step:
    """Nothing but the open question."""
    return with_question(line, phrases.SORRY_FOR_THIS if line.is_angry else "")


def check_first(line: CallerLine) -> Step:
    """A question before the yes is neither yes nor a new start."""
    return with_question(line, phrases.SORRY_FOR_THIS if line.is_angry else phrases.CHECK_FIRST)


def here(line: CallerLine) -> Step:
    """The caller asks whether the agent is there."""
    if line.state.stage is Stage.OPEN:
        return ask_number(line)
    return with_question(line, phrases.I_AM_HERE)


def accept(line: CallerLine) -> Step:
    """A yes to the number that was read back. To a choice, or to a question that was cut, it is no answer."""
    state = line.state
    if state.was_cut or state.stage is Stage.CHOOSING:
        return say(state, question(state))
    return fetch(state, line.tools, state.guess)


def reject(line: CallerLine) -> Step:
    """A no to the number that was read back, or to all that were offered."""
    state = line.state
    return refuse(state, line.tools, state.choices if state.stage is Stage.CHOOSING else (state.guess,))


def again(line: CallerLine) -> Step:
    """Our last line again."""
    state = calm(line.state)
    if line.want is Want.LOUDER:
        return _said_again(state, phrases.LOUDER)
    if line.want is Want.SLOWER:
        return _said_again(state, phrases.OF_COURSE)
    found = reported.meant(state, line.text, line.fragment)
    if len(found) > 1:
        return say(state, f"{' '.join(reported.status(each) for each in found)} {question(state)}")
    return _said_again(state)


def _said_again(state: DialogueState, opening: str = "") -> Step:
    said = state.said or phrases.ASK
    for prefix in (phrases.LOUDER, phrases.OF_COURSE):
        said = said.removeprefix(prefix).strip()
    stage = Stage.ASKED if state.stage is Stage.OPEN else state.stage
    return say(state, f"{opening} {said}".strip(), stage=stage)


def wait(line: CallerLine) -> Step:
    """The caller needs a moment."""
    return say(calm(line.state), phrases.TAKE_YOUR_TIME)


def goodbye(line: CallerLine) -> Step:
    """The end of the call."""
    return say(calm(line.state), phrases.GOODBYE, stage=Stage.ENDED, pieces=(), queue=(), report="")


def welcome(line: CallerLine) -> Step:
    """Thanks that end nothing."""
    return with_question(line, phrases.WELCOME)


def complete(line: CallerLine) -> Step:
    """The number that was begun has no more characters."""
    whole = tracking.candidates(", ".join(line.state.pieces))
    return confirm(line.state, whole[0].tracking_id, is_typed=line.is_typed) if whole else missed(line)


def no_number(line: CallerLine) -> Step:
    """The caller has no number: where it may be, then who can give it."""
    state = calm(line.state)
    if state.said.endswith(phrases.NO_NUMBER):
        return give_up(line, phrases.CANT_WITHOUT)
    return say(state, phrases.NO_NUMBER, stage=Stage.ASKED)


def find_number(line: CallerLine) -> Step:
    """Where the number is."""
    return say(calm(line.state), f"{phrases.WHERE_TO_FIND} {phrases.ASK}", stage=Stage.ASKED)


def retry(line: CallerLine) -> Step:
    """Look the number up once more, if there is one."""
    state = calm(line.state)
    return fetch(state, line.tools, state.guess) if state.guess else ask_number(line)


def give_up(line: CallerLine, sentence: str) -> Step:
    """Nothing more can be done here: a person, where one can be reached, or the end."""
    if line.tools.hand_over is not None:
        opening = sentence.removesuffix(" Goodbye.").removesuffix(f" {phrases.ANYTHING_ELSE}")
        return say(
            line.state, f"{opening} {phrases.OFFER_PERSON}", stage=asking(line.state), offers_person=True, misses=0
        )
    return say(line.state, sentence, stage=Stage.ENDED, pieces=(), misses=0)


# -- about a parcel that was reported --------------------------------------------------------------------------------------


def about_reported(line: CallerLine) -> Step:
    """A question about a parcel that was reported, answered from its result."""
    state = calm(line.state)
    found = reported.meant(state, line.text, line.fragment)
    result = found[0] if found else reported.current(state)
    if result is None:
        return ask_number(line)
    state = msgspec.structs.replace(state, about=result.tracking_id)
    want = Want.STATE if line.want in (Want.OTHER, Want.ANOTHER, Want.BACKCHANNEL, Want.YES, Want.ANGER) else line.want
    answers = [_answer(line, want, each, is_one=len(state.reported) == 1) for each in (found or (result,))]
    sorry = phrases.SORRY_FOR_THIS if line.is_angry else ""
    said = " ".join(each for each in (sorry, *answers, phrases.ANYTHING_ELSE) if each)
    return say(state, said, stage=Stage.REPORTED)


def to_anything_else(line: CallerLine) -> Step:
    """A yes after a report: the caller wants another parcel. If it cut the report off, it is the rest of "Yes, that's right."."""
    return about_reported(line) if line.state.was_cut else ask_number(line)


def _answer(line: CallerLine, want: Want, result: ToolResult, *, is_one: bool) -> str:
    sentence = reported.answer(want, result, line.text)
    is_here = result.shipment is not None and result.shipment.status is ShipmentStatus.READY_FOR_PICKUP
    if want is Want.PICKUP and is_here:
        sentence = f"{result.speech} {topics.UNKNOWN[want]}"
    sentence = sentence or topics.UNKNOWN.get(want, "")
    if want is Want.STATE and "should have" in line.text.lower():
        sentence = f"{phrases.SORRY_FOR_THIS} {sentence}"
    return sentence if is_one or want in topics.UNKNOWN else reported.named(result, sentence)


def for_others(line: CallerLine) -> Step:
    """What others must do, in any stage."""
    state = calm(line.state)
    sentence = topics.OTHERS.get(line.want) or topics.UNKNOWN.get(line.want) or topics.ITSELF[line.want]
    if line.tools.hand_over is not None and line.want in topics.FOR_A_PERSON:
        return _offer(state, sentence)
    return with_question(line, sentence)


def not_received(line: CallerLine) -> Step:
    """A parcel that is not there, although it was reported."""
    state = calm(line.state)
    result = reported.current(state)
    is_delivered = (
        result is not None and result.shipment is not None and result.shipment.status is ShipmentStatus.DELIVERED
    )
    if is_delivered or result is None:
        sentence = f"{phrases.SORRY_TO_HEAR} {phrases.ONLY_RECORDED}"
    else:
        sentence = f"{phrases.SORRY_TO_HEAR} {result.speech} {phrases.ASK_CARRIER}"
    return _offer(state, sentence) if line.tools.hand_over is not None else with_question(line, sentence)


def disputed(line: CallerLine) -> Step:
    """The caller says that a status is wrong: the agent has no more than the carrier's record."""
    return with_question(line, phrases.SORRY, phrases.ONLY_RECORDED)


def soothe(line: CallerLine) -> Step:
    """Anger without a question."""
    if line.state.stage in (Stage.REPORTED, Stage.ENDED) and line.state.reported:
        return with_question(line, phrases.SORRY_FOR_THIS, phrases.ASK_CARRIER)
    return with_question(line, phrases.SORRY_FOR_THIS)


def not_mine(line: CallerLine) -> Step:
    """Another parcel than the caller's was reported."""
    state = calm(line.state)
    return say(state, f"{phrases.SORRY} {phrases.ASK}", stage=Stage.ASKED, pieces=(), tries=())


# -- a person --------------------------------------------------------------------------------------------------------


def person(line: CallerLine) -> Step:
    """The caller wants a person."""
    state = msgspec.structs.replace(calm(line.state), people_asked=line.state.people_asked + 1)
    if line.tools.hand_over is not None:
        return call_person(state, line)
    more = phrases.ASK_CARRIER if state.people_asked > 1 or state.reported else ""
    said = " ".join(each for each in (phrases.NO_HUMAN, more, question(state)) if each)
    return say(state, said, stage=asking(state))


def call_person(state: DialogueState, line: CallerLine) -> Step:
    """Hand the caller over, by the tool for it. The line's own tool is called with the words that announce it."""
    assert line.tools.hand_over is not None
    if line.tools.hand_over.name == TRANSFER:
        return say(state, phrases.TRANSFERRED, stage=Stage.ENDED)
    arguments = {"reason": " ".join(line.text.split())[: hand_over.LONGEST_REASON]}
    if state.about:
        arguments["tracking_id"] = state.about
    state = msgspec.structs.replace(state, is_handing_over=True, offers_person=False, said="", was_cut=False)
    return state, ToolRequest(line.tools.hand_over.name, arguments)


def offered_person(line: CallerLine) -> Step | None:
    """The answer to our offer of a person; None when the line is about something else."""
    state = line.state
    if line.want in (Want.YES, Want.BACKCHANNEL, Want.HUMAN, Want.THATS_IT):
        return call_person(calm(state), line)
    if line.want in (Want.NO, Want.DONE, Want.THANKS):
        return with_question(line, "") if state.reported else goodbye(line)
    return None


def _offer(state: DialogueState, sentence: str) -> Step:
    return say(state, f"{sentence} {phrases.OFFER_PERSON}", stage=asking(state), offers_person=True)


# -- what was not understood ---------------------------------------------------------------------------------------


def other(line: CallerLine) -> Step:
    """Talk about something else, or a line that was not understood."""
    state = line.state
    if state.stage in (Stage.REPORTED, Stage.ENDED) and reported.meant(state, line.text, line.fragment):
        return about_reported(line)
    if state.stage in (Stage.CONFIRMING, Stage.CHOOSING) and _BEGINS_WITH_NO.match(bare(line.text)):
        return reject(line)
    is_talk = is_question(line.text) or len(bare(line.text).split()) > MOST_UNHEARD_WORDS or word_count(line.text) >= 3
    if is_talk and state.misses == 0:
        is_about_it = state.stage in (Stage.REPORTED, Stage.ENDED) and _ABOUT_IT.search(bare(line.text)) is not None
        sentence = phrases.CANT_HELP if is_about_it else phrases.OFF_TOPIC
        return say(state, f"{sentence} {question(state)}", stage=asking(state), misses=1)
    return missed(line)


def unheard(line: CallerLine) -> Step:
    """A line without a word, or none within the idle timeout: the open question twice, then the end."""
    state = msgspec.structs.replace(line.state, silences=line.state.silences + 1)
    if state.silences > MOST_SILENCES or state.stage is Stage.ENDED:
        line_said = phrases.BYE if state.stage is Stage.ENDED else phrases.SILENT
        return say(state, line_said, stage=Stage.ENDED, pieces=(), queue=())
    more = "" if state.stage in (Stage.REPORTED, Stage.FAILED) else question(state)
    return say(state, f"{phrases.NOT_HEARD} {more}".strip(), stage=asking(state))


def missed(line: CallerLine) -> Step:
    """Not understood: the open question, then another way, then the end. Never the number, once a parcel was reported."""
    state = line.state
    misses = state.misses + 1
    if state.stage not in _BEFORE:
        if misses > MOST_MISSES:
            return give_up(line, phrases.CANT_HELP) if line.tools.hand_over else with_question(line, phrases.CANT_HELP)
        return say(state, f"{phrases.AFTER_MISS[0]} {question(state)}", stage=asking(state), misses=misses)
    if misses > MOST_MISSES:
        return give_up(line, phrases.GIVE_UP)
    if misses > 1 and state.stage is Stage.CHOOSING:
        # A yes or a no is heard more easily than an ending.
        return confirm(state, state.choices[0], is_typed=state.is_typed)
    if misses == 1 or state.stage in (Stage.CONFIRMING, Stage.CHOOSING):
        return say(state, f"{phrases.AFTER_MISS[0]} {question(state)}", stage=asking(state), misses=misses)
    said = phrases.AFTER_MISS[misses - 1]
    return say(state, phrases.or_type_it(said) if state.has_typed else said, stage=asking(state), misses=misses)


def another(line: CallerLine) -> Step:
    """Another parcel: one of those reported, or a new one."""
    if reported.meant(line.state, line.text, line.fragment):
        return about_reported(line)
    return ask_number(line)
