"""Thousands of damaged client events at live sessions: typed errors only, and nothing is left when they are over."""

import json

import pytest
from benchmarks.fuzz import fuzz

from agentvoicebox.telemetry.logs import configure

EVENTS = 20_000


@pytest.fixture(autouse=True)
def _own_log() -> object:
    yield
    configure(service="tests")


async def test_no_damaged_event_closes_a_session_or_leaves_anything(redis_url: str) -> None:
    report = await fuzz(redis_url, events=EVENTS, seconds=240.0, seed=1)
    assert report.wrong == []
    assert report.sent == EVENTS
    assert report.neighbour_ms["turns"] > 0
    # The events do reach the engine: those that are still valid have their effects, and each kind of refusal occurs.
    expected = {"conversation.item.added", "response.done", "session.updated", "input_audio_buffer.speech_started"}
    expected |= {"error invalid_json", "error invalid_event", "error invalid_value", "error unknown_parameter"}
    assert expected <= report.answers.keys(), json.dumps(report.answers)
