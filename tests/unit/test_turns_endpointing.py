"""How evidence becomes a wait."""

import pytest

from agentvoicebox.turns.endpointing import FixedSilence, SemanticSilence, TurnEndEvidence, endpointing_of
from agentvoicebox.wire.audio_config import TurnDetection

pytestmark = pytest.mark.requirement("C12")

MEDIUM = SemanticSilence(4_000)


def test_server_vad_waits_what_the_client_says_whatever_is_heard() -> None:
    rule = endpointing_of(TurnDetection(silence_duration_ms=345))
    assert isinstance(rule, FixedSilence)
    assert rule.wait_ms(TurnEndEvidence()) == rule.wait_ms(TurnEndEvidence("My number is", 0.0)) == 345


@pytest.mark.parametrize(("eagerness", "cap_ms"), [("low", 8_000), ("medium", 4_000), ("high", 2_000), ("auto", 4_000)])
def test_eagerness_is_the_longest_wait(eagerness: str, cap_ms: int) -> None:
    rule = endpointing_of(TurnDetection(type="semantic_vad", eagerness=eagerness))  # type: ignore[arg-type]
    assert 0.8 * cap_ms < rule.wait_ms(TurnEndEvidence("um", 0.0)) <= cap_ms


def test_a_finished_sentence_waits_a_quarter_of_a_second() -> None:
    assert 200 <= MEDIUM.wait_ms(TurnEndEvidence("Where is my parcel?", 0.9)) <= 300
    assert 200 <= MEDIUM.wait_ms(TurnEndEvidence("Where is my parcel?")) <= 300


def test_words_outweigh_a_model_that_thinks_it_is_over() -> None:
    assert MEDIUM.wait_ms(TurnEndEvidence("My tracking number is", 1.0)) > 2_000


def test_a_doubting_model_adds_to_a_finished_sentence_up_to_a_second() -> None:
    waits = [MEDIUM.wait_ms(TurnEndEvidence("Yes.", completeness)) for completeness in (1.0, 0.5, 0.3, 0.1, 0.0)]
    assert waits == sorted(waits)
    assert waits[-1] == 1_000


def test_a_sure_model_shortens_the_wait_for_words() -> None:
    assert (
        MEDIUM.wait_ms(TurnEndEvidence(None, 0.95))
        < MEDIUM.wait_ms(TurnEndEvidence(None, None))
        < MEDIUM.wait_ms(TurnEndEvidence(None, 0.0))
    )


def test_the_wait_never_exceeds_the_cap() -> None:
    hasty = SemanticSilence(500)
    assert hasty.wait_ms(TurnEndEvidence()) == hasty.wait_ms(TurnEndEvidence("um", 0.0)) == 500
