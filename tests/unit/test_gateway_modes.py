"""When something around the calls counts as away, when as back, and when new calls wait."""

from collections.abc import Mapping

from agentvoicebox.broker.vitals import ALL, Crew, Vitals
from agentvoicebox.gateway.modes import ABSENT_S, BAD_LOOKS, GOOD_LOOKS, Surroundings
from agentvoicebox.gateway.pressure import HIGH_LOOKS, HIGH_S, LOW_LOOKS, LOW_S, WARY_LOOKS, Pressure
from agentvoicebox.ports.broker import JobKind

NO_TTS = ("speech_synthesis_unavailable",)


def seen(*away: JobKind, ailing: Mapping[str, frozenset[str]] | None = None, full: float = 0.0) -> Vitals:
    """Two workers of each kind but those that are away; `ailing` are those of the language models."""
    crews = {kind: Crew(frozenset() if kind in away else frozenset({"a", "b"})) for kind in JobKind}
    crews[JobKind.LLM] = Crew(frozenset({"a", "b"}), ailing or {})
    return Vitals(crews, full)


def test_a_kind_without_workers_counts_as_away_once_a_restart_would_be_over() -> None:
    around = Surroundings()
    around.looked(seen(), 0.0)
    around.looked(seen(JobKind.TTS), ABSENT_S - 0.1)
    assert around.modes("dialogue") == () and not around.absent
    around.looked(seen(JobKind.TTS), ABSENT_S)
    assert around.modes("dialogue") == NO_TTS and around.absent == {JobKind.TTS}
    around.looked(seen(), ABSENT_S + 1)
    assert around.modes("dialogue") == () and not around.absent


def test_workers_are_given_time_to_come_at_the_start_and_after_an_outage() -> None:
    around = Surroundings()
    around.looked(seen(JobKind.TTS), 100.0)
    assert around.modes("dialogue") == ()
    around.missed()
    around.looked(seen(JobKind.TTS), 100.0 + ABSENT_S)
    assert around.modes("dialogue") == ()


def test_a_language_model_is_away_for_the_calls_that_need_it_and_when_no_worker_reaches_it() -> None:
    around = Surroundings()
    around.looked(seen(ailing={"a": frozenset({"openai"})}), 0.0)
    assert around.modes("openai") == (), "the other worker reaches it"
    around.looked(seen(ailing={"a": frozenset({"openai"}), "b": frozenset({"openai"})}), 1.0)
    assert around.modes("openai") == ("language_model_unavailable",)
    assert around.modes("dialogue") == ()
    around.looked(seen(ailing={"a": frozenset({ALL}), "b": frozenset({"openai", "dialogue"})}), 2.0)
    assert around.modes("dialogue") == ("language_model_unavailable",)


def test_one_missed_look_is_no_outage_and_one_good_one_no_recovery() -> None:
    around = Surroundings()
    for _ in range(BAD_LOOKS):
        assert around.refusal(0) is None
        around.missed()
    refusal = around.refusal(0)
    assert refusal is not None and refusal.code == "store_unavailable" and refusal.retry_after_s > 0
    for _ in range(GOOD_LOOKS):
        assert around.modes("dialogue") == ("store_unavailable",)
        around.looked(seen(), 0.0)
    assert around.refusal(0) is None and around.modes("dialogue") == ()


def test_a_store_that_is_nearly_full_takes_no_new_calls_until_it_has_room_again() -> None:
    around = Surroundings()
    for _ in range(BAD_LOOKS):
        around.looked(seen(full=0.91), 0.0)
    assert around.is_strained
    for _ in range(GOOD_LOOKS):
        around.looked(seen(full=0.88), 0.0)  # between the two marks nothing changes
    assert around.is_strained
    for _ in range(GOOD_LOOKS):
        around.looked(seen(full=0.80), 0.0)
    assert not around.is_strained


def test_a_short_spike_of_the_stores_memory_is_no_strain() -> None:
    around = Surroundings()
    for full in [*[0.99] * (BAD_LOOKS - 1), 0.5] * 3:
        around.looked(seen(full=full), 0.0)
        assert not around.is_strained and around.refusal(0) is None


def test_work_that_waits_keeps_new_calls_out_and_a_dead_kinds_does_not() -> None:
    around = Surroundings()
    waiting = {kind: Crew(frozenset({"a"}), queue_age_s=HIGH_S) for kind in JobKind}
    for now_s in range(3):
        around.looked(Vitals(waiting), float(now_s))
    refusal = around.refusal(0)
    assert refusal is not None and refusal.code == "overloaded"
    dead = {kind: Crew(frozenset({"a"})) for kind in JobKind} | {JobKind.TTS: Crew(queue_age_s=99.0)}
    for now_s in range(3, 20):
        around.looked(Vitals(dead), float(now_s))
    assert around.refusal(0) is None and around.modes("dialogue") == NO_TTS


def test_pressure_does_not_flap() -> None:
    pressure = Pressure()
    told = []
    for wait_s in [HIGH_S, 0.0] * 3 + [HIGH_S] * 2 + [LOW_S, HIGH_S] * 3 + [0.3] * 5 + [LOW_S] * LOW_LOOKS:
        pressure.note(wait_s)
        told.append(pressure.is_high)
    assert told == [False] * 7 + [True] * (11 + LOW_LOOKS) + [False]


def test_after_a_jam_the_door_opens_by_a_gap_and_shuts_at_the_first_sign() -> None:
    pressure = Pressure()
    assert all(pressure.let_in(0) for _ in range(100)), "who never jammed takes everybody"
    for wait_s in [HIGH_S] * HIGH_LOOKS + [0.0] * LOW_LOOKS:
        pressure.note(wait_s)
    assert [pressure.let_in(20) for _ in range(4)] == [True, True, True, False]
    pressure.note(0.0)
    assert pressure.let_in(20)
    pressure.note(HIGH_S)
    assert pressure.is_high and not pressure.let_in(20)
    for _ in range(LOW_LOOKS + WARY_LOOKS):
        pressure.note(0.0)
    assert all(pressure.let_in(20) for _ in range(100))
