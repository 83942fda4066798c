"""The corpus of conversations: callers' lines with the answers that are acceptable, played against the dialogue and graded.

A file of `conversations/` holds one topic. Each turn names the acts that an answer must have (`want`), those that are true but
clumsy (`ok`), and those that it must not have (`never`); `acts.toml` says which words make an act. Grades: A a service would ship
it; B true but clumsy; C of no use to the caller; F false, a parcel that may not be reported, a refused or a stranger's number
offered, the parcel forgotten, or hung up by mistake. A conversation has the grade of its worst turn.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from agentvoicebox_delivery.evals.conversation_call import AgentAnswer, ConversationCall
from agentvoicebox_delivery.numbers.readback import ending, readback
from agentvoicebox_delivery.parcels.shipment import Shipment, ShipmentEvent, ShipmentStatus
from agentvoicebox_delivery.sources.demo_data import parcels

FOLDER = Path(__file__).with_name("conversations")
TODAY = date(2026, 11, 24)  # a Tuesday
GRADES = "ABCF"  # the best first
OVERDUE = "PKG500"

_TOKEN = re.compile(r"(?<!\S)'[^']*'(?!\S)|\S+")
_OF_PARCEL = ("tell", "confirm")
# What is said before a conversation begins: each with what it must bring about.
_BEFORE = {
    "asked": ({"say": "Where is my parcel?", "want": "ask_number"},),
    "two reported": ({"type": "PKG001", "want": "tell:PKG001"}, {"type": "PKG002", "want": "tell:PKG002"}),
}
_NUMBERS = {"0": "zero", "1": "one", "2": "two", "3": "three", "4": "four", "5": "five", "6": "six", "7": "seven"}


class CorpusTurn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A line of the caller, and what the answer must be like.

    Attributes:
        say, type: the line, spoken (as the recogniser writes it) or typed.
        silence: the caller says nothing.
        want: acts that make the answer an A, separated by spaces; "/" between acts of which one is enough. `tell:ID` and
            `confirm:ID` name a parcel, `'words'` are in the answer, `~pattern` matches it; `handover` calls the tool for it.
        ok: acts that make it a B.
        never: acts that make it an F.
    """

    say: str = ""
    type: str = ""
    silence: bool = False
    want: str
    ok: str = ""
    never: str = ""


class CorpusConversation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A conversation of the corpus.

    Attributes:
        topic: of its file.
        number: its place there, from 1.
        turns: after what `after` stands for.
        parcels: ids that may be named besides those of `want`.
        handover: `transfer` or `callback` where a person can be reached; "" where not.
        backend: `up` or `down`.
    """

    topic: str
    number: int
    turns: tuple[CorpusTurn, ...]
    parcels: tuple[str, ...] = ()
    handover: str = ""
    backend: str = "up"


class TurnGrade(msgspec.Struct, frozen=True):
    """An answer, its grade and the reason for it ("" for an A)."""

    line: str
    answer: str
    grade: str
    reason: str = ""


class Graded(msgspec.Struct, frozen=True):
    """A conversation that was played."""

    topic: str
    number: int
    grade: str
    turns: tuple[TurnGrade, ...]
    reported_unconfirmed: bool = False


def shelf() -> list[Shipment]:
    """The parcels of the corpus: those of the demo, and one whose day of arrival has passed."""
    event = ShipmentEvent(ShipmentStatus.IN_TRANSIT, None, "Cologne")
    late = Shipment(OVERDUE, ShipmentStatus.IN_TRANSIT, "DHL", TODAY - timedelta(days=4), event)
    return [*parcels(TODAY), late]


@cache
def acts() -> Mapping[str, re.Pattern[str]]:
    """The patterns of `acts.toml`."""
    found = tomllib.loads((FOLDER / "acts.toml").read_text())["acts"]
    return {name: re.compile(pattern) for name, pattern in found.items()}


def load() -> list[CorpusConversation]:
    """Every conversation of the corpus, topic by topic.

    Raises:
        ValueError: a conversation has an unknown field, or names an unknown act.
    """
    found: list[CorpusConversation] = []
    for path in sorted(FOLDER.glob("*.toml")):
        if path.name == "acts.toml":
            continue
        file = tomllib.loads(path.read_text())
        for number, given in enumerate(file["conversation"], 1):
            found.append(_conversation(given, file["topic"], number))
    return found


def _conversation(given: dict[str, Any], topic: str, number: int) -> CorpusConversation:
    before = given.pop("after", "")
    turns = given.pop("turns", None) or [
        {key: given.pop(key) for key in list(given) if key in CorpusTurn.__struct_fields__}
    ]
    try:
        whole = {**given, "turns": [*_before(before), *turns], "topic": topic, "number": number}
        conversation = msgspec.convert(whole, CorpusConversation)
    except msgspec.ValidationError as error:
        raise ValueError(f"{topic} {number}: {error}") from None
    for turn in conversation.turns:
        for token in _tokens(f"{turn.want} {turn.ok} {turn.never}"):
            for act in token.split("/"):
                if not _is_act(act):
                    raise ValueError(f"{topic} {number}: there is no act {act}")
    return conversation


def _before(name: str) -> Sequence[Mapping[str, str]]:
    if not name or name in _BEFORE:
        return _BEFORE.get(name, ())
    how, _, tracking_id = name.partition(" ")
    if how == "reported":
        return ({"type": tracking_id, "want": f"tell:{tracking_id}"},)
    if how == "confirming":
        spoken = " ".join(_NUMBERS.get(each, each) for each in tracking_id)
        return ({"say": f"It's {spoken}.", "want": f"confirm:{tracking_id}"},)
    raise ValueError(f"nothing is known of: after {name}")


def _tokens(text: str) -> list[str]:
    return _TOKEN.findall(text)


def _is_act(act: str) -> bool:
    return act.partition(":")[0] in _OF_PARCEL or act in acts() or act in ("handover", "choose") or act[0] in "'~"


def play(conversation: CorpusConversation) -> Graded:
    """Play a conversation, and grade each answer."""
    call = ConversationCall(shelf(), TODAY, handover=conversation.handover, is_down=conversation.backend == "down")
    in_play = set(conversation.parcels) | {
        act.partition(":")[2]
        for turn in conversation.turns
        for token in _tokens(f"{turn.want} {turn.ok}")
        for act in token.split("/")
        if act.partition(":")[0] in _OF_PARCEL
    }
    grades: list[TurnGrade] = []
    has_reported = False
    for turn in conversation.turns:
        answer = call.silence() if turn.silence else call.turn(turn.type or turn.say, is_typed=bool(turn.type))
        grade, reason = _grade(turn, answer, in_play, has_reported)
        grades.append(TurnGrade(turn.type or turn.say or "(silence)", answer.text, grade, reason))
        has_reported = has_reported or bool(answer.reported)
    worst = max((each.grade for each in grades), key=GRADES.index)
    return Graded(conversation.topic, conversation.number, worst, tuple(grades))


def _grade(turn: CorpusTurn, answer: AgentAnswer, in_play: set[str], has_reported: bool) -> tuple[str, str]:
    said = answer.text.lower().replace("\u2019", "'")
    wanted, enough = _tokens(turn.want), _tokens(turn.ok)
    allowed = {act for token in [*wanted, *enough] for act in token.split("/")}
    for act in _tokens(turn.never):
        if _has(act, answer, said):
            return "F", f"must not: {act}"
    for tracking_id in answer.reported:
        if f"tell:{tracking_id}" not in allowed:
            return "F", f"reported {tracking_id}"
    strangers = [each.tracking_id for each in shelf() if each.tracking_id not in in_play]
    named = [each for each in strangers if _names(each, said) and not any(_names(own, said) for own in in_play)]
    if named:
        return "F", f"named {named[0]}"
    if _has("goodbye", answer, said) and "goodbye" not in allowed:
        return "F", "hung up"
    if (
        has_reported
        and _has("ask_number", answer, said)
        and not allowed & {"ask_number", "ask_again"}
        and not answer.reported
    ):
        return "F", "forgot the parcel"
    missing = [token for token in wanted if not any(_has(act, answer, said) for act in token.split("/"))]
    if not missing:
        return "A", ""
    if enough and all(any(_has(act, answer, said) for act in token.split("/")) for token in enough):
        return "B", f"lacks {' '.join(missing)}"
    return ("B" if len(missing) < len(wanted) else "C"), f"lacks {' '.join(missing)}"


def _has(act: str, answer: AgentAnswer, said: str) -> bool:
    kind, _, tracking_id = act.partition(":")
    match kind:
        case "tell":
            return tracking_id in answer.reported and ending(tracking_id).lower() in said
        case "confirm":
            return readback(tracking_id).lower() in said and "?" in said
        case "handover":
            return answer.has_handed_over
        case "choose":
            return " or " in said and "?" in said
    if act[0] == "'":
        return act.strip("'") in said
    return (re.compile(act[1:]) if act[0] == "~" else acts()[act]).search(said) is not None


def _names(tracking_id: str, said: str) -> bool:
    spoken = re.escape(ending(tracking_id).lower())
    return readback(tracking_id).lower() in said or re.search(rf"\bin {spoken}\b(?! \w+,)", said) is not None


def score(played: Sequence[Graded]) -> dict[str, Any]:
    """How many conversations have each grade, of all and by topic, and the share of A in per cent."""
    topics = {each.topic: None for each in played}
    rows = {topic: _row([each for each in played if each.topic == topic]) for topic in topics}
    return {"all": _row(played), "topics": rows}


def _row(played: Sequence[Graded]) -> dict[str, Any]:
    counts: dict[str, Any] = {grade: sum(each.grade == grade for each in played) for grade in GRADES}
    return {"conversations": len(played), **counts, "A %": round(100 * counts["A"] / max(1, len(played)), 1)}
