"""How evidence becomes a wait."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentvoicebox.turns.agent_evidence import ExpectedAnswer, Proof
from agentvoicebox.turns.endpointing import (
    EAGERNESS,
    SURE_WAIT_MS,
    FixedSilence,
    SemanticSilence,
    TurnEndEvidence,
    Waits,
    endpointing_of,
)
from agentvoicebox.wire.audio_config import TurnDetection

pytestmark = pytest.mark.requirement("C12")

HIGH, MEDIUM, LOW = (SemanticSilence(EAGERNESS[name]) for name in ("high", "medium", "low"))
FINISHED = "Where is my parcel?"


def test_server_vad_waits_what_the_client_says_whatever_is_heard() -> None:
    rule = endpointing_of(TurnDetection(silence_duration_ms=345))
    assert isinstance(rule, FixedSilence)
    assert rule.wait_ms(TurnEndEvidence()) == rule.wait_ms(TurnEndEvidence("My number is", 0.0)) == 345
    assert rule.wait_ms(TurnEndEvidence("PKG004", proof=Proof.COMPLETE)) == 345
    assert rule.hold_ms == 0


@pytest.mark.parametrize(("eagerness", "cap_ms"), [("low", 8_000), ("medium", 4_000), ("high", 1_200), ("auto", 4_000)])
def test_eagerness_is_the_longest_wait(eagerness: str, cap_ms: int) -> None:
    rule = endpointing_of(TurnDetection(type="semantic_vad", eagerness=eagerness))  # type: ignore[arg-type]
    assert 0.8 * cap_ms < rule.wait_ms(TurnEndEvidence("um", 0.0)) <= cap_ms == rule.hold_ms


@pytest.mark.parametrize("text", [FINISHED, "I was at home", "1 2 3 4 5 6 7", "My number is", None])
def test_less_eagerness_is_more_patience_whatever_was_said(text: str | None) -> None:
    waits = [rule.wait_ms(TurnEndEvidence(text)) for rule in (HIGH, MEDIUM, LOW)]
    assert waits == sorted(set(waits))


def test_the_less_finished_the_longer() -> None:
    texts = (FINISHED, "I am at home all day", None, "My number is")
    waits = [MEDIUM.wait_ms(TurnEndEvidence(text)) for text in texts]
    assert waits == sorted(set(waits))


@pytest.mark.parametrize("rule", [HIGH, MEDIUM, LOW])
def test_a_whole_question_ends_a_turn_before_another_sentence_does(rule: SemanticSilence) -> None:
    question, sentence, part = (
        rule.wait_ms(TurnEndEvidence(text)) for text in (FINISHED, "I need my parcel.", "Can you tell me?")
    )
    assert SURE_WAIT_MS <= question < sentence < part
    assert rule.wait_ms(TurnEndEvidence(FINISHED, completeness=1.0)) == question


def test_words_outweigh_a_model_that_thinks_it_is_over() -> None:
    assert MEDIUM.wait_ms(TurnEndEvidence("My tracking number is", 1.0)) > 2_000


def test_a_doubting_model_adds_to_a_finished_sentence_up_to_a_second() -> None:
    waits = [HIGH.wait_ms(TurnEndEvidence("Thanks.", completeness)) for completeness in (1.0, 0.5, 0.3, 0.1, 0.0)]
    assert waits == sorted(waits)
    assert waits[-1] == 1_000


@given(st.sampled_from([None, "", "My number is", FINISHED, "um"]), st.floats(0, 1))
def test_a_model_never_shortens_a_wait(text: str | None, completeness: float) -> None:
    for rule in (HIGH, MEDIUM, LOW):
        assert rule.wait_ms(TurnEndEvidence(text, completeness)) >= rule.wait_ms(TurnEndEvidence(text))


def test_what_a_tool_found_ends_a_turn_soon_at_any_eagerness() -> None:
    for rule in (HIGH, MEDIUM, LOW):
        assert (
            rule.wait_ms(TurnEndEvidence("P K G 0 0 4", 0.0, proof=Proof.COMPLETE, longest_pause_ms=900))
            == SURE_WAIT_MS
        )


def test_what_a_tool_did_not_find_is_waited_for() -> None:
    missing = TurnEndEvidence("P K G 0 0", proof=Proof.INCOMPLETE, doubt=0.3)
    assert MEDIUM.wait_ms(missing) > MEDIUM.wait_ms(TurnEndEvidence("P K G 0 0", doubt=0.3))
    assert HIGH.wait_ms(missing) > 800


def test_a_number_that_lacks_symbols_is_not_waited_for_like_a_sentence() -> None:
    for rule, most_ms in ((HIGH, 1_200), (MEDIUM, 1_800), (LOW, 2_400)):
        assert rule.wait_ms(TurnEndEvidence("P K G 0 0", doubt=1.0)) == most_ms
        assert rule.wait_ms(TurnEndEvidence("My number is")) <= rule.hold_ms
    assert MEDIUM.wait_ms(TurnEndEvidence("My number is")) > 1_800


def test_a_yes_ends_a_turn_soon_where_it_was_asked_for() -> None:
    asked = TurnEndEvidence("Yes, that's right.", expected=ExpectedAnswer.YES_OR_NO)
    assert LOW.wait_ms(asked) == SURE_WAIT_MS
    assert LOW.wait_ms(TurnEndEvidence("Yes, that's right.")) > SURE_WAIT_MS
    assert LOW.wait_ms(TurnEndEvidence("Yes, and", expected=ExpectedAnswer.YES_OR_NO)) > 4_000
    assert LOW.wait_ms(TurnEndEvidence(None, expected=ExpectedAnswer.YES_OR_NO)) > SURE_WAIT_MS


def test_an_agent_knows_better_than_the_rules_how_unfinished_a_number_is() -> None:
    assert HIGH.wait_ms(TurnEndEvidence("P K G 0 0 4", doubt=0.05)) < HIGH.wait_ms(TurnEndEvidence("P K G 0 0 4"))


def test_a_caller_who_pauses_long_is_waited_for_unless_his_sentence_is_finished() -> None:
    slow = TurnEndEvidence("I am at home all day", longest_pause_ms=900)
    assert HIGH.wait_ms(slow) > 900 > HIGH.wait_ms(TurnEndEvidence("I am at home all day"))
    assert HIGH.wait_ms(TurnEndEvidence(FINISHED, longest_pause_ms=900)) == HIGH.wait_ms(TurnEndEvidence(FINISHED))


def test_the_wait_never_exceeds_the_cap() -> None:
    hasty = SemanticSilence(Waits(224, 224, 500, 500))
    assert hasty.wait_ms(TurnEndEvidence()) == hasty.wait_ms(TurnEndEvidence("um", 0.0)) == 500
    assert hasty.wait_ms(TurnEndEvidence("I was at home", longest_pause_ms=1_400)) == 500


@given(
    st.sampled_from([None, "", "My number is", FINISHED, "um"]),
    st.none() | st.floats(0, 1),
    st.sampled_from([HIGH, MEDIUM, LOW]),
    st.sampled_from([0.0, 300.0, 1_500.0]),
)
def test_the_longest_vote_decides_up_to_the_cap(
    text: str | None, completeness: float | None, rule: SemanticSilence, pause_ms: float
) -> None:
    evidence = TurnEndEvidence(text, completeness, longest_pause_ms=pause_ms)
    votes = rule.votes_ms(evidence)
    assert votes.keys() - {"rhythm"} == ({"words"} if completeness is None else {"words", "model"})
    assert rule.wait_ms(evidence) == min(rule.hold_ms, max(votes.values()))
