"""The machine decides what the settings leave to it, by times that were measured, and says why."""

from typing import Any

import pytest
from benchmarks.endpointing.corpus import UNSEEN
from benchmarks.endpointing.frontier import KIND_SETTING, read_frontiers

from agentvoicebox.providers.engine_speed import EngineSpeed, MachineSpeed
from agentvoicebox.providers.processor import Processor
from agentvoicebox.settings import Settings
from agentvoicebox.supervisor.engine_choice import DECODES, MOST_CALLS, choose, engines_to_measure
from agentvoicebox.supervisor.roles import ROLES

INSTALLED = ("stt/fast", "stt/moonshine", "stt/scripted", "tts/piper", "tts/kokoro", "tts/espeak", "tts/scripted")
AVX2, AVX512 = ("avx2",), ("avx2", "avx512f", "avx512_vnni")
# Processor time of one core, measured on two AMD EPYC with and without AVX-512.
SLOW = {"stt/fast": EngineSpeed(320), "stt/moonshine": EngineSpeed(120), "tts/piper": EngineSpeed(196, 0.236)}
FAST = {"stt/fast": EngineSpeed(88), "stt/moonshine": EngineSpeed(53), "tts/piper": EngineSpeed(51, 0.07)}


def machine(engines: dict[str, EngineSpeed], cores: int = 2, flags: tuple[str, ...] = AVX2) -> MachineSpeed:
    return MachineSpeed(Processor("EPYC", cores, flags), dict.fromkeys(engines, ""), engines)


def decided(engines: dict[str, EngineSpeed], cores: int = 2, **given: Any) -> Settings:
    return choose(Settings(**given), machine(engines, cores), INSTALLED, ROLES).settings


def test_calls_at_a_time_follow_from_what_the_engines_take() -> None:
    assert 5 <= decided(SLOW).most_calls <= 7
    assert 15 <= decided(FAST).most_calls <= 18
    assert decided(FAST, cores=4).most_calls == pytest.approx(2 * decided(FAST).most_calls, abs=1)


def test_what_a_call_takes_outside_the_engines_limits_calls_too() -> None:
    assert 50 <= decided({"stt/fast": EngineSpeed(0), "tts/piper": EngineSpeed(0, 0.0)}).most_calls <= 55


def test_decodes_a_turn_are_those_that_were_measured() -> None:
    measured = next(
        row.probes_weighted
        for each in read_frontiers()
        for row in each.rows
        if (each.split, row.setting) == (UNSEEN, KIND_SETTING)
    )
    assert measured == pytest.approx(DECODES, abs=0.1), "make frontier has changed it"


def test_a_gateway_process_has_a_limit_and_a_slow_machine_still_takes_a_call() -> None:
    assert decided(FAST, cores=64).most_calls == MOST_CALLS
    snail = {"stt/fast": EngineSpeed(9_000), "tts/piper": EngineSpeed(9_000, 4.0)}
    assert decided(snail, cores=1).most_calls == 1


def test_whisper_is_kept_until_it_is_far_too_slow() -> None:
    assert decided(SLOW).stt_profile == decided(FAST).stt_profile == "fast"
    crawling = {**SLOW, "stt/fast": EngineSpeed(900)}
    assert decided(crawling).stt_profile == "moonshine"
    assert decided({**crawling, "stt/moonshine": EngineSpeed(600)}).stt_profile == "fast"


def test_kokoro_comes_first_only_where_it_keeps_up() -> None:
    keeping_up, late = EngineSpeed(250, 0.2), EngineSpeed(471, 0.4)
    assert decided({**FAST, "tts/kokoro": keeping_up}).tts_engines[0] == "kokoro"
    assert decided({**FAST, "tts/kokoro": late}).tts_engines[0] == "piper"
    assert decided({**FAST, "tts/kokoro": EngineSpeed(250, 0.6)}).tts_engines[0] == "piper"


def test_what_an_operator_sets_stays_and_needs_no_reason() -> None:
    given: dict[str, Any] = {"stt_profile": "accurate", "tts_order": "espeak", "max_calls": 3}
    choice = choose(Settings(**given), machine(FAST), INSTALLED, ROLES)
    assert {name: getattr(choice.settings, name) for name in given} == given
    assert choice.reasons == {}
    assert engines_to_measure(Settings(**given), INSTALLED, ROLES) == ()


def test_each_decision_has_its_reason() -> None:
    reasons = choose(Settings(), machine(SLOW), INSTALLED, ROLES).reasons
    assert set(reasons) == {"stt_profile", "tts_order", "max_calls"}
    assert "320 ms" in reasons["stt_profile"] and "2 cores x 0.8" in reasons["max_calls"]


def test_without_a_measurement_the_usual_values_hold() -> None:
    settings = choose(Settings(), None, INSTALLED, ROLES).settings
    assert (settings.stt_profile, settings.tts_engines[0], settings.max_calls) == ("fast", "piper", 24)
    here = choose(Settings(), None, ("stt/moonshine", "tts/espeak"), ROLES).settings
    assert here.stt_profile == "moonshine"


def test_scripted_engines_are_not_measured() -> None:
    settings = Settings(stt_profile="scripted", tts_order="scripted")
    assert engines_to_measure(settings, INSTALLED, ROLES) == ()
    assert choose(settings, None, INSTALLED, ROLES).settings.max_calls == 24


def test_only_the_engines_that_decide_something_are_measured() -> None:
    assert set(engines_to_measure(Settings(), INSTALLED, ROLES)) == {
        "stt/fast", "stt/moonshine", "tts/kokoro", "tts/piper",
    }  # fmt: skip
    assert set(engines_to_measure(Settings(stt_profile="fast", tts_order="piper"), INSTALLED, ROLES)) == {
        "stt/fast", "tts/piper",
    }  # fmt: skip
    assert engines_to_measure(Settings(), INSTALLED, ("gateway", "llm")) == ()


def test_a_gateway_whose_workers_are_elsewhere_takes_what_it_can_carry() -> None:
    assert choose(Settings(), None, (), ("gateway",)).settings.max_calls == MOST_CALLS
