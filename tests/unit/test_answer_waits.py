"""New calls are refused while answers are late, even if no queue is old."""

from agentvoicebox.broker.store_health import StoreHealth, WorkerPool
from agentvoicebox.gateway.admission.answer_waits import BOUND_S, CHECKS, LEAST, AnswerWaits
from agentvoicebox.gateway.admission.service_health import ServiceHealth
from agentvoicebox.ports.broker import JobKind

LATE = {"stt": 900.0, "tts": 200.0, "endpointing": 300.0}
SOON = {"stt": 40.0, "tts": 60.0, "endpointing": 700.0, "dialogue": 5_000.0, "tool": 3_000.0}
WELL = StoreHealth({kind: WorkerPool(frozenset({"a"})) for kind in JobKind})


def waits(*answers: dict[str, float]) -> AnswerWaits:
    made = AnswerWaits()
    for parts_ms in answers:
        made.answered(parts_ms)
    made.checked()
    return made


def test_what_callers_waited_for_the_engines_is_what_the_next_one_waits() -> None:
    late = waits(*[LATE] * LEAST)
    assert late.expected_s == 1.1 and late.is_too_long


def test_the_callers_own_pauses_a_slow_language_model_and_tools_refuse_no_one() -> None:
    assert waits(*[SOON] * 50).expected_s < 0.2 < BOUND_S


def test_a_few_late_answers_are_no_load() -> None:
    assert not waits(*[LATE] * (LEAST - 1)).is_too_long
    assert not waits(*[LATE] * 20, *[SOON] * 21).is_too_long


def test_what_is_over_is_forgotten() -> None:
    late = waits(*[LATE] * 50)
    for _ in range(CHECKS - 1):
        assert late.is_too_long
        late.checked()
    late.checked()
    assert late.expected_s == 0.0


def test_new_calls_are_refused_while_answers_are_late_and_the_first_call_never() -> None:
    health = ServiceHealth()
    for _ in range(LEAST):
        health.answers.answered(LATE)
    assert health.refusal(3) is None
    health.update(WELL, 0.0)
    refusal = health.refusal(3)
    assert refusal is not None and refusal.code == "overloaded" and refusal.retry_after_s > 0
    assert health.refusal(0) is None
    for _ in range(CHECKS):
        health.update(WELL, 0.0)
    assert health.refusal(3) is None
