"""Twilio's own library is the oracle: what it signs is let in, anything else is refused, and it writes the same scripts."""

import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from urllib.parse import parse_qsl, urlencode

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.kit.telephone_line import telephone_line
from tests.kit.telephone_place import AUTH_TOKEN, opened
from twilio.request_validator import RequestValidator
from twilio.twiml.voice_response import Connect, Dial, VoiceResponse
from websockets.exceptions import InvalidStatus

from agentvoicebox.telephony import twiml
from agentvoicebox.telephony.app import AFTER_PATH, TWILIO_PATH, VOICE_PATH
from agentvoicebox.telephony.signatures import SIGNATURE_HEADER, is_from_twilio, twilio_signature

pytestmark = pytest.mark.requirement("C10")

TWILIO = RequestValidator(AUTH_TOKEN)
Pairs = Sequence[tuple[str, str]]


class Form(dict[str, str]):
    """A form with names that occur several times, as the library reads it."""

    def __init__(self, pairs: Pairs) -> None:
        super().__init__(pairs)
        self._pairs = pairs

    def getall(self, name: str) -> list[str]:
        return [value for each, value in self._pairs if each == name]


CALL: Pairs = (("CallSid", "CA1"), ("From", "+14158675309"), ("To", "+49 30 123"))
FORMS: dict[str, Pairs] = {
    "a call": CALL,
    "no field": (),
    "empty values": (*CALL, ("CallerName", ""), ("Digits", "")),
    "other scripts": (*CALL, ("CallerName", "Zoë Müller 王 🦊"), ("FromCity", "Sankt-Gallen\u00a0\u2028")),
    "characters of forms and addresses": (*CALL, ("SipHeader_X", "a&b=c?d#e%41+f;g/h\\\"'<>"), ("é&=", "~`|^")),
    "line ends and spaces": (*CALL, ("SpeechResult", " one\r\ntwo\t\x00 "), ("  ", " ")),
    "a name twice": (*CALL, ("Tag", "b"), ("Tag", "a"), ("Tag", "b"), ("tag", "c")),
    "order of upper and lower case": (("b", "1"), ("B", "2"), ("a", "3"), ("A", "4"), ("_", "5")),
}
QUERIES = (
    "",
    "?agent=delivery",
    "?a=1&a=2&b",
    "?q=%C3%A9%20%2B+x",
    "?x=%2F%3f%26&y=;,:@!$'()*~",
    "?u=https://a.example/b?c=d",
    "?=&&",
)
ORIGINS = (
    "https://phone.example", "https://phone.example:443", "https://phone.example:8443", "http://phone.example",
    "http://phone.example:8080", "https://PHONE.Example", "https://phone.example/prefix", "https://[2001:db8::1]:8443",
)  # fmt: skip


async def post(port: int, path: str, form: Pairs, signature: str) -> int:
    headers = {SIGNATURE_HEADER: signature, "content-type": "application/x-www-form-urlencoded"}
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.post(f"http://127.0.0.1:{port}{path}", content=urlencode(form), headers=headers)
    return answer.status_code


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
async def test_a_webhook_that_twilios_library_signs_is_taken_and_a_changed_one_is_not(form: Pairs) -> None:
    async with opened((), url="https://phone.example") as place:
        for path in (VOICE_PATH, f"{VOICE_PATH}/", AFTER_PATH, f"{AFTER_PATH}/"):
            for query in QUERIES:
                given = TWILIO.compute_signature(f"https://phone.example{path}{query}", Form(form))
                assert await post(place.port, path + query, form, given) == 200, (path, query)
        given = TWILIO.compute_signature(f"https://phone.example{VOICE_PATH}?a=1", Form(form))
        changed = (
            (VOICE_PATH, form), (f"{VOICE_PATH}?a=2", form), (f"{VOICE_PATH}/?a=1", form), (f"{AFTER_PATH}?a=1", form),
            (f"{VOICE_PATH}?a=1", (*form, ("To", "+1900"))), (f"{VOICE_PATH}?a=%31", form),
        )  # fmt: skip
        for path, sent in changed:
            assert await post(place.port, path, sent, given) == 403, (path, sent)


@pytest.mark.parametrize("origin", ORIGINS)
async def test_the_address_may_be_signed_with_its_port_and_without(origin: str) -> None:
    scheme, _, place_of_it = origin.partition("://")
    host, slash, prefix = place_of_it.partition("/")
    bare = host.rpartition(":")[0] if host[-1].isdigit() and ":" in host else host
    ports = {host, bare, f"{bare}:{443 if scheme == 'https' else 80}"} if bare == host else {host, bare}
    async with opened((), url=origin) as place:
        for netloc in ports:
            url = f"{scheme}://{netloc}{slash}{prefix}{VOICE_PATH}?agent=x"
            status = await post(place.port, f"{VOICE_PATH}?agent=x", CALL, TWILIO.compute_signature(url, Form(CALL)))
            assert status == 200, url
        for wrong in (f"{scheme}://{bare}:9{VOICE_PATH}?agent=x", f"{scheme}://other.example{VOICE_PATH}?agent=x"):
            assert await post(place.port, f"{VOICE_PATH}?agent=x", CALL, TWILIO.compute_signature(wrong, {})) == 403


@pytest.mark.parametrize("origin", ORIGINS)
async def test_the_upgrade_of_a_media_stream_is_signed_in_the_same_way(origin: str) -> None:
    """The address is the one of the script, which names the stream to Twilio."""
    async with opened((), url=origin) as place:
        stream = "wss://" + origin.partition("://")[2] + TWILIO_PATH
        for url in (stream, stream.replace("wss://", "https://")):
            headers = {SIGNATURE_HEADER: TWILIO.compute_signature(url, {})}
            async with telephone_line(place.port, "twilio", headers=headers):
                pass
        for wrong in (stream + "/", stream + "?a=1", stream.replace("://", "://x"), "wss://phone.example"):
            headers = {SIGNATURE_HEADER: TWILIO.compute_signature(wrong, {})}
            with pytest.raises(InvalidStatus) as refused:
                async with telephone_line(place.port, "twilio", headers=headers):
                    pass
            assert refused.value.response.status_code == 403


async def test_a_query_that_is_no_utf_8_is_refused_like_any_other() -> None:
    async with opened((), url="https://phone.example") as place:
        assert await post(place.port, f"{VOICE_PATH}?a=%ff", CALL, "x") == 403
        url = f"https://phone.example{VOICE_PATH}?a=%ff"
        assert await post(place.port, f"{VOICE_PATH}?a=%ff", CALL, TWILIO.compute_signature(url, Form(CALL))) == 200


TEXT = st.text(st.characters(codec="utf-8"), max_size=12)


@given(st.lists(st.tuples(TEXT, TEXT), max_size=8), TEXT, st.sampled_from(ORIGINS))
def test_any_form_has_the_signature_that_twilios_library_gives_it(pairs: Pairs, query: str, origin: str) -> None:
    url = f"{origin}{VOICE_PATH}?{urlencode({'q': query})}"
    given = TWILIO.compute_signature(url, Form(pairs))
    assert twilio_signature(AUTH_TOKEN, url, pairs) == given
    assert TWILIO.validate(url, Form(pairs), given)
    arrived = parse_qsl(urlencode(pairs), keep_blank_values=True)
    assert is_from_twilio(AUTH_TOKEN, [url], given, arrived)
    assert not is_from_twilio("another", [url], given, arrived)


def same(ours: str, theirs: VoiceResponse) -> None:
    assert ElementTree.canonicalize(ours) == ElementTree.canonicalize(str(theirs))


ODD = ("delivery", "\"'<>&", "Zoë 🦊", "a\tb\nc", "")


@pytest.mark.parametrize("value", ODD)
def test_a_script_that_connects_a_call_is_the_one_that_twilios_library_writes(value: str) -> None:
    stream, after = "wss://phone.example/twilio/media", "https://phone.example/twilio/after?a=1&b=2"
    theirs, connect = VoiceResponse(), Connect(action=after)
    connect.stream(url=stream).parameter(name="agent", value=value)
    theirs.append(connect)
    same(twiml.connect(stream, after, {"agent": value}), theirs)


def test_scripts_that_end_a_call_are_those_that_twilios_library_writes() -> None:
    for target in ("+4930123456", "sip:desk@example.org;transport=tls?x=1&y=2"):
        theirs, dial = VoiceResponse(), Dial()
        if target.startswith("sip:"):
            dial.sip(target)
        else:
            dial.number(target)
        theirs.append(dial)
        same(twiml.dial(target), theirs)
    apology = VoiceResponse()
    apology.say(twiml.SORRY)
    apology.hangup()
    same(twiml.apologise(), apology)
    end = VoiceResponse()
    end.hangup()
    same(twiml.hang_up(), end)
