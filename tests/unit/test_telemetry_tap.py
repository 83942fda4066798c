"""The ledger of a turn: its parts sum to the wait exactly, and what speculation hid costs nothing.

Times below are seconds since the caller's last voiced sample, which is sample 16000.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.kit.told_tap import END, GENERATE, Told, audio, record

from agentvoicebox.engine import effects as fx
from agentvoicebox.engine import inputs as i
from agentvoicebox.engine.jobs import CallTool, Synthesise
from agentvoicebox.ports.broker import JobKind
from agentvoicebox.telemetry.tap import PARTS
from agentvoicebox.wire import client_events as ce
from agentvoicebox.wire.server_events import ResponseOutputTextDelta


def parts(trace: dict[str, object] | None) -> dict[str, float]:
    assert trace is not None
    found = trace["parts_ms"]
    assert isinstance(found, dict)
    assert sum(found.values()) == pytest.approx(trace["total_ms"], abs=1e-9)
    return found


def test_without_speculation_the_path_is_the_chain_of_causes() -> None:
    told = Told()
    told.stop(0.300)
    told.heard(0.400, fx.OpenJob("llm", GENERATE), final=True)
    told.write(0.420, 0.405, fx.OpenJob("tts", Synthesise("resp_1", "Hello.", "alloy")))
    told.speak(0.480, 0.430, audio())
    trace = told.tap.output_left("resp_1", 0.482)
    assert trace is not None
    assert parts(trace) == pytest.approx(
        dict.fromkeys(PARTS, 0)
        | {"endpointing": 300, "stt": 99, "queue": 18, "dialogue": 14, "tool": 0, "tts": 49, "gateway": 2}
    )
    assert trace["total_ms"] == 482.0
    assert trace["speculation"] == "none"
    assert (trace["speech_end_ms"], trace["votes_ms"]) == (1_000.0, {"words": 300.0})


def test_an_answer_that_was_ready_costs_nothing_but_the_gateway() -> None:
    told = Told()
    told.pause()
    told.heard(0.200, fx.OpenJob("llm", GENERATE))
    told.write(0.210, 0.202, fx.OpenJob("tts", Synthesise("resp_1", "Hello.", "alloy")))
    told.speak(0.250, 0.212)
    told.stop(0.300, audio())
    trace = told.tap.output_left("resp_1", 0.301)
    assert trace is not None
    assert parts(trace) == pytest.approx(dict.fromkeys(PARTS, 0) | {"endpointing": 300, "gateway": 1})
    assert trace["speculation"] == "hit"
    hidden = {bar["part"] for bar in trace["bars"] if bar["is_hidden"]}
    assert hidden == {"stt", "queue", "dialogue", "tts"}
    assert trace["marks_ms"]["words_ready"] == pytest.approx(199)


def test_an_answer_half_ready_costs_its_other_half() -> None:
    told = Told()
    told.pause()
    told.heard(0.200, fx.OpenJob("llm", GENERATE))
    told.write(0.210, 0.202, fx.OpenJob("tts", Synthesise("resp_1", "Hello.", "alloy")))
    told.stop(0.300)
    told.speak(0.350, 0.212, audio())
    found = parts(told.tap.output_left("resp_1", 0.351))
    assert found == pytest.approx(dict.fromkeys(PARTS, 0) | {"endpointing": 300, "tts": 49, "queue": 1, "gateway": 1})


def test_a_tool_inside_the_turn_has_its_own_part() -> None:
    told = Told()
    told.stop(0.300)
    told.heard(0.310, fx.OpenJob("llm", GENERATE), final=True)
    llm = record("llm", JobKind.LLM, 0.311, 0.319)
    told.at(0.320, i.Generated("llm", "tool_calls"), fx.OpenJob("tool", CallTool("resp_1", "c", "n", "{}")), of=llm)
    tool = record("tool", JobKind.TOOL, 0.321, 0.399)
    told.at(0.400, i.ToolReturned("tool", "{}"), fx.OpenJob("llm2", GENERATE), of=tool)
    told.write(0.410, 0.401, fx.OpenJob("tts", Synthesise("resp_1", "Hello.", "alloy")), job="llm2")
    told.speak(0.430, 0.411, audio())
    trace = told.tap.output_left("resp_1", 0.431)
    assert parts(trace)["tool"] == pytest.approx(78)
    assert parts(trace)["dialogue"] == pytest.approx(16)
    over = told.tap.response_over("resp_1", 0.9)
    assert over is not None
    assert [job["part"] for job in over["jobs"]] == ["dialogue", "tool", "dialogue", "tts"]
    assert over["done_ms"] == 900.0


def test_a_dropped_speculation_is_a_miss() -> None:
    told = Told()
    told.pause()
    told.heard(0.200, fx.OpenJob("llm", GENERATE))
    told.at(0.220, i.SpeechResumed(), fx.CancelJob("llm"))
    told.stop(0.300)
    told.heard(0.400, fx.OpenJob("llm2", GENERATE), final=True)
    told.write(0.410, 0.402, fx.OpenJob("tts", Synthesise("resp_1", "Hello.", "alloy")), job="llm2")
    told.speak(0.450, 0.412, audio())
    trace = told.tap.output_left("resp_1", 0.451)
    assert trace is not None
    assert (trace["speculation"], trace["speculations_dropped"]) == ("miss", 1)


def test_a_typed_turn_waits_from_the_clients_event() -> None:
    told = Told()
    told.at(5.0, i.ClientEventReceived(ce.ResponseCreate(), 0), fx.OpenJob("llm", GENERATE))
    delta = ResponseOutputTextDelta(
        event_id="e", response_id="resp_1", item_id="i", output_index=0, content_index=0, delta="Hello."
    )
    told.write(5.020, 5.005, fx.Send(delta))
    trace = told.tap.output_left("resp_1", 5.021)
    assert parts(trace) == pytest.approx(dict.fromkeys(PARTS, 0) | {"queue": 6, "dialogue": 14, "gateway": 1})
    assert trace is not None and (trace["speech_end_ms"], trace["votes_ms"]) == (None, {})


def test_a_typed_turn_begins_when_its_event_came_to_the_socket() -> None:
    told = Told()
    opened = fx.OpenJob("tts", Synthesise("resp_1", "x", "alloy"))
    told.tap.observe(5.0, i.ClientEventReceived(ce.ResponseCreate(), 0), [opened], None, (4.2, 4.9))
    told.speak(5.1, 5.05, audio())
    trace = told.tap.output_left("resp_1", 5.1)
    found = parts(trace)
    assert (found["socket"], found["ingest"]) == pytest.approx((700, 100))
    assert trace is not None
    assert trace["total_ms"] == pytest.approx(900)
    assert not any(bar["is_hidden"] for bar in trace["bars"])


def test_only_the_first_output_makes_a_ledger_and_a_silent_response_none() -> None:
    told = Told()
    told.at(5.0, i.ClientEventReceived(ce.ResponseCreate(), 0), fx.OpenJob("tts", Synthesise("resp_1", "x", "alloy")))
    told.speak(5.1, 5.05, audio())
    assert told.tap.output_left("resp_1", 5.1) is not None
    assert told.tap.output_left("resp_1", 5.2) is None
    told.speak(5.3, 5.05, audio())
    assert told.tap.output_left("resp_1", 5.3) is None
    assert told.tap.response_over("resp_2", 5.4) is None


skew = st.floats(-2.0, 2.0)


@given(stt=skew, llm=skew, tts=skew, left=st.floats(0.0, 1.0), stop_s=st.floats(0.0, 0.44))
def test_parts_are_never_negative_and_sum_whatever_the_workers_clocks_say(
    stt: float, llm: float, tts: float, left: float, stop_s: float
) -> None:
    told = Told()
    told.pause()
    told.stop(stop_s)
    told.at(
        0.400,
        i.Transcribed("stt", "hi", END),
        fx.OpenJob("llm", GENERATE),
        of=record("stt", JobKind.STT, stt, stt + 0.1),
    )
    speak = fx.OpenJob("tts", Synthesise("resp_1", "Hello.", "alloy"))
    told.at(0.420, i.TextDelta("llm", "x"), speak, of=record("llm", JobKind.LLM, llm, llm + 0.1))
    told.at(0.450, i.AudioSynthesised("tts", 1, 9), audio(), of=record("tts", JobKind.TTS, tts, tts - 0.1))
    trace = told.tap.output_left("resp_1", 0.450 + left)
    found = parts(trace)
    assert all(ms >= 0 for ms in found.values())
    assert found["endpointing"] == pytest.approx(stop_s * 1000, abs=0.002)
    assert trace is not None
    assert trace["total_ms"] == pytest.approx(450 + left * 1000, abs=0.002)
