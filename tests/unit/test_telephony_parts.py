"""What a telephone caller heard, the numbers that he types, signatures and tokens, scripts for Twilio, settings."""

import asyncio
import base64
import json

import pytest
from tests.kit.kits import DELIVERY

from agentvoicebox.errors import SettingsError
from agentvoicebox.settings import Settings
from agentvoicebox.supervisor.roles import all_children
from agentvoicebox.telemetry.process_report import ProcessReport
from agentvoicebox.telephony import twiml
from agentvoicebox.telephony.asterisk import MOST_UNPLAYED_BYTES, AsteriskChannel
from agentvoicebox.telephony.call_tools import HANG_UP, call_tools
from agentvoicebox.telephony.keypad import PAUSE_S, Keypad
from agentvoicebox.telephony.line import Message
from agentvoicebox.telephony.line_writer import LineWriter
from agentvoicebox.telephony.played_audio import Heard, PlayedAudio
from agentvoicebox.telephony.role import access_of, plan_of, serve_telephony
from agentvoicebox.telephony.signatures import is_from_twilio, shows_token, twilio_signature

pytestmark = pytest.mark.requirement("C10")


# -- what was heard ----------------------------------------------------------------------------------------------------


def test_what_was_heard_is_what_the_marks_say_and_the_time_since_the_last() -> None:
    heard = PlayedAudio()
    marks = [heard.sent("item_1", 0, 100, now_s=10.0) for _ in range(5)]
    heard.played(marks[0], 10.1)
    heard.played(marks[1], 10.2)
    assert heard.cleared(10.25) == [Heard("item_1", 0, 250)]
    assert not heard.is_playing


def test_a_line_that_reports_nothing_was_not_heard_beyond_its_first_piece() -> None:
    heard = PlayedAudio()
    for _ in range(5):
        heard.sent("item_1", 0, 100, now_s=10.0)
    assert heard.cleared(60.0) == [Heard("item_1", 0, 100)]


def test_items_that_wait_behind_the_one_that_plays_were_not_heard() -> None:
    heard = PlayedAudio()
    mark = heard.sent("item_1", 0, 100, now_s=10.0)
    heard.sent("item_1", 0, 100, now_s=10.0)
    heard.sent("item_2", 0, 100, now_s=10.0)
    heard.played(mark, 10.1)
    assert heard.cleared(10.1) == [Heard("item_1", 0, 100), Heard("item_2", 0, 0)]


def test_marks_of_cleared_audio_and_unknown_marks_change_nothing() -> None:
    heard = PlayedAudio()
    gone = heard.sent("item_1", 0, 100, now_s=10.0)
    heard.cleared(10.05)
    heard.sent("item_2", 0, 100, now_s=11.0)
    heard.played(gone, 11.05)
    heard.played("of somebody else", 11.05)
    assert heard.cleared(11.05) == [Heard("item_2", 0, 50)]


def test_a_part_goes_on_after_all_that_was_sent_of_it_had_been_played() -> None:
    heard = PlayedAudio()
    heard.played(heard.sent("item_1", 0, 300, now_s=10.0), 10.3)
    heard.sent("item_1", 0, 300, now_s=12.0)
    assert heard.cleared(12.1) == [Heard("item_1", 0, 400)]


# -- a line that takes no audio for a while ----------------------------------------------------------------------------


async def test_nothing_is_sent_and_nothing_lost_while_a_line_takes_no_audio() -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    def frame(name: bytes) -> bytes:
        return name * 160

    writer = LineWriter(AsteriskChannel(), send)
    await writer.play(frame(b"a"), "m1")
    await writer.set_open(False)
    await writer.play(frame(b"b") + b"c", "m2")
    await writer.finish()
    assert len(sent) == 2
    await writer.set_open(True)
    assert [each for each in sent if isinstance(each, bytes)] == [frame(b"a"), frame(b"b"), b"c" + b"\xff" * 159]
    await writer.set_open(False)
    await writer.play(frame(b"d"), "m3")
    await writer.clear()
    await writer.set_open(True)
    assert sent[-1] == '{"command": "FLUSH_MEDIA"}'  # what was held back is thrown away, too


async def test_a_line_gets_no_more_than_it_can_keep_until_it_has_played_some() -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)
        await asyncio.sleep(0)  # others go on meanwhile

    def audio() -> int:
        return sum(len(each) for each in sent if isinstance(each, bytes))

    second = bytes(8_000)
    writer = LineWriter(AsteriskChannel(), send)
    await asyncio.gather(*(writer.play(second, f"m{number}") for number in range(20)))
    assert audio() == MOST_UNPLAYED_BYTES
    await writer.played("of somebody else")
    assert audio() == MOST_UNPLAYED_BYTES
    await asyncio.gather(writer.played("m0"), writer.played("m2"))
    assert audio() == MOST_UNPLAYED_BYTES + 3 * len(second)
    marks = [json.loads(each)["correlation_id"] for each in sent if isinstance(each, str)]
    assert marks == [f"m{number}" for number in range(11)]
    await writer.clear()
    await writer.played("m3")
    assert audio() == MOST_UNPLAYED_BYTES + 3 * len(second)  # what was held back is gone
    await writer.play(second, "m20")
    assert audio() == MOST_UNPLAYED_BYTES + 4 * len(second)


async def test_audio_on_its_way_is_not_played_after_a_clear() -> None:
    sent: list[Message] = []
    writer: LineWriter

    async def send(message: Message) -> None:
        sent.append(message)
        if len(sent) == 1:
            await writer.clear()

    writer = LineWriter(AsteriskChannel(), send)
    await writer.play(bytes(24_000), "m1")  # three messages and a mark
    assert sent[1:] == ['{"command": "FLUSH_MEDIA"}']


# -- keys --------------------------------------------------------------------------------------------------------------


def test_a_number_ends_with_the_hash_key_or_a_pause() -> None:
    keypad = Keypad()
    assert [keypad.press(key, 1.0) for key in "123#"] == ["", "", "", "123"]
    assert keypad.waits_s(1.0) is None
    keypad.press("4", 2.0)
    keypad.press("5", 3.0)
    assert keypad.waits_s(3.0) == PAUSE_S
    assert keypad.due(3.0 + PAUSE_S - 0.01) == ""
    assert keypad.due(3.0 + PAUSE_S) == "45"
    assert keypad.due(99.0) == ""


def test_a_star_begins_the_number_again_and_forty_keys_are_the_most() -> None:
    keypad = Keypad()
    assert [keypad.press(key, 1.0) for key in "99*12#"][-1] == "12"
    assert [keypad.press("1", 1.0) for _ in range(40)][-1] == "1" * 40


# -- hanging up --------------------------------------------------------------------------------------------------------


def test_the_agent_with_rules_knows_the_lines_tool_for_hanging_up() -> None:
    assert HANG_UP in {tool["name"] for tool in call_tools(has_transfer=False)} & DELIVERY.client_tools


# -- who may enter -----------------------------------------------------------------------------------------------------


def test_a_signature_is_of_its_address_form_and_token() -> None:
    form = [("CallSid", "CA1"), ("Caller", "+14158675309")]
    url = "https://phone.example/twilio/voice"
    given = twilio_signature("secret", url, form)
    assert is_from_twilio("secret", [url], given, reversed(form))
    assert not is_from_twilio("secret", [url], given, [*form, ("To", "+1")])
    assert not is_from_twilio("secret", [url + "?x=1"], given, form)
    assert not is_from_twilio("other", [url], given, form)
    assert not is_from_twilio("secret", [url], "", form)
    assert not is_from_twilio("secret", [url], "ü", form)


def test_a_token_may_be_shown_in_three_ways() -> None:
    basic = base64.b64encode(b"avb:s3cret").decode()
    assert shows_token("s3cret", {"authorization": "Bearer s3cret"}, {})
    assert shows_token("s3cret", {"authorization": f"Basic {basic}"}, {})
    assert shows_token("s3cret", {}, {"token": "s3cret"})
    assert not shows_token("s3cret", {"authorization": "Basic %%%"}, {})
    assert not shows_token("s3cret", {"authorization": "Bearer s3cre"}, {"token": ""})


# -- scripts -----------------------------------------------------------------------------------------------------------


def test_what_callers_may_write_can_not_change_a_script() -> None:
    script = twiml.connect("wss://p/twilio/media", "https://p/twilio/after", {"a": '"/><Dial>1</Dial>'})
    assert "<Dial>" not in script
    assert "<Number>+4930123</Number>" in twiml.dial("+4930123")
    assert "<Sip>sip:desk@example.org</Sip>" in twiml.dial("sip:desk@example.org")


# -- settings ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"telephony": "skype"}, "there is no provider 'skype'"),
        ({"telephony": "twilio"}, "AVB_TWILIO_AUTH_TOKEN"),
        ({"telephony": "twilio", "twilio_auth_token": "t"}, "https://phone.example"),
        ({"telephony": "asterisk", "telephony_host": "0.0.0.0"}, "needs a token"),
        ({"telephony_transfer_to": "the desk"}, "TELEPHONY_TRANSFER_TO"),
        ({"telephony_gateways": "gateway:8000"}, "http://"),
    ],
)
def test_wrong_settings_of_telephony_name_what_is_missing(given: dict[str, str], says: str) -> None:
    with pytest.raises(SettingsError) as refused:
        Settings.load(**given)
    assert says in str(refused.value) + "".join(refused.value.faults)


def test_telephony_runs_only_where_a_provider_may_connect() -> None:
    assert "telephony" not in {spec.name for spec in all_children(Settings())}
    assert "telephony" in {spec.name for spec in all_children(Settings(telephony="asterisk"))}


async def test_a_role_that_nobody_may_call_does_not_start() -> None:
    with pytest.raises(SettingsError, match="AVB_TELEPHONY is empty"):
        await serve_telephony(Settings(), lambda: None, asyncio.Event(), ProcessReport())


def test_calls_go_to_this_machines_gateway_unless_others_are_named() -> None:
    assert plan_of(Settings(port=8123)).gateways == ("http://127.0.0.1:8123/v1",)
    settings = Settings(telephony="asterisk", telephony_gateways="http://a/v1, http://b/v1", api_keys="k1,k2")
    assert plan_of(settings).gateways == ("http://a/v1", "http://b/v1")
    assert plan_of(settings).api_key == "k1"
    assert "k1" not in repr(plan_of(settings)) and "s3cret" not in repr(access_of(Settings(telephony_token="s3cret")))
