"""Offers and answers, clients' events, the first update of a session, settings and the role of WebRTC calls."""

import asyncio
import json
import sys

import pytest

from agentvoicebox.errors import SettingsError
from agentvoicebox.settings import Settings
from agentvoicebox.supervisor.roles import all_children
from agentvoicebox.telemetry.process_report import ProcessReport
from agentvoicebox.webrtc.call_request import CallRequest
from agentvoicebox.webrtc.call_session import FORMAT, first_update, without_formats
from agentvoicebox.webrtc.client_events import CUT_ID, MAX_EVENT_BYTES, OWN_ID, ClientEvent, EventReader, for_client
from agentvoicebox.webrtc.offer import MAX_CANDIDATES, MAX_SDP_BYTES, OPUS_PARAMETERS, checked_offer, finished_answer
from agentvoicebox.webrtc.peer import IcePlan
from agentvoicebox.webrtc.refusal import CallRefused
from agentvoicebox.webrtc.role import serve_webrtc

pytestmark = pytest.mark.requirement("C10")

# As Chromium writes it, shortened.
OFFER = """v=0
o=- 4611731400430051336 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0 1
m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126
c=IN IP4 0.0.0.0
a=candidate:1 1 udp 2113937151 192.168.1.5 50000 typ host generation 0
a=candidate:2 1 udp 2113937151 3ad9b0d4-1c38-4d5c-9d43-4c4a4b4e4f4a.local 50001 typ host generation 0
a=ice-ufrag:abcd
a=ice-pwd:0123456789012345678901
a=mid:0
a=sendrecv
a=rtpmap:111 opus/48000/2
a=rtcp-fb:111 transport-cc
a=fmtp:111 minptime=10;useinbandfec=1
a=rtpmap:63 red/48000/2
a=fmtp:63 111/111
a=rtpmap:9 G722/8000
a=rtpmap:0 PCMU/8000
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
a=mid:1
a=sctp-port:5000
"""


def test_only_opus_and_addresses_are_left_of_an_offer() -> None:
    lines = checked_offer(OFFER).split("\r\n")
    assert "m=audio 9 UDP/TLS/RTP/SAVPF 111" in lines
    assert [line for line in lines if line.startswith("a=rtpmap")] == ["a=rtpmap:111 opus/48000/2"]
    assert [line.split()[4] for line in lines if line.startswith("a=candidate")] == ["192.168.1.5"]
    assert "a=fmtp:111 minptime=10;useinbandfec=1" in lines and "a=sctp-port:5000" in lines


@pytest.mark.parametrize(
    ("sdp", "says"),
    [
        ("", "begin with v=0"),
        ("hello", "begin with v=0"),
        ("v=0\r\n", "0 audio sections"),
        (OFFER + OFFER.partition("t=0 0\n")[2], "2 audio sections"),
        (OFFER + "m=video 9 UDP/TLS/RTP/SAVPF 96\n", "'video'"),
        (OFFER + "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\n", "more than one data section"),
        (OFFER.replace("opus/48000/2", "speex/16000"), "does not offer Opus"),
        (OFFER.replace("a=mid:1\n", ""), "a name each"),
        (OFFER.replace("a=mid:1", "a=mid:0"), "a name each"),
        (OFFER.replace("BUNDLE 0 1", "BUNDLE 0 2"), "BUNDLE with all"),
        (OFFER.replace("a=group:BUNDLE 0 1\n", ""), "BUNDLE with all"),
        ("v=0\n" + "a=x\n" * 2_000, "begin with v=0"),
        ("v=0\n" + "x" * MAX_SDP_BYTES, f"more than {MAX_SDP_BYTES} bytes"),
    ],
)
def test_an_offer_of_another_kind_of_call_is_refused_with_the_reason(sdp: str, says: str) -> None:
    with pytest.raises(CallRefused) as refused:
        checked_offer(sdp)
    assert says in refused.value.message
    assert (refused.value.status, refused.value.code) == (400, "invalid_offer")


def test_an_offer_can_not_make_this_server_knock_at_any_number_of_addresses() -> None:
    many = "".join(f"a=candidate:{n} 1 udp 1 10.0.{n // 250}.{n % 250} 9 typ host\n" for n in range(500))
    offer = checked_offer(OFFER.replace("a=mid:0\n", many + "a=mid:0\n"))
    assert offer.count("a=candidate") == MAX_CANDIDATES - 1  # the one with a name counts, too


def test_an_answer_asks_for_redundancy_and_names_the_public_address() -> None:
    answer = "v=0\r\na=rtpmap:111 opus/48000/2\r\na=candidate:1 1 udp 5 10.0.0.7 4000 typ host\r\n"
    answer += "a=candidate:2 1 udp 5 fd00::7 4001 typ host\r\na=candidate:3 1 udp 4 198.51.100.9 4002 typ relay\r\n"
    finished = finished_answer(answer, "203.0.113.7")
    assert f"a=fmtp:111 {OPUS_PARAMETERS}" in finished and "useinbandfec=1" in OPUS_PARAMETERS
    addresses = [line.split()[4] for line in finished.splitlines() if line.startswith("a=candidate")]
    assert addresses == ["203.0.113.7", "fd00::7", "198.51.100.9"]
    assert "10.0.0.7" in finished_answer(answer)


def test_clients_events_get_an_id_and_lose_formats_of_audio() -> None:
    reader = EventReader()
    update = {"type": "session.update", "session": {"audio": {"input": {"format": FORMAT, "turn_detection": None}}}}
    found = reader.read(json.dumps(update))
    assert isinstance(found, ClientEvent)
    assert found.event["session"] == {"audio": {"input": {"turn_detection": None}}}
    assert found.event["event_id"].startswith(OWN_ID)
    named = reader.read('{"type": "response.create", "event_id": "mine"}')
    assert isinstance(named, ClientEvent) and named.event["event_id"] == "mine"
    clear = reader.read('{"type": "output_audio_buffer.clear"}')
    assert isinstance(clear, ClientEvent) and clear.is_clear


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{", "invalid_json"),
        ("[" * 100_000, "invalid_json"),
        ("[]", "invalid_event"),
        ('{"type": 3}', "invalid_event"),
        ('{"type": "input_audio_buffer.append", "audio": "AAAA", "event_id": "e1"}', "invalid_event"),
        ('"' + "x" * MAX_EVENT_BYTES + '"', "event_too_large"),
    ],
)
def test_what_is_no_event_of_a_call_is_answered_with_an_error(text: str, code: str) -> None:
    found = EventReader().read(text)
    assert isinstance(found, dict) and found["code"] == code


def test_an_error_names_only_ids_that_the_client_gave() -> None:
    ours = {"type": "error", "error": {"code": "invalid_value", "event_id": f"{OWN_ID}3"}}
    assert for_client(ours) == {"type": "error", "error": {"code": "invalid_value", "event_id": None}}
    theirs = {"type": "error", "error": {"code": "invalid_value", "event_id": "mine"}}
    assert for_client(theirs) == theirs
    assert for_client({"type": "error", "error": {"event_id": f"{CUT_ID}1"}}) is None


def test_a_session_begins_with_what_the_call_asks_for_and_with_its_own_format() -> None:
    plain = {"audio": {"input": {"format": FORMAT}, "output": {"format": FORMAT}}}
    assert first_update(plain, None) == {} == first_update(plain, {"type": "realtime", "model": "delivery"})
    asked = {"type": "realtime", "instructions": "Be brief.", "audio": {"output": {"voice": "joe", "format": FORMAT}}}
    assert first_update(plain, asked) == {
        "type": "realtime",
        "instructions": "Be brief.",
        "audio": {"output": {"voice": "joe"}},
    }
    telephone = {"audio": {"input": {"format": {"type": "audio/pcmu"}}, "output": {"format": FORMAT}}}
    assert first_update(telephone, None) == {"type": "realtime", "audio": {"input": {"format": FORMAT}}}


@pytest.mark.parametrize("session", [{}, {"audio": None}, {"audio": {"input": 3}}, {"audio": {"input": {"format": 1}}}])
def test_formats_are_left_out_of_whatever_a_client_sends(session: dict[str, object]) -> None:
    assert "format" not in json.dumps(without_formats(session))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"webrtc": True, "webrtc_host": "0.0.0.0"}, "need a token"),
        ({"webrtc_urls": "media:8006"}, "http://"),
        ({"webrtc_gateways": "gateway:8000"}, "http://"),
        ({"webrtc_public_address": "voice.example"}, "should be an IP address"),
        ({"webrtc_ice_servers": "https://stun.example"}, "stun:stun.example:3478"),
        ({"webrtc_relay_only": True, "webrtc_ice_servers": "stun:stun.example"}, "needs a TURN server"),
    ],
)
def test_wrong_settings_name_what_is_wrong(given: dict[str, str], says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        Settings.load(**given)


def test_the_role_runs_only_where_browsers_may_call() -> None:
    assert "webrtc" not in {spec.name for spec in all_children(Settings())}
    assert "webrtc" in {spec.name for spec in all_children(Settings(webrtc=True))}


def test_no_secret_is_shown() -> None:
    assert "s3cret" not in repr(CallRequest("rtc_1", "v=0", credential="s3cret"))
    assert "s3cret" not in repr(IcePlan(servers=("turn:t",), username="u", password="s3cret"))
    assert "s3cret" not in repr(Settings(webrtc_token="s3cret", webrtc_turn_password="s3cret"))


async def test_the_role_without_its_setting_says_which_one_it_needs() -> None:
    with pytest.raises(SettingsError, match="AVB_WEBRTC is not set"):
        await serve_webrtc(Settings(), lambda: None, asyncio.Event(), ProcessReport())


async def test_without_the_packages_the_error_says_how_to_install_them(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("agentvoicebox.webrtc.")]:
        if not name.endswith(".role"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "aiortc", None)
    with pytest.raises(SettingsError, match=r"pip install 'agentvoicebox\[webrtc\]'"):
        await serve_webrtc(Settings(webrtc=True), lambda: None, asyncio.Event(), ProcessReport())
