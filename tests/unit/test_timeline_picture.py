"""The picture of a call can be drawn for every call, and says what it is about."""

from pathlib import Path

import numpy as np
import pytest

from agentvoicebox.client.call_record import CallRecord, CallTurn, HiddenWork, LoggedEvent, ServerAccount
from agentvoicebox.client.timeline import LOOKS, draw_timeline

RATE_HZ = 24_000


def record_of(*turns: CallTurn, seconds: float = 4.0) -> CallRecord:
    noise = np.random.default_rng(0).normal(0, 4000, round(seconds * RATE_HZ)).astype(np.int16)
    record = CallRecord("url", "delivery", RATE_HZ, turns=list(turns), caller_pcm=noise, agent_pcm=noise)
    record.events = [LoggedEvent(1.0, 0.0, "server", "response.created", {}, 0, 0)]
    return record


def answered_turn() -> CallTurn:
    turn = CallTurn(1, "Where is my parcel?", replied="On its way & near.", start_s=0.5, end_s=1.0, end_wall_s=1.0)
    turn.first_audio_s, turn.reply_end_s = 1.4, 3.0
    parts = {"endpointing": 330.0, "queue": 1.0, "stt": 0.0, "dialogue": 2.0, "tool": 0.0, "tts": 50.0, "gateway": 3.0}
    turn.account = ServerAccount("r", 1.01, 386.0, parts, 330.0, (HiddenWork("stt", 160.0, 250.0),))
    return turn


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_a_call_becomes_a_picture(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"call.{suffix}"
    draw_timeline(record_of(answered_turn()), path)
    assert path.stat().st_size > 10_000


@pytest.mark.parametrize(
    "turns",
    [[], [CallTurn(1, "hi", is_typed=True)], [CallTurn(1, "unanswered", start_s=0.5, end_s=1.0, problem="none")]],
    ids=["silence", "typed", "unanswered"],
)
def test_a_call_without_an_answer_is_drawn_too(tmp_path: Path, turns: list[CallTurn]) -> None:
    draw_timeline(record_of(*turns), tmp_path / "call.png")
    assert (tmp_path / "call.png").exists()


def test_an_empty_recording_is_drawn_too(tmp_path: Path) -> None:
    draw_timeline(CallRecord("url", "delivery", RATE_HZ), tmp_path / "call.png")
    assert (tmp_path / "call.png").exists()


def test_no_two_parts_look_the_same() -> None:
    assert len({colour for colour, _ in LOOKS.values()}) == len(LOOKS)
