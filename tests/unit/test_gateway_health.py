"""When a service beside the calls counts as absent, when as back, and when new calls are refused."""

from collections.abc import Mapping

from agentvoicebox.broker.store_health import ALL, StoreHealth, WorkerPool
from agentvoicebox.gateway.admission.load_shedder import (
    HIGH_CHECKS,
    HIGH_S,
    LOW_CHECKS,
    LOW_S,
    RECOVERY_CHECKS,
    LoadShedder,
)
from agentvoicebox.gateway.admission.service_health import ABSENT_S, BAD_CHECKS, GOOD_CHECKS, ServiceHealth
from agentvoicebox.ports.broker import JobKind

NO_TTS = ("speech_synthesis_unavailable",)


def seen(*away: JobKind, ailing: Mapping[str, frozenset[str]] | None = None, full: float = 0.0) -> StoreHealth:
    """Two workers of each kind but those that are away; `ailing` are those of the language models."""
    crews = {kind: WorkerPool(frozenset() if kind in away else frozenset({"a", "b"})) for kind in JobKind}
    crews[JobKind.LLM] = WorkerPool(frozenset({"a", "b"}), ailing or {})
    return StoreHealth(crews, full)


def test_a_kind_without_workers_counts_as_away_once_a_restart_would_be_over() -> None:
    health = ServiceHealth()
    health.update(seen(), 0.0)
    health.update(seen(JobKind.TTS), ABSENT_S - 0.1)
    assert health.modes("dialogue") == () and not health.absent
    health.update(seen(JobKind.TTS), ABSENT_S)
    assert health.modes("dialogue") == NO_TTS and health.absent == {JobKind.TTS}
    health.update(seen(), ABSENT_S + 1)
    assert health.modes("dialogue") == () and not health.absent


def test_workers_are_given_time_to_come_at_the_start_and_after_an_outage() -> None:
    health = ServiceHealth()
    health.update(seen(JobKind.TTS), 100.0)
    assert health.modes("dialogue") == ()
    health.store_failed()
    health.update(seen(JobKind.TTS), 100.0 + ABSENT_S)
    assert health.modes("dialogue") == ()


def test_a_language_model_is_away_for_the_calls_that_need_it_and_when_no_worker_reaches_it() -> None:
    health = ServiceHealth()
    health.update(seen(ailing={"a": frozenset({"openai"})}), 0.0)
    assert health.modes("openai") == (), "the other worker reaches it"
    health.update(seen(ailing={"a": frozenset({"openai"}), "b": frozenset({"openai"})}), 1.0)
    assert health.modes("openai") == ("language_model_unavailable",)
    assert health.modes("dialogue") == ()
    health.update(seen(ailing={"a": frozenset({ALL}), "b": frozenset({"openai", "dialogue"})}), 2.0)
    assert health.modes("dialogue") == ("language_model_unavailable",)


def test_one_missed_look_is_no_outage_and_one_good_one_no_recovery() -> None:
    health = ServiceHealth()
    for _ in range(BAD_CHECKS):
        assert health.refusal(0) is None
        health.store_failed()
    refusal = health.refusal(0)
    assert refusal is not None and refusal.code == "store_unavailable" and refusal.retry_after_s > 0
    for _ in range(GOOD_CHECKS):
        assert health.modes("dialogue") == ("store_unavailable",)
        health.update(seen(), 0.0)
    assert health.refusal(0) is None and health.modes("dialogue") == ()


def test_the_fuller_the_store_the_less_is_taken_and_each_level_ends_below_where_it_begins() -> None:
    health = ServiceHealth()
    levels = []
    for full in (0.74, 0.76, 0.72, 0.86, 0.82, 0.79, 0.71, 0.69, 0.99, 0.5):
        for _ in range(GOOD_CHECKS):
            health.update(seen(full=full), 0.0)
        refusal = health.refusal(0)
        assert (refusal is None) is health.takes_new_calls
        assert refusal is None or refusal.code == "store_full"
        assert health.modes("dialogue") == (("store_full",) if health.is_store_full else ())
        levels.append(int(health.memory_level))
    assert levels == [0, 1, 1, 2, 2, 1, 1, 0, 2, 0]
    assert not health.is_store_unavailable


def test_a_short_spike_of_the_stores_memory_is_no_strain() -> None:
    health = ServiceHealth()
    for full in [*[0.99] * (BAD_CHECKS - 1), 0.5] * 3:
        health.update(seen(full=full), 0.0)
        assert health.takes_new_calls and health.refusal(0) is None


def test_waiting_work_refuses_new_calls_but_not_that_of_an_absent_kind() -> None:
    health = ServiceHealth()
    waiting = {kind: WorkerPool(frozenset({"a"}), queue_age_s=HIGH_S) for kind in JobKind}
    for now_s in range(3):
        health.update(StoreHealth(waiting), float(now_s))
    refusal = health.refusal(0)
    assert refusal is not None and refusal.code == "overloaded"
    dead = {kind: WorkerPool(frozenset({"a"})) for kind in JobKind} | {JobKind.TTS: WorkerPool(queue_age_s=99.0)}
    for now_s in range(3, 20):
        health.update(StoreHealth(dead), float(now_s))
    assert health.refusal(0) is None and health.modes("dialogue") == NO_TTS


def test_load_shedding_does_not_oscillate() -> None:
    load = LoadShedder()
    told = []
    for wait_s in [HIGH_S, 0.0] * 3 + [HIGH_S] * 2 + [LOW_S, HIGH_S] * 3 + [0.3] * 5 + [LOW_S] * LOW_CHECKS:
        load.observe(wait_s)
        told.append(load.is_overloaded)
    assert told == [False] * 7 + [True] * (11 + LOW_CHECKS) + [False]


def test_after_an_overload_calls_are_admitted_slowly_and_refused_at_the_first_sign() -> None:
    load = LoadShedder()
    assert all(load.admit(0) for _ in range(100)), "without an overload before, every call is admitted"
    for wait_s in [HIGH_S] * HIGH_CHECKS + [0.0] * LOW_CHECKS:
        load.observe(wait_s)
    assert [load.admit(20) for _ in range(4)] == [True, True, True, False]
    load.observe(0.0)
    assert load.admit(20)
    load.observe(HIGH_S)
    assert load.is_overloaded and not load.admit(20)
    for _ in range(LOW_CHECKS + RECOVERY_CHECKS):
        load.observe(0.0)
    assert all(load.admit(20) for _ in range(100))
