"""The runner of mutations tells a test that failed from one that passed and from one that could not run."""

import pytest
from tests.mutations.run import Mutation, judge

BARGE_IN = "src/agentvoicebox/turns/barge_in.py"
TEST = "tests/unit/test_turns_detector.py::test_where_nothing_is_judged_it_takes_longer_speech_to_interrupt_the_agent"


@pytest.mark.parametrize(
    ("old", "new", "verdict"),
    [
        ("return BARGE_IN_MS if", "return ONSET_MS if", "red"),
        ("BARGE_IN_MS = 128", "BARGE_IN_MS = 127 + 1", "survived"),
        ("def least_voiced_ms", "def least_voiced_ms(", "broken"),
        ("what is not in this file", "", "missing"),
    ],
)
def test_a_mutation_has_its_verdict(old: str, new: str, verdict: str) -> None:
    result = judge(Mutation("a mutation", BARGE_IN, old, new, (TEST,)))
    assert result.verdict == verdict, result.reasons
