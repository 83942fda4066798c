"""What is known of any agent's questions, and how long a caller pauses."""

import pytest

from agentvoicebox.turns.agent_evidence import AgentEvidence, ExpectedAnswer, Proof
from agentvoicebox.turns.rhythm import CallerRhythm

pytestmark = pytest.mark.requirement("C12")


@pytest.mark.parametrize(
    "question",
    [
        "Is that right?",
        "I have one two three, is that right?",
        "It is late. Do you want a refund?",
        "Can you find it there?",
    ],
)
def test_closed_questions_expect_yes_or_no(question: str) -> None:
    assert AgentEvidence().expects(question) is ExpectedAnswer.YES_OR_NO


@pytest.mark.parametrize(
    "question", ["", "Hello.", "How can I help you?", "Is it right? Tell me.", "Do you want tea or coffee?", "Island?"]
)
def test_other_lines_expect_anything(question: str) -> None:
    assert AgentEvidence().expects(question) is ExpectedAnswer.ANYTHING


def test_of_any_agent_neither_numbers_nor_results_are_known() -> None:
    assert AgentEvidence().doubt("1 2 3 4", ExpectedAnswer.NUMBER) is None
    assert AgentEvidence().proves("find", '{"code":"FOUND"}', "PKG004") is Proof.NOTHING


def test_the_longest_pause_after_which_the_caller_went_on_is_known() -> None:
    rhythm = CallerRhythm()
    rhythm.went_on(1_600)
    assert rhythm.longest_pause_ms == 0
    for start, end in ((16_000, 24_000), (32_000, 36_800), (48_000, 96_000)):  # 500, 300 and 3 000 ms
        rhythm.paused(start)
        rhythm.went_on(end)
    assert rhythm.longest_pause_ms == 500
