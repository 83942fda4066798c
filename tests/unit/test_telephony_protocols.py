"""Messages of carriers and exchanges: what is read, what is written, and what is refused."""

import json

import pytest

from agentvoicebox.telephony.asterisk import AsteriskChannel
from agentvoicebox.telephony.line import (
    CallerAudio,
    FlowChanged,
    KeyPressed,
    LineEnded,
    LineProtocol,
    LineStarted,
    MarkPlayed,
    UnreadableMessage,
)
from agentvoicebox.telephony.media_streams import telnyx, twilio

pytestmark = pytest.mark.requirement("C10")

# As Twilio's reference shows them.
TWILIO_START = {
    "event": "start",
    "sequenceNumber": "1",
    "start": {
        "accountSid": "AC0",
        "streamSid": "MZ0",
        "callSid": "CA0",
        "tracks": ["inbound"],
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        "customParameters": {"agent": "delivery", "n": 3},
    },
    "streamSid": "MZ0",
}
TELNYX_START = {
    "event": "start",
    "sequence_number": "1",
    "start": {
        "call_control_id": "v2:T0",
        "from": "+13122010094",
        "media_format": {"encoding": "PCMA", "sample_rate": 8000, "channels": 1},
        "custom_parameters": {"agent": "clinic"},
    },
    "stream_id": "32DE",
}
ASTERISK_START = {
    "event": "MEDIA_START",
    "connection_id": "media_connection1",
    "channel_id": "1761245643.1",
    "format": "ulaw",
    "optimal_frame_size": 160,
    "channel_variables": {"DIALEDPEERNUMBER": "media_connection1/c(ulaw)"},
}


def test_twilio_says_who_calls_whom_and_its_own_stream_gets_the_answers() -> None:
    protocol = twilio()
    started = LineStarted("CA0", "audio/pcmu", {"agent": "delivery"}, asks_afterwards=True)
    assert protocol.read(json.dumps(TWILIO_START)) == [started]
    assert json.loads(str(protocol.audio(b"ab")[0])) == {
        "event": "media",
        "streamSid": "MZ0",
        "media": {"payload": "YWI="},
    }
    assert json.loads(str(protocol.mark("m1")[0])) == {"event": "mark", "streamSid": "MZ0", "mark": {"name": "m1"}}
    assert json.loads(str(protocol.clear()[0])) == {"event": "clear", "streamSid": "MZ0"}


def test_telnyx_differs_by_names_only() -> None:
    protocol = telnyx()
    parameters = {"from": "+13122010094", "agent": "clinic"}
    assert protocol.read(json.dumps(TELNYX_START)) == [LineStarted("v2:T0", "audio/pcma", parameters)]
    assert json.loads(str(protocol.clear()[0])) == {"event": "clear", "stream_id": "32DE"}


@pytest.mark.parametrize("protocol", [twilio(), telnyx()], ids=["twilio", "telnyx"])
def test_media_streams_carry_audio_keys_marks_and_the_end(protocol: LineProtocol) -> None:
    def read(**message: object) -> object:
        return protocol.read(json.dumps(message))

    assert read(event="connected") == []
    assert read(event="media", media={"track": "inbound", "payload": "YWI="}) == [CallerAudio(b"ab")]
    assert read(event="media", media={"track": "outbound", "payload": "YWI="}) == []
    assert read(event="dtmf", dtmf={"digit": "#"}) == [KeyPressed("#")]
    assert read(event="dtmf", dtmf={"digit": "x"}) == []
    assert read(event="mark", mark={"name": "m1"}) == [MarkPlayed("m1")]
    assert read(event="stop", stop={}) == [LineEnded()]


def test_asterisk_sends_audio_as_binary_and_the_rest_as_text() -> None:
    protocol = AsteriskChannel()
    started = LineStarted("1761245643.1", "audio/pcmu", {"DIALEDPEERNUMBER": "media_connection1/c(ulaw)"})
    assert protocol.read(json.dumps(ASTERISK_START)) == [started]
    assert protocol.read(b"ab") == [CallerAudio(b"ab")]
    assert protocol.read('{"event": "DTMF_END", "digit": "7"}') == [KeyPressed("7")]
    assert protocol.read('{"event": "MEDIA_MARK_PROCESSED", "correlation_id": "m1"}') == [MarkPlayed("m1")]
    assert protocol.read('{"event": "MEDIA_XOFF"}') == [FlowChanged(False)]
    assert protocol.read('{"event": "MEDIA_XON"}') == [FlowChanged(True)]
    assert json.loads(str(protocol.mark("m1")[0])) == {"command": "MARK_MEDIA", "correlation_id": "m1"}
    assert json.loads(str(protocol.hang_up()[0])) == {"command": "HANGUP"}


def test_asterisk_gets_no_frame_that_it_would_close_the_connection_for() -> None:
    frames = AsteriskChannel().audio(bytes(80_000))
    assert max(map(len, frames)) <= 16_000
    assert sum(map(len, frames)) == 80_000


@pytest.mark.parametrize(("format", "silence"), [("ulaw", b"\xff"), ("alaw", b"\xd5")])
def test_asterisk_gets_whole_frames_only_and_every_byte(format: str, silence: bytes) -> None:
    protocol = AsteriskChannel()
    protocol.read(json.dumps(ASTERISK_START | {"format": format}))
    pieces = [bytes([n]) * size for n, size in enumerate((100, 830, 1, 4_810, 160, 7_999))]
    sent = [bytes(message) for piece in pieces for message in protocol.audio(piece) if isinstance(message, bytes)]
    assert all(len(message) % 160 == 0 for message in sent)
    (last,) = protocol.finish()
    said = b"".join(pieces)
    assert b"".join([*sent, bytes(last, "ascii") if isinstance(last, str) else last]) == said + silence * (
        -len(said) % 160
    )
    assert protocol.finish() == []
    protocol.audio(b"thrown away")
    protocol.clear()
    assert protocol.finish() == []


def test_a_script_of_asterisk_that_asks_afterwards_says_by_which_id() -> None:
    start = ASTERISK_START | {"channel_variables": {"__AVB_CALL": "1761245643.0", "__agent": "clinic"}}
    (started,) = AsteriskChannel().read(json.dumps(start))
    assert isinstance(started, LineStarted)
    assert (started.call_id, started.asks_afterwards, started.parameters["agent"]) == ("1761245643.0", True, "clinic")


def test_asterisk_names_the_size_of_its_frames() -> None:
    protocol = AsteriskChannel()
    protocol.read(json.dumps(ASTERISK_START | {"optimal_frame_size": 240}))
    assert [len(each) for each in protocol.audio(bytes(1_000))] == [960]
    for odd in (0, -1, 1_000_000, "x", None, 1.5):
        other = AsteriskChannel()
        other.read(json.dumps(ASTERISK_START | {"optimal_frame_size": odd}))
        assert [len(each) for each in other.audio(bytes(1_000))] == [960]


@pytest.mark.parametrize(
    ("protocol", "message"),
    [
        (twilio(), "no json"),
        (twilio(), "[]"),
        (twilio(), b"\xff\xfe"),
        (twilio(), '{"event": "media"}'),
        (twilio(), '{"event": "media", "media": {"payload": "%%%"}}'),
        (twilio(), '{"event": "start", "start": {"mediaFormat": {"encoding": "audio/opus", "sampleRate": 8000}}}'),
        (AsteriskChannel(), "MEDIA_START connection_id:x"),
        (AsteriskChannel(), '{"event": "MEDIA_START", "format": "slin16"}'),
    ],
)
def test_what_is_no_message_is_refused_without_its_content(protocol: LineProtocol, message: str | bytes) -> None:
    with pytest.raises(UnreadableMessage) as refused:
        protocol.read(message)
    assert "%%%" not in str(refused.value) and "connection_id:x" not in str(refused.value)


def test_what_a_line_passes_on_is_bounded() -> None:
    start = json.loads(json.dumps(TWILIO_START))
    start["start"]["customParameters"] = {f"p{i}": "x" * 5_000 for i in range(100)}
    (started,) = twilio().read(json.dumps(start))
    assert isinstance(started, LineStarted)
    assert len(started.parameters) == 20
    assert max(map(len, started.parameters.values())) == 200
