"""Calls that the telephony server makes: who may order them, what the provider is asked, and what happens when it fails."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from tests.kit.fault_proxy import Break, FaultProxy, Reply
from tests.kit.telephone_place import TOKEN, URL, TelephonePlace, opened

from agentvoicebox.clock import ManualClock
from agentvoicebox.errors import SettingsError
from agentvoicebox.kits.registry import load_settings
from agentvoicebox.telephony.app import CALLS_PATH
from agentvoicebox.telephony.diallers import AsteriskDialler, AsteriskInterface, Dialler, TwilioAccount, TwilioDialler
from agentvoicebox.telephony.outgoing_calls import OutgoingCalls
from agentvoicebox.telephony.role import outgoing_of

pytestmark = pytest.mark.requirement("C10")

SID, AUTH_TOKEN, FROM = "AC" + "0" * 32, "twilio-secret", "+14155550100"
TO = "+4930123456"
BEGUN = {"twilio": Reply(201, b'{"sid": "CA1"}'), "asterisk": Reply(200, b'{"id": "1700000000.1"}')}
SETTINGS = {"telephony": "twilio", "twilio_auth_token": AUTH_TOKEN, "telephony_url": URL, "telephony_token": TOKEN}


@asynccontextmanager
async def able(server: FaultProxy, *, a_minute: int = 60) -> AsyncIterator[TelephonePlace]:
    """A telephony server whose providers' APIs are `server`."""
    account = TwilioAccount(SID, AUTH_TOKEN, FROM, f"{URL}/twilio/voice", server.url)
    interface = AsteriskInterface(f"{server.url}/ari", "agent", "ari-secret", "PJSIP/{number}@trunk", "100", "from-sip")
    diallers: dict[str, Dialler] = {"twilio": TwilioDialler(account), "asterisk": AsteriskDialler(interface)}
    outgoing = OutgoingCalls(diallers, ("+49", "7"), a_minute, ManualClock())
    async with opened((), outgoing=outgoing) as place:
        yield place
    await outgoing.close()


async def order(place: TelephonePlace, content: object, token: str = TOKEN) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{place.port}", trust_env=False) as client:
        if isinstance(content, bytes):
            return await client.post(CALLS_PATH, content=content, headers=headers)
        return await client.post(CALLS_PATH, json=content, headers=headers)


def password_of(headers: dict[str, str]) -> str:
    return base64.b64decode(headers["authorization"].removeprefix("Basic ")).decode()


async def test_twilio_is_asked_to_call_and_to_connect_who_answers_by_the_webhook() -> None:
    async with FaultProxy(plan=lambda _: BEGUN["twilio"]) as server, able(server) as place:
        answer = await order(place, {"to": TO, "agent": "clinic"})
        assert (answer.status_code, answer.json()) == (201, {"provider": "twilio", "call_id": "CA1"})
        [asked] = server.requests
        assert (asked.method, asked.target) == ("POST", f"/2010-04-01/Accounts/{SID}/Calls.json")
        assert password_of(asked.headers) == f"{SID}:{AUTH_TOKEN}"
        form = {name: values[0] for name, values in parse_qs(asked.body.decode()).items()}
        assert form == {"To": TO, "From": FROM, "Url": f"{URL}/twilio/voice?agent=clinic", "Timeout": "30"}


async def test_asterisk_is_asked_to_call_and_to_run_the_script_that_connects_callers() -> None:
    async with FaultProxy(plan=lambda _: BEGUN["asterisk"]) as server, able(server) as place:
        answer = await order(place, {"to": "7001", "agent": "clinic", "provider": "asterisk"})
        assert (answer.status_code, answer.json()) == (201, {"provider": "asterisk", "call_id": "1700000000.1"})
        [asked] = server.requests
        where = urlsplit(asked.target)
        assert (asked.method, where.path) == ("POST", "/ari/channels")
        assert password_of(asked.headers) == "agent:ari-secret"
        query = {name: values[0] for name, values in parse_qs(where.query).items()}
        assert query == {
            "endpoint": "PJSIP/7001@trunk",
            "extension": "100",
            "context": "from-sip",
            "priority": "1",
            "timeout": "30",
        }
        assert asked.body == b'{"variables":{"__agent":"clinic"}}'


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        ({"to": "+33123456"}, 403, "number_not_allowed"),
        ({"to": "49301234"}, 403, "number_not_allowed"),
        ({"to": "+49 30 1"}, 400, "invalid_value"),
        ({"to": "+4930@evil/n&endpoint=x"}, 400, "invalid_value"),
        ({"to": "+49" + "1" * 30}, 400, "invalid_value"),
        ({"to": TO, "agent": "a b\n"}, 400, "invalid_value"),
        ({"to": TO, "provider": "telnyx"}, 400, "invalid_value"),
        ({"to": TO, "voice": "x"}, 400, "invalid_json"),
        ({"agent": "clinic"}, 400, "invalid_json"),
        (b"\xff{", 400, "invalid_json"),
        (b"[" * 5_000, 413, "request_too_large"),
    ],
)
async def test_an_order_that_is_invalid_or_not_allowed_reaches_no_provider(
    content: object, status: int, code: str
) -> None:
    async with FaultProxy(plan=lambda _: BEGUN["twilio"]) as server, able(server) as place:
        answer = await order(place, content)
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
        assert server.requests == []


async def test_a_call_needs_the_token_and_guesses_are_limited() -> None:
    async with FaultProxy(plan=lambda _: BEGUN["twilio"]) as server, able(server) as place:
        assert [(await order(place, {"to": TO}, token)).status_code for token in ("", "guessed")] == [403, 403]
        guesses = [(await order(place, {"to": TO}, f"guess {number}")).status_code for number in range(12)]
        assert guesses[-1] == 429
        assert (await order(place, {"to": TO})).status_code == 201, (
            "the good token is served beside a flood of bad ones"
        )
        assert len(server.requests) == 1


async def test_no_more_calls_are_begun_than_a_minute_may_have() -> None:
    async with FaultProxy(plan=lambda _: BEGUN["twilio"]) as server, able(server, a_minute=2) as place:
        answers = [await order(place, {"to": TO}) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [201, 201, 429]
        assert "AVB_OUTGOING_A_MINUTE" in answers[2].json()["error"]["message"]
        assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("fault", "status", "code", "words"),
    [
        (Reply(400, b'{"message": "The number +4930123456 is not valid."}'), 502, "provider_refused", "is not valid"),
        (Reply(401, b'{"message": "Authenticate"}'), 502, "provider_unauthorized", "AVB_TWILIO_ACCOUNT_SID"),
        (Reply(500, b"<html>"), 502, "provider_refused", "500"),
        (Reply(201, b"{}"), 502, "provider_failed", "may have begun"),
        (Reply(201, b'{"sid": 7}'), 502, "provider_failed", "may have begun"),
        (Reply(201, b'{"sid": "' + b"x" * 1_000_000 + b'"}'), 502, "provider_failed", "too long"),
        (Reply(302, b"", headers={"location": "http://127.0.0.1:1/"}), 502, "provider_refused", "302"),
        (Break.RESET, 502, "provider_failed", "may have begun"),
        (Break.CUT, 502, "provider_failed", "may have begun"),
    ],
)
async def test_a_provider_that_fails_is_asked_once_and_named(
    fault: Reply | Break, status: int, code: str, words: str
) -> None:
    async with FaultProxy(plan=lambda _: fault) as server, able(server) as place:
        answer = await order(place, {"to": TO})
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (status, code)
        assert words in error["message"] and AUTH_TOKEN not in answer.text
        assert len(server.requests) == 1, "a call may have begun, so nothing is asked twice"


@pytest.mark.parametrize(
    "fault", [Reply(201, b'{"sid": "CA1"}', drip_s=0.2), Break.SILENCE], ids=["drips", "is silent"]
)
async def test_a_provider_that_is_slow_is_waited_for_as_long_as_a_whole_answer_may_take(
    fault: Reply | Break, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agentvoicebox.telephony.diallers.TIMEOUT_S", 0.5)
    async with FaultProxy(plan=lambda _: fault) as server, able(server) as place:
        answer = await order(place, {"to": TO})
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (502, "provider_failed")
        assert "may have begun" in error["message"]


async def test_a_provider_that_is_not_there_is_told() -> None:
    async with FaultProxy() as server:
        gone = server.url
    account = TwilioAccount(SID, AUTH_TOKEN, FROM, f"{URL}/twilio/voice", gone)
    outgoing = OutgoingCalls({"twilio": TwilioDialler(account)}, ("+49",), 10, ManualClock())
    async with opened((), outgoing=outgoing) as place:
        answer = await order(place, {"to": TO})
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "provider_unavailable")
    await outgoing.close()


async def test_a_server_that_may_call_nobody_has_no_such_route() -> None:
    async with opened(()) as place:
        assert (await order(place, {"to": TO})).status_code == 404
    assert outgoing_of(load_settings(**SETTINGS)) is None


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"outgoing_prefixes": "+49"}, "AVB_TWILIO_ACCOUNT_SID"),
        ({"outgoing_prefixes": "+49", "telephony_token": ""}, "AVB_TELEPHONY_TOKEN"),
        ({"outgoing_prefixes": "abroad"}, "+49"),
        ({"asterisk_dial": "PJSIP/trunk"}, "{number}"),
    ],
)
def test_settings_that_can_make_no_call_say_what_is_missing(given: dict[str, str], words: str) -> None:
    with pytest.raises(SettingsError, match=r"(?s).*") as raised:
        outgoing_of(load_settings(**{**SETTINGS, **given}))
    assert words in str(raised.value)
