"""Documents become shipments; what can't be read is left out or named unreadable, and nothing is made up."""

from datetime import UTC, date, datetime, timedelta, timezone

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.kit.sanity import DOCUMENT, SHIPMENT, document

from agentvoicebox_delivery.parcels.shipment import ShipmentStatus
from agentvoicebox_delivery.sources.demo_data import parcels
from agentvoicebox_delivery.sources.sanity_demo import BASE_DAY, documents
from agentvoicebox_delivery.sources.sanity_documents import day_of, moment_of, read, status_of

pytestmark = pytest.mark.requirement("B1.1")

IDS = ["PKG001", "PKG002"]


def test_a_whole_document_is_a_whole_shipment() -> None:
    assert read([DOCUMENT], IDS).shipments == {"PKG001": SHIPMENT}


def test_an_id_as_an_editor_typed_it_is_the_same_id() -> None:
    typed = DOCUMENT | {"trackingId": " pkg-001 ", "trackingIdNorm": None}
    assert read([typed], IDS).shipments["PKG001"].tracking_id == "PKG001"


@pytest.mark.parametrize("name", ["eta", "carrier", "last", "_updatedAt"])
@pytest.mark.parametrize("value", [None, 17, "", [], {}, "the day after tomorrow", "2025-13-45", True])
def test_a_field_that_cannot_be_read_is_left_out_and_the_rest_is_told(name: str, value: object) -> None:
    read_as = read([DOCUMENT | {name: value}], IDS).shipments["PKG001"]
    field = {"last": "last_event", "_updatedAt": "updated_at"}.get(name, name)
    expected = value if name == "carrier" and isinstance(value, str) and value else None
    assert getattr(read_as, field) == expected
    assert read_as.status is ShipmentStatus.IN_TRANSIT


@pytest.mark.parametrize("status", [None, "", "lost in space", 3, ["delivered"], {"value": "delivered"}, "deliver"])
def test_a_parcel_in_no_known_state_is_unreadable_and_not_absent(status: object) -> None:
    reading = read([document("PKG001", status=status), document("PKG002")], IDS)
    assert reading.unreadable == {"PKG001"}
    assert list(reading.shipments) == ["PKG002"]


@pytest.mark.parametrize(
    ("written", "status"),
    [
        ("in_transit", ShipmentStatus.IN_TRANSIT),
        ("In transit", ShipmentStatus.IN_TRANSIT),
        ("out-for-delivery", ShipmentStatus.OUT_FOR_DELIVERY),
        ("outForDelivery", ShipmentStatus.OUT_FOR_DELIVERY),
        (" DELIVERED ", ShipmentStatus.DELIVERED),
        ("canceled", ShipmentStatus.CANCELLED),
        ("shipped", None),  # handed over, or on its way? We would be guessing
        ("pending", None),
    ],
)
def test_a_state_is_read_in_the_spellings_of_editors(written: str, status: ShipmentStatus | None) -> None:
    assert status_of(written) is status


def test_two_documents_with_one_story_are_one_parcel() -> None:
    twice = [DOCUMENT, DOCUMENT | {"_id": "shipment-2", "_updatedAt": "2025-11-21T10:00:00Z"}]
    assert list(read(twice, IDS).shipments) == ["PKG001"]


def test_two_documents_with_two_stories_are_unreadable() -> None:
    reading = read([DOCUMENT, DOCUMENT | {"_id": "shipment-2", "status": "delivered"}], IDS)
    assert reading.shipments == {}
    assert reading.unreadable == {"PKG001"}


def test_drafts_and_release_versions_tell_nothing() -> None:
    drafts = [DOCUMENT | {"_id": _id, "status": "delivered"} for _id in ("drafts.shipment-1", "versions.r1.shipment-1")]
    assert read([*drafts, DOCUMENT], IDS).shipments == {"PKG001": SHIPMENT}
    assert read(drafts, IDS).shipments == {}
    assert read(drafts, IDS).unreadable == frozenset()


@pytest.mark.parametrize("stranger", [None, "text", 7, {}, document("PKG777"), DOCUMENT | {"trackingIdNorm": "PKG002"}])
def test_a_document_of_unknown_id_makes_what_was_not_found_uncertain(stranger: object) -> None:
    assert read([stranger], IDS).unreadable == {"PKG001", "PKG002"}
    assert read([stranger, DOCUMENT], IDS).unreadable == {"PKG002"}


def test_a_day_is_read_from_a_day_or_a_moment_and_an_hour_is_never_invented() -> None:
    assert day_of("2025-11-24") == date(2025, 11, 24)
    assert day_of("2025-11-24T23:30:00-05:00") == date(2025, 11, 24)
    assert day_of("2025-11-24T00:00:00.000Z") == date(2025, 11, 24)
    assert moment_of("2025-11-24T23:30:00-05:00") == datetime(
        2025, 11, 24, 23, 30, tzinfo=timezone(timedelta(hours=-5))
    )
    assert moment_of("2025-11-24T09:30:00Z") == datetime(2025, 11, 24, 9, 30, tzinfo=UTC)
    assert moment_of("2025-11-24") is None


def test_the_demo_documents_tell_the_same_facts_as_the_catalogue() -> None:
    known = {each.tracking_id: each for each in parcels(BASE_DAY)}
    stored = {each["_id"]: each for each in documents(known.values())}
    answered = [
        each | {"carrier": stored[each["carrier"]["_ref"]]["name"], "last": each["events"][0]}
        for each in stored.values()
        if each["_type"] == "shipment"
    ]
    assert read(answered, list(known)).shipments == known


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(st.lists(json_values | st.fixed_dictionaries({name: json_values for name in DOCUMENT}), max_size=5))
def test_no_document_breaks_the_reading(found: list[object]) -> None:
    reading = read(found, IDS)
    assert set(reading.shipments).isdisjoint(reading.unreadable)
    assert set(reading.shipments) | reading.unreadable <= set(IDS)
    msgspec.json.encode(list(reading.shipments.values()))
