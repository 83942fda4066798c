"""Replies say what the shipment holds, in the same words each time, and nothing else."""

from datetime import UTC, date, datetime

import pytest

from agentvoicebox_delivery.grounding.words import cardinal, ordinal, spoken_age, spoken_date
from agentvoicebox_delivery.numbers.readback import ending, readback
from agentvoicebox_delivery.parcels import reply, track
from agentvoicebox_delivery.parcels.shipment import Shipment, ShipmentEvent, ShipmentStatus
from agentvoicebox_delivery.parcels.tool_result import read

pytestmark = pytest.mark.requirement("B1.4")

LEEDS = ShipmentEvent(ShipmentStatus.IN_TRANSIT, datetime(2026, 11, 22, 9, tzinfo=UTC), "Leeds")
MOVING = Shipment("PKG004", ShipmentStatus.IN_TRANSIT, "UPS", date(2026, 11, 24), LEEDS)


TODAY = date(2026, 11, 22)  # a Sunday


def test_a_status_is_the_state_and_the_day_of_arrival_and_no_more() -> None:
    assert reply.found(MOVING, TODAY) == (
        "Your parcel ending in zero zero four is on its way. It should arrive on Tuesday."
    )
    assert reply.whereabouts(MOVING, TODAY) == "It was last seen in Leeds today."


@pytest.mark.parametrize(
    ("eta", "words"),
    [
        (date(2026, 11, 22), "It should arrive today."),
        (date(2026, 11, 23), "It should arrive tomorrow."),
        (date(2026, 11, 28), "It should arrive on Saturday."),
        (date(2026, 11, 29), "It should arrive on Sunday, November twenty-ninth."),
        (date(2026, 11, 21), "It was expected yesterday, and has not been recorded as delivered."),
        (date(2026, 11, 17), "It was expected on Tuesday, and has not been recorded as delivered."),
        (date(2026, 11, 10), "It was expected on Tuesday, November tenth, and has not been recorded as delivered."),
    ],
)
def test_a_day_of_arrival_is_told_as_seen_from_today_and_a_past_one_is_no_promise(eta: date, words: str) -> None:
    parcel = Shipment("PKG004", ShipmentStatus.IN_TRANSIT, eta=eta)
    assert reply.arrival(parcel, TODAY) == words
    assert reply.is_overdue(parcel, TODAY) is ("was expected" in words)


def test_where_today_is_unknown_no_day_is_called_past_or_coming() -> None:
    assert reply.arrival(MOVING) == "Its expected arrival is on Tuesday, November twenty-fourth."
    assert not reply.is_overdue(MOVING, None)


def test_a_result_names_the_day_on_which_it_was_told() -> None:
    outcome = track.outcome(track.wanted("PKG004"), [MOVING], today=TODAY)
    assert outcome.data["today"] == "2026-11-22" and "arrive on Tuesday." in outcome.speech
    assert read(outcome.as_json()).today == TODAY
    assert read('{"tracking_id": "PKG004", "status": "delayed", "today": "soon"}').today is None


@pytest.mark.parametrize("status", list(ShipmentStatus))
def test_every_state_has_a_sentence_and_says_only_what_is_known(status: ShipmentStatus) -> None:
    speech = reply.found(Shipment("PKG004", status))
    assert "our parcel ending in zero zero four" in speech and speech[0].isupper() and speech.endswith(".")
    assert speech.count(".") == 1
    assert "None" not in speech and "\n" not in speech


def test_a_delivered_parcel_does_not_arrive_any_more() -> None:
    event = ShipmentEvent(ShipmentStatus.DELIVERED, datetime(2026, 11, 20, 15, tzinfo=UTC), "Bristol")
    speech = reply.found(Shipment("PKG002", ShipmentStatus.DELIVERED, "UPS", date(2026, 11, 19), event))
    assert speech == "Your parcel ending in zero zero two was delivered in Bristol on Friday, November twentieth."


def test_old_knowledge_says_its_age_and_fresh_does_not() -> None:
    assert "about five minutes ago" in reply.found(MOVING, age_s=300)
    assert "ago" not in reply.found(MOVING, age_s=30)


def test_stored_text_can_bring_no_markup_control_characters_or_speeches() -> None:
    nasty = ShipmentEvent(ShipmentStatus.IN_TRANSIT, None, "Leeds\n\x07<b>{ignore}</b>" + "x" * 500)
    speech = reply.found(Shipment("PKG004", ShipmentStatus.IN_TRANSIT, "U\r\nPS", None, nasty))
    assert not set("<>{}\n\r\x07") & set(speech) and len(speech) < 200


def test_numbers_days_and_ages_in_words() -> None:
    assert [cardinal(each) for each in (0, 13, 20, 42, 100)] == ["zero", "thirteen", "twenty", "forty-two", "100"]
    assert [ordinal(each) for each in (1, 12, 20, 23, 31)] == [
        "first", "twelfth", "twentieth", "twenty-third", "thirty-first",
    ]  # fmt: skip
    assert spoken_date(date(2026, 11, 24)) == "Tuesday, November twenty-fourth"
    assert [spoken_age(each) for each in (5, 60, 3600, 7200, 90_000)] == [
        "less than a minute", "about a minute", "about an hour", "about two hours", "about a day",
    ]  # fmt: skip


def test_a_number_is_read_back_in_groups_with_clear_letters() -> None:
    assert readback("PKG004") == "P K G, zero zero four"
    assert readback("1Z999AA10123456784").startswith("one Z for Zulu, nine nine nine")
    assert "B for Bravo" in readback("RB123456785GB")
    assert ending("PKG004") == "zero zero four" and ending("1Z999AA10123456784") == "six seven eight four"


def test_the_plain_reading_is_reported_at_once() -> None:
    outcome = track.outcome(track.wanted("P K G zero zero four"), [MOVING])
    assert (outcome.code, outcome.data["status"], outcome.data["eta"]) == ("FOUND", "in_transit", "2026-11-24")


def test_a_parcel_that_was_only_guessed_is_named_and_its_state_kept_back() -> None:
    outcome = track.outcome(track.wanted("B K G zero zero four"), [MOVING])
    assert (outcome.code, outcome.data) == ("CONFIRM", {"tracking_id": "PKG004"})
    assert "Leeds" not in outcome.speech and "way" not in outcome.speech


def test_two_parcels_that_may_be_meant_are_offered_by_their_endings() -> None:
    asked = track.wanted(["ORD3121", "ORD30121"])
    outcome = track.outcome(asked, [Shipment(each, ShipmentStatus.DELAYED) for each in ("ORD30121", "ORD3121")])
    assert (outcome.code, outcome.data) == ("AMBIGUOUS", {"candidates": ["ORD3121", "ORD30121"]})
    assert "three one two one" in outcome.speech and "zero one two one" in outcome.speech


def test_no_parcel_and_no_number_are_told_apart() -> None:
    assert track.outcome(track.wanted("PKG999"), []).code == "NOT_FOUND"
    assert track.outcome(track.wanted("hello"), []).code == "INVALID_ID"


def test_a_parcel_nobody_asked_for_is_never_told() -> None:
    assert track.outcome(track.wanted("PKG999"), [MOVING]).code == "NOT_FOUND"


def test_a_parcel_exists_whatever_its_check_digit_says() -> None:
    odd = Shipment("1Z999AA10123456785", ShipmentStatus.DELAYED)
    assert track.outcome(track.wanted("1Z999AA10123456785"), [odd]).code == "FOUND"


def test_an_outcome_is_one_line_of_json_that_reads_back() -> None:
    outcome = track.outcome(track.wanted("PKG004"), [MOVING])
    assert "\n" not in outcome.as_json()
    result = read(outcome.as_json())
    assert (result.code, result.speech, result.shipment) == ("FOUND", outcome.speech, MOVING)


@pytest.mark.parametrize(
    ("output", "code", "speech"),
    [
        ("It is in Leeds.", "FOUND", "It is in Leeds."),
        ('"in Leeds"', "FOUND", "in Leeds"),
        ("", "ERROR", reply.error()),
        ("[1, 2]", "ERROR", reply.error()),
        ('{"error": "boom"}', "ERROR", reply.error()),
        ('{"code": "unavailable"}', "UNAVAILABLE", reply.unavailable()),
        ('{"tracking_id": "PKG004", "status": "delayed"}', "FOUND", "Your parcel ending in zero zero four is delayed."),
        ('{"tracking_id": "PKG004", "status": "eaten by a whale"}', "ERROR", reply.error()),
    ],
)
def test_a_clients_own_answer_is_said_as_far_as_it_is_understood(output: str, code: str, speech: str) -> None:
    result = read(output)
    assert (result.code, result.speech) == (code, speech)
