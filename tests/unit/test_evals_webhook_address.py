"""What an address of a webhook server means, and which route a recorded request belongs to."""

import msgspec
import pytest
from tests.kit.kits import CHOICE

from agentvoicebox.evals.webhook_address import BadAddress, WebhookAddress, read_address, route_of
from agentvoicebox.interactions.interaction import Interaction, ToolUse

pytestmark = pytest.mark.requirement("B3.4-3.5")

ROUTES = frozenset({"/vapi/webhook", "/v1/track"})
REQUEST = Interaction(timestamp="", began_s=0.0, correlation_id="", call_id="", channel="rest", request={})


@pytest.mark.parametrize(
    ("given", "base", "only"),
    [
        ("http://host:8001", "http://host:8001", ""),
        ("host:8001", "http://host:8001", ""),
        ("http://host:8001/", "http://host:8001", ""),
        ("https://proxy/agent/", "https://proxy/agent", ""),
        ("http://host:8001/vapi/webhook", "http://host:8001", ""),
        ("https://proxy/agent/v1/track", "https://proxy/agent", ""),
        ("https://proxy/hooks/parcel?x=1", "", "https://proxy/hooks/parcel?x=1"),
    ],
)
def test_a_base_a_known_route_and_another_address_are_told_apart(given: str, base: str, only: str) -> None:
    assert read_address(given, ROUTES) == WebhookAddress(base, only)


@pytest.mark.parametrize("given", ["ftp://host", "http://", "ws://host:8001"])
def test_what_is_no_address_is_refused_with_an_example(given: str) -> None:
    with pytest.raises(BadAddress, match="an example is http://127"):
        read_address(given, ROUTES)


def test_an_address_of_one_route_gets_requests_of_no_other() -> None:
    address = read_address("https://proxy/hooks/parcel", ROUTES)
    assert address.url_of("/vapi/webhook") == "https://proxy/hooks/parcel"
    assert address.url_of("/v1/track") == ""


@pytest.mark.parametrize(
    ("fields", "route"),
    [
        ({"route": "/v1/anything"}, "/v1/anything"),
        ({"channel": "webhook"}, "/vapi/webhook"),
        ({"answer": {"code": "FOUND"}}, "/v1/track"),
        ({"answer": {"code": "FOUND", "output": "It is …"}}, "/v1/tools/get_delivery_status"),
        ({"answer": {"error": "unprocessable"}}, "/v1/track"),
    ],
)
def test_a_recording_without_a_route_is_posted_where_its_answer_came_from(
    fields: dict[str, object], route: str
) -> None:
    uses = (ToolUse(name="track_shipment", arguments="{}"),)
    assert route_of(msgspec.structs.replace(REQUEST, tool_calls=uses, **fields), CHOICE.default) == route
