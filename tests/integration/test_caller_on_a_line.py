"""The scripted caller against a server that speaks the protocol over a real socket."""

import asyncio
import json
from pathlib import Path

import numpy as np
import pytest
from tests.kit.client import until
from tests.kit.fake_realtime import Plan, fake_realtime
from tests.kit.waiting import PATIENCE_S

from agentvoicebox.audio.pcm import Int16Array
from agentvoicebox.client.call_record import CallTurn
from agentvoicebox.client.call_report import (
    conversation_text,
    summary,
    sums_that_fail,
    write_events,
    write_recording,
)
from agentvoicebox.client.caller import FRAME_S, LiveCall, open_call
from agentvoicebox.client.line import SpokenLine
from agentvoicebox.client.wav_files import read_wav
from agentvoicebox.realtime_client.dialing import CallFailed, CallOptions

RATE_HZ = 24_000


def tone(seconds: float) -> Int16Array:
    return np.asarray(9000 * np.sin(np.arange(int(seconds * RATE_HZ)) * 0.2), np.int16)


async def spoken(call: LiveCall, words: str = "hello", seconds: float = 0.3) -> CallTurn:
    return await call.say(SpokenLine(words, tone(seconds)))


async def test_two_spoken_turns_are_heard_answered_and_measured() -> None:
    async with fake_realtime(Plan(["First.", "Second."])) as server, open_call(CallOptions(server.url)) as call:
        await spoken(call)
        await spoken(call)
        record = call.record()
    assert [(turn.heard, turn.replied, turn.problem) for turn in record.turns] == [
        ("words 1", "First.", ""),
        ("words 2", "Second.", ""),
    ]
    for turn in record.turns:
        waited = turn.voice_to_voice_ms
        assert waited is not None and waited >= 180  # the server waits out 200 ms of silence, which framing may round
        assert sum(turn.parts_ms().values()) == pytest.approx(waited)
        assert turn.account is not None and [work.name for work in turn.account.hidden] == ["stt"]


async def test_the_next_line_waits_until_the_reply_was_heard_to_its_end() -> None:
    async with fake_realtime(Plan(reply_s=1.0)) as server, open_call(CallOptions(server.url)) as call:
        first = await spoken(call)
        second = await spoken(call)
        record = call.record()
    assert first.reply_end_s is not None and first.first_audio_s is not None
    assert first.reply_end_s - first.first_audio_s == pytest.approx(1.0, abs=0.01)
    assert second.start_s > first.reply_end_s - 0.02  # it may use the frame that is just being filled
    assert not first.is_cut and record.gap_ms < 1


async def test_every_sample_of_a_line_reaches_the_server_once_and_in_order() -> None:
    async with fake_realtime() as server, open_call(CallOptions(server.url)) as call:
        line = SpokenLine("hello", tone(0.31))
        turn = await call.say(line)
        await call.hang_up()
        await server.lines[0].is_over.wait()
        heard = server.lines[0].heard
        record = call.record()
    begin = round(turn.start_s * RATE_HZ)
    assert np.array_equal(heard[begin : begin + len(line.pcm)], line.pcm)
    assert np.array_equal(record.caller_pcm[: len(heard)], heard)
    after = heard[begin + len(line.pcm) :].astype(int)
    assert 0 < np.abs(after).max() < 100  # between its lines the caller is quiet, not dead


async def test_frames_follow_the_clock_without_drift() -> None:
    async with fake_realtime() as server, open_call(CallOptions(server.url)) as call:
        await call.stay_connected(1.0)

        async def is_in_step() -> bool:
            behind_s = call.now_s - len(np.concatenate(call.connection.sent)) / RATE_HZ
            assert behind_s >= 0  # never ahead of time
            return behind_s < 2 * FRAME_S  # what a busy machine missed is made up for

        await until(is_in_step)


async def test_breaking_in_silences_the_agent_and_tells_how_much_was_heard() -> None:
    async with fake_realtime(Plan(reply_s=3.0)) as server, open_call(CallOptions(server.url)) as call:
        first = call.start_saying(SpokenLine("tell me", tone(0.3)))
        await call.wait_until_heard(0.4)
        await spoken(call, "stop")
        record = call.record()
        truncates = [event for event in server.lines[0].events if event["type"] == "conversation.item.truncate"]
    assert first.is_cut and first.first_audio_s is not None and first.reply_end_s is not None
    heard_ms = (first.reply_end_s - first.first_audio_s) * 1000
    assert truncates[0]["item_id"] == "item_a1"
    assert truncates[0]["audio_end_ms"] == pytest.approx(heard_ms, abs=20)
    after = record.agent_pcm[round(first.reply_end_s * RATE_HZ) : round((first.reply_end_s + 0.1) * RATE_HZ)]
    assert not after.any()


async def test_the_recording_has_the_caller_left_and_the_agent_when_he_was_heard(tmp_path: Path) -> None:
    async with fake_realtime() as server, open_call(CallOptions(server.url)) as call:
        turn = await spoken(call)
        record = call.record()
    write_recording(record, tmp_path / "call.wav")
    samples, rate_hz = read_wav(tmp_path / "call.wav")
    assert rate_hz == RATE_HZ and samples.shape == (len(record.caller_pcm), 2)
    assert turn.first_audio_s is not None
    began = round(turn.first_audio_s * RATE_HZ)
    assert not samples[:began, 1].any() and samples[began : began + 2400, 1].any()
    voiced = round(turn.start_s * RATE_HZ)
    assert np.abs(samples[voiced : voiced + 2400, 0]).max() > 5000


@pytest.mark.parametrize("audio", ["pcmu", "pcma"])
async def test_a_telephone_line_carries_g711_both_ways(audio: str) -> None:
    options = CallOptions("", audio=audio)  # type: ignore[arg-type]
    async with fake_realtime() as server:
        async with open_call(CallOptions(server.url, audio=options.audio)) as call:
            turn = await spoken(call)
            record = call.record()
        update = server.lines[0].events[0]
    assert update["session"]["audio"]["output"]["format"] == {"type": f"audio/{audio}"}
    assert turn.replied == "Hello." and record.rate_hz == 8000
    assert np.abs(record.agent_pcm).max() > 7000


async def test_a_typed_line_is_answered_aloud() -> None:
    async with fake_realtime(Plan(["Typed."])) as server, open_call(CallOptions(server.url)) as call:
        turn = await call.type("where is it")
    assert (turn.replied, turn.is_typed, turn.problem) == ("Typed.", True, "")
    assert turn.first_audio_s is not None


async def test_hanging_up_in_the_middle_of_a_word_ends_the_line_at_once() -> None:
    async with fake_realtime() as server, open_call(CallOptions(server.url)) as call:
        call.start_saying(SpokenLine("hel", tone(20.0)))
        await call.stay_connected(0.3)
        await call.hang_up(is_abrupt=True)
        async with asyncio.timeout(PATIENCE_S):
            await server.lines[0].is_over.wait()
    assert len(server.lines[0].heard) < 19 * RATE_HZ


async def test_a_server_that_goes_away_is_a_problem_of_the_turn_not_a_crash() -> None:
    async with fake_realtime(Plan(closes_after_turn=1)) as server, open_call(CallOptions(server.url)) as call:
        turn = await spoken(call)
        record = call.record()
    assert turn.problem == "the server closed the connection: 1011 broken"
    assert "1011 broken" in conversation_text(record)


async def test_a_refusal_is_told_in_the_servers_words() -> None:
    error = {"type": "invalid_request_error", "code": "invalid_api_key", "message": "Incorrect API key provided."}
    async with fake_realtime(Plan(refusal=error)) as server:
        with pytest.raises(CallFailed, match=r"Incorrect API key provided\. \(invalid_api_key\)"):
            async with open_call(CallOptions(server.url)):
                pass


async def test_no_server_is_a_message_that_says_what_to_type() -> None:
    with pytest.raises(CallFailed, match="agentvoicebox serve"):
        async with open_call(CallOptions("http://127.0.0.1:9/v1")):
            pass


async def test_the_key_the_model_and_the_wish_for_a_trace_travel_with_the_request() -> None:
    async with fake_realtime() as server:
        async with open_call(CallOptions(server.url, api_key="secret", model="my agent")):
            pass
        assert server.lines[0].path == "/v1/realtime?model=my+agent&trace=1&resume=1"
        assert server.lines[0].authorization == "Bearer secret"


async def test_a_server_without_accounts_is_measured_all_the_same(tmp_path: Path) -> None:
    async with fake_realtime() as server, open_call(CallOptions(server.url, wants_trace=False)) as call:
        await spoken(call)
        record = call.record()
    assert record.turns[0].voice_to_voice_ms is not None and record.turns[0].parts_ms() == {}
    assert sums_that_fail(record) == []


async def test_the_event_log_has_one_json_object_a_line_in_order_of_time(tmp_path: Path) -> None:
    async with fake_realtime() as server, open_call(CallOptions(server.url)) as call:
        await spoken(call)
        record = call.record()
    write_events(record, tmp_path / "events.jsonl")
    events = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert [event["at_s"] for event in events] == sorted(event["at_s"] for event in events)
    deltas = [event for event in events if event["type"] == "response.output_audio.delta"]
    assert [event["body"]["delta"] for event in deltas] == ["<100 ms>"] * 3
    assert deltas[-1]["agent_ms"] == 300
    json.dumps(summary(record))
