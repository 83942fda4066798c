"""Ids of WebRTC calls name the role that has the call; and the role of this machine is found without a setting."""

import pytest

from agentvoicebox.gateway.media.call_ids import mark_in, mark_of_role, new_call_id
from agentvoicebox.settings import Settings

pytestmark = pytest.mark.requirement("C10")


def test_an_id_names_its_role_however_the_address_is_written() -> None:
    mark = mark_of_role("http://media-1:8006")
    assert mark == mark_of_role("HTTP://Media-1:8006/") != mark_of_role("http://media-2:8006")
    first, second = new_call_id(mark), new_call_id(mark)
    assert first != second and mark_in(first) == mark_in(second) == mark


@pytest.mark.parametrize(
    "text",
    [
        "",
        "rtc_1",
        "sess_0123",
        f"rtc_{'0' * 8}_",
        f"rtc_{'0' * 8}_{'g' * 32}",
        f"rtc_{'0' * 8}_{'0' * 32}/x",
        "rtc_" + "é" * 41,
    ],
)
def test_what_is_no_id_of_ours_names_no_role(text: str) -> None:
    assert mark_in(text) == ""


@pytest.mark.parametrize(
    ("given", "urls"),
    [
        ({}, ()),
        ({"webrtc": True}, ("http://127.0.0.1:8006",)),
        ({"webrtc": True, "webrtc_port": 9000}, ("http://127.0.0.1:9000",)),
        ({"webrtc": True, "webrtc_host": "0.0.0.0", "webrtc_token": "t"}, ("http://127.0.0.1:8006",)),
        ({"webrtc": True, "webrtc_host": "10.0.0.5", "webrtc_token": "t"}, ("http://10.0.0.5:8006",)),
        ({"webrtc": True, "webrtc_host": "::1"}, ("http://[::1]:8006",)),
        ({"webrtc": True, "webrtc_port": 0}, ()),
        ({"webrtc_urls": "http://a:1/, https://b:2"}, ("http://a:1", "https://b:2")),
        ({"webrtc": True, "webrtc_urls": "http://a:1"}, ("http://a:1",)),
    ],
)
def test_a_gateway_knows_the_roles_of_the_settings_or_that_of_its_machine(
    given: dict[str, object], urls: tuple[str, ...]
) -> None:
    assert Settings(**given).webrtc_url_list == urls  # type: ignore[arg-type]
