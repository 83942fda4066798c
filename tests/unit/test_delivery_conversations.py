"""The corpus of conversations: a part of it, graded in each run, and the rules that hold in all of it."""

from collections.abc import Iterator, Sequence

import pytest

from agentvoicebox.engine.jobs import ChatMessage
from agentvoicebox.interactions.interaction import Line, ToolUse
from agentvoicebox_delivery.dialogue.table import TABLE
from agentvoicebox_delivery.dialogue.want_reading import want_of
from agentvoicebox_delivery.dialogue.wants import Want
from agentvoicebox_delivery.evals.conversation_call import ConversationCall
from agentvoicebox_delivery.evals.conversations import TODAY, Graded, load, play, score, shelf
from agentvoicebox_delivery.judge import read_claims
from agentvoicebox_delivery.parcels import tool_schema
from agentvoicebox_delivery.parcels.tool_result import read

pytestmark = pytest.mark.requirement("C14")

EVERY = 3  # of the corpus, each third conversation
FLOOR = 97.0  # per cent of A; `make conversations` has the whole corpus


@pytest.fixture(scope="module")
def played() -> Iterator[list[Graded]]:
    yield [play(each) for each in load()[::EVERY]]


def test_the_corpus_is_as_large_as_promised_and_grouped_by_topic() -> None:
    corpus = load()
    assert len(corpus) >= 300
    assert len({each.topic for each in corpus}) >= 12


def test_a_service_would_ship_nearly_every_conversation(played: list[Graded]) -> None:
    found = score(played)
    assert len(played) >= 100
    assert found["all"]["A %"] >= FLOOR, [(each.topic, each.number) for each in played if each.grade != "A"]


def test_no_conversation_is_false_or_hangs_up(played: list[Graded]) -> None:
    assert [(each.topic, each.number) for each in played if each.grade == "F"] == []


def test_a_conversation_gives_the_same_answers_each_time() -> None:
    corpus = load()[::40]
    assert [play(each) for each in corpus] == [play(each) for each in corpus]


def test_every_want_has_an_answer_in_every_stage() -> None:
    assert set(TABLE) == set(Want)
    assert len({len(row) for row in TABLE.values()}) == 1


def test_the_judge_of_recorded_calls_finds_no_false_statement_in_any_answer() -> None:
    for each in load()[::2]:
        line = ConversationCall(shelf(), TODAY, handover=each.handover, is_down=each.backend == "down")
        for turn in each.turns:
            line.silence() if turn.silence else line.turn(turn.type or turn.say, is_typed=bool(turn.type))
        assert read_claims(*recorded(line.lines), TODAY).findings == (), (each.topic, each.number)


def recorded(lines: Sequence[ChatMessage]) -> tuple[list[Line], list[ToolUse]]:
    """The transcript and the look-ups of a conversation, as they are recorded."""
    transcript: list[Line] = []
    uses: list[ToolUse] = []
    names = {call.call_id: call for line in lines for call in line.tool_calls}
    for line in lines:
        if line.role == "tool" and names[str(line.call_id)].name == tool_schema.NAME:
            code = read(line.text).code
            uses.append(
                ToolUse(name=tool_schema.NAME, arguments="{}", output=line.text, code=code, line=len(transcript))
            )
        elif line.text and line.role != "tool":
            transcript.append(Line(role="agent" if line.role == "assistant" else "caller", text=line.text))
    return transcript, uses


@pytest.mark.parametrize(
    "line",
    [
        "whose is it?", "what number is it?", "what time is it", "I don't know, what is it?", "right, so I said thirty one",
        "ok hold on", "is that right?", "yes?", "is it correct?", "sure, when is it coming", "yes but it's the other one",
    ],
)  # fmt: skip
def test_a_question_or_half_a_yes_is_no_yes(line: str) -> None:
    assert want_of(line) not in (Want.YES, Want.THATS_IT, Want.BACKCHANNEL)


@pytest.mark.parametrize(
    "line",
    [
        "yes",
        "Yes, that's right.",
        "yeah please",
        "that's the one",
        "Correct, thank you very much.",
        "yep it is",
        "Exactly!",
    ],
)
def test_a_yes_with_courtesy_is_a_yes(line: str) -> None:
    assert want_of(line) is Want.YES


@pytest.mark.parametrize(
    "line", ["Bye, where is my parcel?", "by five", "bye, can you track my package", "goodbye card"]
)
def test_a_goodbye_with_anything_else_in_it_is_none(line: str) -> None:
    assert want_of(line) is not Want.BYE
