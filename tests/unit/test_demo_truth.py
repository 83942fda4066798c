"""The demo's exit code: what the caller was told is held against the parcel's row."""

from datetime import date

import numpy as np
import pytest

from agentvoicebox.cli import demo
from agentvoicebox.client.call_record import CallRecord, CallTurn
from agentvoicebox.settings import Settings
from agentvoicebox_delivery.demo import NUMBER_AGAIN, PARCEL, YES, DeliveryDemo
from agentvoicebox_delivery.grounding.words import spoken_day
from agentvoicebox_delivery.parcels import reply
from agentvoicebox_delivery.parcels.shipment import ShipmentStatus
from agentvoicebox_delivery.sources.demo_data import parcels

TODAY = date(2026, 11, 22)
ROWS = {row.tracking_id: row for row in parcels(TODAY)}
SCRIPT = DeliveryDemo(ROWS[PARCEL], TODAY)


def record_of(*replies: str) -> CallRecord:
    turns = [CallTurn(number, "", replied=words) for number, words in enumerate(replies, 1)]
    return CallRecord("url", "delivery", 24_000, turns=turns, agent_pcm=np.zeros(0, np.int16))


@pytest.fixture
def audible(monkeypatch: pytest.MonkeyPatch) -> None:
    """The recording sounds like the words; recognition itself is tested by the demo call."""
    monkeypatch.setattr(demo, "_transcripts", lambda record, settings: [turn.replied for turn in record.turns])


@pytest.mark.usefixtures("audible")
def test_the_true_report_passes() -> None:
    told = record_of("What's the tracking number?", reply.found(ROWS[PARCEL], TODAY))
    assert demo.faults_of(told, SCRIPT, Settings()) == []


@pytest.mark.usefixtures("audible")
def test_the_report_of_any_other_parcel_fails() -> None:
    for tracking_id, row in ROWS.items():
        if tracking_id != PARCEL:
            assert demo.faults_of(record_of(reply.found(row, TODAY)), SCRIPT, Settings())


@pytest.mark.usefixtures("audible")
def test_a_wrong_day_fails() -> None:
    yesterday = next(row for row in parcels(date(2026, 11, 21)) if row.tracking_id == PARCEL)
    faults = demo.faults_of(record_of(reply.found(yesterday, TODAY)), SCRIPT, Settings())
    assert faults == [f"the agent did not state the day: {spoken_day(TODAY, TODAY)}"]


def test_words_that_were_never_heard_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "_transcripts", lambda record, settings: ["", "mumble"])
    told = record_of(reply.found(ROWS[PARCEL], TODAY))
    assert demo.faults_of(told, SCRIPT, Settings()) == ["'out for delivery' is not recognised in the recording"]


@pytest.mark.usefixtures("audible")
def test_a_turn_without_a_whole_reply_fails() -> None:
    told = record_of(reply.found(ROWS[PARCEL], TODAY))
    told.turns[0].problem = "no whole reply within 30 s"
    assert demo.faults_of(told, SCRIPT, Settings()) == ["turn 1: no whole reply within 30 s"]


def test_the_demo_parcel_has_a_state_that_is_spoken_as_it_is_written() -> None:
    assert ROWS[PARCEL].status is ShipmentStatus.OUT_FOR_DELIVERY


@pytest.mark.parametrize(
    ("replied", "answer"),
    [
        ("I heard P K G, zero zero four. Is that right?", YES),
        ("I heard P K G, zero zero nine. Is that right?", NUMBER_AGAIN),
        (
            "I couldn't find a parcel with the number P K G, zero zero zero four. Could you say it again?",
            NUMBER_AGAIN,
        ),
        (reply.found(ROWS[PARCEL], TODAY) + " Is there anything else?", ""),
    ],
)
def test_the_caller_answers_questions_about_the_number_as_a_person_would(replied: str, answer: str) -> None:
    assert SCRIPT.answer_to(replied) == answer
