"""What a caller makes of a server's events, without a socket or a clock."""

from typing import Any

import numpy as np
import pytest

from agentvoicebox.audio.pcm import Int16Array
from agentvoicebox.client.call_record import LINE, PARTS, CallRecord, account_from_trace
from agentvoicebox.client.call_report import conversation_text, sums_that_fail
from agentvoicebox.client.line import voiced_range
from agentvoicebox.client.playout import CallerPlayout
from agentvoicebox.client.reply_tracker import ReplyTracker
from agentvoicebox.realtime_client.dialing import CallFailed, socket_url

RATE_HZ = 24_000


def sound(seconds: float) -> Int16Array:
    return np.full(round(seconds * RATE_HZ), 5000, dtype=np.int16)


def created(response_id: str) -> dict[str, object]:
    return {"type": "response.created", "response": {"id": response_id}}


def done(response_id: str, kind: str = "message", status: str = "completed") -> dict[str, Any]:
    response = {"id": response_id, "status": status, "output": [{"type": kind}]}
    return {"type": "response.done", "response": response}


def delta(response_id: str, item_id: str) -> dict[str, object]:
    return {"type": "response.output_audio.delta", "response_id": response_id, "item_id": item_id, "delta": ""}


def trace(response_id: str, **changes: object) -> dict[str, object]:
    parts = {"endpointing": 300.0, "tts": 50.0, "gateway": 2.0}
    turn = {"phase": "first_output", "response_id": response_id, "t0_s": 100.01, "total_ms": 352.0, "parts_ms": parts}
    return {
        "type": "agentvoicebox.turn",
        "turn": {**turn, "marks_ms": {"endpoint_decided": 300.0}, "bars": [], **changes},
    }


@pytest.fixture
def hearing() -> ReplyTracker:
    hearing = ReplyTracker(RATE_HZ)
    turn = hearing.begin_turn("where is it")
    turn.start_s, turn.end_s, turn.end_wall_s = 0.5, 1.0, 100.0
    return hearing


def test_a_reply_is_over_only_when_it_was_heard_to_its_end(hearing: ReplyTracker) -> None:
    turn = hearing.turns[0]
    hearing.receive(created("r1"), None, 1.3)
    hearing.receive(delta("r1", "a1"), sound(2.0), 1.36)
    hearing.receive(done("r1"), None, 1.4)
    assert not hearing.is_reply_over(turn, 3.3)
    assert hearing.is_reply_over(turn, 3.4)
    assert turn.reply_end_s == pytest.approx(3.36)
    assert turn.voice_to_voice_ms == pytest.approx(360)


def test_a_response_that_only_calls_tools_is_not_the_reply(hearing: ReplyTracker) -> None:
    hearing.receive(created("r1"), None, 1.3)
    hearing.receive(done("r1", "function_call"), None, 1.35)
    assert not hearing.is_reply_over(hearing.turns[0], 60.0)
    hearing.receive(created("r2"), None, 2.0)
    hearing.receive(delta("r2", "a2"), sound(0.1), 2.1)
    hearing.receive(done("r2"), None, 2.1)
    assert hearing.is_reply_over(hearing.turns[0], 2.5)


def test_an_answer_into_a_pause_of_the_line_is_counted_and_not_measured(hearing: ReplyTracker) -> None:
    turn = hearing.turns[0]
    hearing.receive(created("r1"), None, 0.8)
    hearing.receive(delta("r1", "a1"), sound(1.0), 0.85)
    hearing.receive(trace("r1"), None, 0.86)
    hearing.receive(done("r1"), None, 0.86)
    assert not hearing.is_reply_over(turn, 5.0)
    hearing.receive(created("r2"), None, 1.3)
    hearing.receive(delta("r2", "a2"), sound(0.1), 1.36)
    hearing.receive(trace("r2"), None, 1.36)
    assert turn.early_answers == 1
    assert turn.voice_to_voice_ms == pytest.approx(360)
    assert turn.account is not None and turn.account.response_id == "r2"


def test_late_audio_of_a_reply_that_was_cut_is_not_heard(hearing: ReplyTracker) -> None:
    hearing.receive(created("r1"), None, 1.3)
    hearing.receive(delta("r1", "a1"), sound(1.0), 1.5)
    started = {"type": "input_audio_buffer.speech_started", "item_id": "u2"}
    assert hearing.receive(started, None, 2.0) == [
        {"type": "conversation.item.truncate", "item_id": "a1", "content_index": 0, "audio_end_ms": 500}
    ]
    hearing.receive(delta("r1", "a1"), sound(1.0), 2.01)
    assert hearing.playout.end_s == pytest.approx(2.0)
    assert hearing.turns[0].is_cut


def test_a_server_told_not_to_be_interrupted_is_heard_out(hearing: ReplyTracker) -> None:
    detection = {"type": "server_vad", "interrupt_response": False}
    updated = {"type": "session.updated", "session": {"audio": {"input": {"turn_detection": detection}}}}
    hearing.receive(updated, None, 0.0)
    hearing.receive(created("r1"), None, 1.3)
    hearing.receive(delta("r1", "a1"), sound(1.0), 1.5)
    started = {"type": "input_audio_buffer.speech_started", "item_id": "u2"}
    assert hearing.receive(started, None, 2.0) == []
    assert not hearing.turns[0].is_cut


def test_parts_sum_to_what_the_caller_measured_and_endpointing_counts_from_the_true_end(hearing: ReplyTracker) -> None:
    hearing.receive(created("r1"), None, 1.35)
    hearing.receive(delta("r1", "a1"), sound(1.0), 1.365)
    hearing.receive(trace("r1"), None, 1.366)
    turn = hearing.turns[0]
    parts = turn.parts_ms()
    assert list(parts) == [*PARTS, LINE]
    assert sum(parts.values()) == pytest.approx(turn.voice_to_voice_ms)
    assert parts["endpointing"] == pytest.approx(310)  # the server counts from 10 ms after the last voiced sample
    assert parts[LINE] == pytest.approx(3)


def test_a_server_on_another_clock_only_leaves_more_unexplained(hearing: ReplyTracker) -> None:
    hearing.receive(created("r1"), None, 1.35)
    hearing.receive(delta("r1", "a1"), sound(1.0), 1.4)
    hearing.receive(trace("r1", t0_s=9_000.0), None, 1.41)
    parts = hearing.turns[0].parts_ms()
    assert parts["endpointing"] == 300 and parts[LINE] == pytest.approx(48)


def test_parts_that_miss_the_whole_are_reported(hearing: ReplyTracker) -> None:
    hearing.receive(created("r1"), None, 1.35)
    hearing.receive(delta("r1", "a1"), sound(1.0), 1.365)
    hearing.receive(trace("r1", total_ms=360.0), None, 1.366)
    record = CallRecord("url", "m", RATE_HZ, turns=hearing.turns)
    assert sums_that_fail(record) == ["turn 1: the server's parts miss its whole by 8.0 ms"]


def test_an_account_of_more_than_the_caller_waited_is_reported(hearing: ReplyTracker) -> None:
    hearing.receive(created("r1"), None, 1.3)
    hearing.receive(delta("r1", "a1"), sound(1.0), 1.355)
    hearing.receive(trace("r1"), None, 1.356)
    record = CallRecord("url", "m", RATE_HZ, turns=hearing.turns)
    assert sums_that_fail(record) == ["turn 1: the server accounts for 7.0 ms more than the caller waited"]


def test_the_closing_copy_of_an_account_is_ignored() -> None:
    assert account_from_trace({"phase": "done", "parts_ms": {}}) is None


def test_a_failed_response_is_the_turns_problem(hearing: ReplyTracker) -> None:
    hearing.receive(created("r1"), None, 1.35)
    hearing.receive(done("r1", status="failed"), None, 1.4)
    assert "failed" in hearing.turns[0].problem
    assert "failed" in conversation_text(CallRecord("url", "m", RATE_HZ, turns=hearing.turns))


@pytest.mark.parametrize(
    ("details", "problem"),
    [
        ({"error": {"code": "provider_unavailable", "message": "set AVB_LLM"}}, "the response failed: set AVB_LLM"),
        ({"error": {"code": "worker_lost"}}, "the response failed: worker_lost"),
        ({"reason": "content_filter"}, "the response failed: content_filter"),
        (None, "the response failed: no reason was given"),
    ],
)
def test_the_reason_of_a_failed_response_is_the_servers_own(
    hearing: ReplyTracker, details: object, problem: str
) -> None:
    hearing.receive(created("r1"), None, 1.35)
    event = done("r1", status="failed")
    hearing.receive({**event, "response": {**event["response"], "status_details": details}}, None, 1.4)
    assert hearing.turns[0].problem == problem


def test_audio_that_comes_in_time_is_played_without_a_seam_and_a_late_piece_leaves_a_counted_gap() -> None:
    playout = CallerPlayout(RATE_HZ)
    playout.play("a", sound(0.1), 1.0)
    playout.play("a", sound(0.1), 1.02)
    assert playout.end_s == pytest.approx(1.2) and playout.gap_samples == 0
    playout.play("a", sound(0.1), 1.25)
    assert playout.gap_samples == round(0.05 * RATE_HZ)
    track = playout.track(0)
    assert track[round(1.19 * RATE_HZ)] and not track[round(1.22 * RATE_HZ)] and track[round(1.26 * RATE_HZ)]
    assert np.array_equal(playout.piece(round(1.1 * RATE_HZ), 4800), track[round(1.1 * RATE_HZ) :][:4800])


def test_speech_ends_at_its_last_voiced_sample_not_at_the_end_of_the_file() -> None:
    quiet = np.zeros(RATE_HZ // 2, dtype=np.int16)
    breath = np.full(RATE_HZ // 4, 60, dtype=np.int16)
    assert voiced_range(np.concatenate([quiet, sound(1.0), breath, quiet])) == (RATE_HZ // 2, RATE_HZ // 2 + RATE_HZ)
    assert voiced_range(quiet) == (0, 0)


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        ("http://127.0.0.1:8000/v1", "ws://127.0.0.1:8000/v1/realtime?model=m"),
        ("127.0.0.1:8000", "ws://127.0.0.1:8000/v1/realtime?model=m"),
        ("wss://host/openai/v1/", "wss://host/openai/v1/realtime?model=m"),
        ("ws://host/v1/realtime?model=other", "ws://host/v1/realtime?model=other"),
    ],
)
def test_a_base_url_as_openai_clients_know_it_leads_to_the_socket(base: str, expected: str) -> None:
    assert socket_url(base, "m", wants_trace=False) == expected


def test_what_is_no_address_is_refused_with_an_example() -> None:
    with pytest.raises(CallFailed, match="an example is"):
        socket_url("ftp://host", "m", wants_trace=False)
