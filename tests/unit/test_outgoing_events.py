"""Events tell what records hold, in CloudEvents' form, with ids that stay, and no word that the tenant's rule hides."""

import math
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from tests.kit.outgoing_examples import ARGUMENTS, OUTPUT, RECORDS, SAID, SESSION, bodies, events, examples, item

from agentvoicebox.engine.effects import Persist
from agentvoicebox.errors import SettingsError
from agentvoicebox.events.deliverer import RETRIES
from agentvoicebox.kits.registry import load_settings
from agentvoicebox.storage.outgoing_event import EVENT_TYPES, MESSAGE_RECORDED, is_type_pattern, matches

pytestmark = pytest.mark.requirement("A0")


def message(**more: object) -> Persist:
    shape = {"type": "message", "role": "user", "content": [{"type": "input_audio", "transcript": None}], **more}
    return item("item_1", shape)


def texts(value: Any) -> list[str]:
    """Every text in a body, at any depth."""
    if isinstance(value, dict):
        return [text for each in value.values() for text in texts(each)]
    if isinstance(value, list):
        return [text for each in value for text in texts(each)]
    return [value] if isinstance(value, str) else []


def test_there_is_an_example_of_every_type_and_it_is_a_cloud_event() -> None:
    assert examples().keys() == EVENT_TYPES.keys()
    for event_type, body in examples().items():
        assert body["specversion"] == "1.0" and body["type"] == event_type
        assert body["id"].startswith("evt_") and body["source"] == "/agentvoicebox/tenants/acme"
        assert body["time"] == "2026-11-29T23:17:37.933Z" and body["datacontenttype"] == "application/json"
        # CloudEvents 1.0, 3.1: names of attributes are lower-case letters and digits, values are no objects
        assert all(name.isalnum() and name == name.lower() for name in body)
        assert all(isinstance(value, str) for name, value in body.items() if name != "data")


def test_events_of_a_session_share_a_key_and_sort_as_they_happened() -> None:
    found = bodies(*RECORDS)
    assert {body["partitionkey"] for body in found} == {SESSION}
    assert all(former["sequence"] < later["sequence"] for former, later in pairwise(found))


def test_a_record_that_is_written_again_is_the_same_event_and_another_state_is_another() -> None:
    first, again = events(*RECORDS), events(*RECORDS)
    assert [each.event_id for each in first] == [each.event_id for each in again]
    states = [
        message(),
        item("item_1", {"type": "message", "role": "user", "content": [{"type": "input_audio", "transcript": "Yes."}]}),
        item("item_1", {"type": "message", "role": "user", "content": []}, heard_ms=120),
        item("item_1", {"type": "message", "role": "user", "content": []}, heard_ms=240),
        item("item_2", {"type": "message", "role": "user", "content": []}, heard_ms=240),
    ]
    assert len({each.event_id for each in events(*states)}) == len(states)


def test_an_id_tells_nothing_of_the_words() -> None:
    said = [
        item("item_1", {"type": "message", "content": [{"type": "input_text", "text": text}]}) for text in ("yes", "no")
    ]
    first, second = events(*said)
    assert first.event_id == second.event_id


def test_words_in_clear_are_sent_in_clear() -> None:
    data = {body["type"]: body["data"] for body in bodies(*RECORDS)}
    assert data[MESSAGE_RECORDED]["text"] == SAID and data[MESSAGE_RECORDED]["words"] == "clear"
    assert data["agentvoicebox.tool.called"]["arguments"] == ARGUMENTS
    assert data["agentvoicebox.tool.finished"]["output"] == OUTPUT


def test_masked_words_are_masked_and_facts_of_tools_stay() -> None:
    found = bodies(*RECORDS, words="mask")
    assert not any("PKG004" in text or "Where" in text for text in texts(found))
    data = {body["type"]: body["data"] for body in found}
    assert data[MESSAGE_RECORDED]["text"] == "Xxxxx xx xxxxxx XXX000?" and data[MESSAGE_RECORDED]["words"] == "masked"
    assert "FOUND" in data["agentvoicebox.tool.finished"]["output"]


def test_words_that_are_stored_encrypted_are_not_sent_at_all() -> None:
    found = bodies(*RECORDS, words="encrypt")
    assert not any(
        word in text for text in texts(found) for word in ("parcel", "xxxxxx", "PKG004", "FOUND", "tracking")
    )
    data = {body["type"]: body["data"] for body in found}
    assert data[MESSAGE_RECORDED]["text"] is None and data[MESSAGE_RECORDED]["words"] == "withheld"
    assert data["agentvoicebox.tool.called"]["arguments"] is None
    assert data["agentvoicebox.tool.called"]["name"] == "get_delivery_status"
    assert data["agentvoicebox.tool.finished"]["output"] is None


def test_a_message_whose_words_are_not_known_yet_has_none() -> None:
    (waiting,) = bodies(message())
    (silent,) = bodies(item("item_1", {"type": "message", "content": [{"type": "input_audio", "transcript": ""}]}))
    assert waiting["data"]["text"] is None and silent["data"]["text"] == ""


@pytest.mark.parametrize(
    "record",
    [
        Persist("x", "item", {}),
        Persist("x", "item", {"item": 3}),
        Persist("x", "item", {"item": {}}),
        Persist("x", "item", {"item": {"type": "message", "content": [3, {"text": 3}, None]}}),
        Persist("x", "item", {"item": {"type": "message", "content": 3}}),
        Persist("x", "item", {"item": {"type": "function_call", "arguments": "{"}}),
        Persist("x", "item", {"item": {"type": "function_call_output", "output": "\x00\ud7ff"}}),
        Persist("x", "item", {"item": {"type": "mcp_call"}}),
        Persist("x", "response", {"status_details": 3}),
        Persist("x", "session_opened", {}),
        Persist("x", "turn", {"parts": math.nan}),
        Persist("x", "session_verdict", {"verdict": "same"}),
        Persist("x", "audio", {"data": b"\xff"}),
    ],
)
@pytest.mark.parametrize("words", ["keep", "mask", "encrypt"])
def test_a_record_of_any_shape_makes_an_event_or_none_and_never_an_error(record: Persist, words: Any) -> None:
    for event in events(record, words=words):
        assert msgspec.json.decode(event.body)["type"] == event.type


def test_types_are_chosen_by_name_or_by_group() -> None:
    assert matches((), "agentvoicebox.session.ended")
    assert matches(("agentvoicebox.session.*",), "agentvoicebox.session.ended")
    assert not matches(("agentvoicebox.session.*", "agentvoicebox.tool.called"), "agentvoicebox.tool.finished")
    assert is_type_pattern("agentvoicebox.*") and is_type_pattern("agentvoicebox.tool.called")
    assert not any(
        map(is_type_pattern, ("", "*", "tool.called", "agentvoicebox", "agentvoicebox.tool*", "agentvoicebox.no.*"))
    )


def test_waits_grow_to_an_hour_and_jitter_takes_up_to_half_of_them() -> None:
    waits = [RETRIES.wait_s(failures) for failures in range(1, 9)]
    assert waits == [5, 15, 45, 135, 405, 1215, 3600, 3600]
    assert RETRIES.wait_s(1, 1.0) == 2.5 and RETRIES.wait_s(10**9, 0.0) == 3600


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"events_private_networks": "10.0.0.0/8,home"}, "give networks like"),
        ({"events_kafka": "broker"}, "host:port"),
        ({"events_kafka": "broker:0"}, "host:port"),
        ({"events_days": 1, "events_retry_hours": 25}, "AVB_EVENTS_RETRY_HOURS"),
    ],
)
def test_settings_that_can_not_work_are_refused(given: dict[str, Any], problem: str) -> None:
    with pytest.raises(SettingsError, match=problem):
        load_settings(**given)
