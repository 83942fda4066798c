"""The parts of the webhook server: signatures, stored answers, the limit, masks."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.kit.kits import DELIVERY

from agentvoicebox.clock import ManualClock
from agentvoicebox.errors import BadCredentials, SettingsError
from agentvoicebox.kits.env_example import example
from agentvoicebox.kits.registry import load_settings, settings_class
from agentvoicebox.limits.memory import SlidingWindow
from agentvoicebox.request_source import source_of
from agentvoicebox.settings.webhook import WebhookSettings
from agentvoicebox.tools.definition import Outcome
from agentvoicebox.webhook.contracts import WebhookMessage
from agentvoicebox.webhook.idempotency import Idempotency
from agentvoicebox.webhook.masking import event_name, masked
from agentvoicebox.webhook.render import status_of
from agentvoicebox.webhook.signatures import HmacScheme, SeenSignatures
from agentvoicebox_delivery.parcels import track
from agentvoicebox_delivery.settings import DeliverySettings
from agentvoicebox_delivery.tool import _outcome

ROOT = Path(__file__).parents[2]
BODY = b'{"message":{"type":"tool-calls","toolCallList":[],"toolWithToolCallList":[]}}'


def test_the_published_vector_of_the_signature() -> None:
    scheme = HmacScheme(b"test-secret")
    assert (
        scheme.sign(BODY, timestamp=b"1767225600000")
        == b"5f7339d28b3ea2baf4093b79bfce9af90b4a07665d535cd723b36c76ce1fc636"
    )
    bare = HmacScheme(b"test-secret", payload_format="{body}", prefix="sha256=")
    assert bare.sign(BODY) == b"sha256=7265fa2692f945c32bf312b61b3319b04e6890d165906d6b95bc2710538ed020"


def test_braces_in_a_body_are_not_filled_in() -> None:
    scheme = HmacScheme(b"k")
    assert scheme.sign(b"{timestamp}", timestamp=b"1") != scheme.sign(b"1", timestamp=b"1")


def test_a_signature_is_remembered_until_it_is_stale_and_no_longer() -> None:
    seen = SeenSignatures(most=2)
    for number in range(3):
        seen.add((b"1", b"%d" % number), 0.0)
    seen.check((b"1", b"0"), 1.0)  # the oldest had to go
    with pytest.raises(BadCredentials):
        seen.check((b"1", b"2"), 599.0)
    seen.check((b"1", b"2"), 600.0)


class TestLimit:
    """A sliding window."""

    def test_it_slides(self) -> None:
        clock = ManualClock()
        window = SlidingWindow(2, clock=clock)
        assert window.admit("a").remaining == 1
        clock.advance(30)
        assert window.admit("a").is_admitted
        refused = window.admit("a")
        assert (refused.is_admitted, refused.retry_after_s) == (False, 30)
        clock.advance(29.5)
        assert window.admit("a").retry_after_s == 1
        clock.advance(0.5)
        assert window.admit("a").is_admitted
        assert not window.admit("a").is_admitted

    def test_sources_are_apart_and_the_quietest_is_forgotten(self) -> None:
        clock = ManualClock()
        window = SlidingWindow(1, most_sources=2, clock=clock)
        assert all(window.admit(source).is_admitted for source in "ab")
        assert not window.admit("a").is_admitted
        assert window.admit("c").is_admitted  # b has to go
        assert not window.admit("a").is_admitted
        assert window.admit("b").is_admitted

    def test_zero_is_no_limit(self) -> None:
        window = SlidingWindow(0)
        assert all(window.admit("a").is_admitted for _ in range(1000))


class TestMemory:
    """One answer for one question."""

    async def test_it_lasts_ten_minutes(self) -> None:
        clock = ManualClock()
        made: list[int] = []
        memory: Idempotency[int] = Idempotency(clock=clock)

        async def make() -> int:
            made.append(1)
            return len(made)

        assert [await memory.once("k", make) for _ in range(2)] == [1, 1]
        clock.advance(599)
        assert await memory.once("k", make) == 1
        clock.advance(1)
        assert await memory.once("k", make) == 2
        assert await memory.once("other", make) == 3

    async def test_it_is_bounded(self) -> None:
        made: list[str] = []
        memory: Idempotency[str] = Idempotency(most=2)

        def making(name: str) -> Any:
            async def make() -> str:
                made.append(name)
                return name

            return make

        for name in ("a", "b", "c", "b", "a"):
            assert await memory.once(name, making(name)) == name
        assert made == ["a", "b", "c", "a"]

    async def test_a_failure_is_given_to_those_who_wait_and_not_kept(self) -> None:
        memory: Idempotency[int] = Idempotency()
        answers: Iterator[Exception | int] = iter([ZeroDivisionError(), 2])

        async def make() -> int:
            await asyncio.sleep(0)
            answer = next(answers)
            if isinstance(answer, Exception):
                raise answer
            return answer

        both = await asyncio.gather(memory.once("k", make), memory.once("k", make), return_exceptions=True)
        assert [type(each) for each in both] == [ZeroDivisionError] * 2
        assert await memory.once("k", make) == 2

    async def test_who_leaves_takes_nothing_along(self) -> None:
        memory: Idempotency[int] = Idempotency()
        may_end = asyncio.Event()

        async def make() -> int:
            await may_end.wait()
            return 1

        leaving = asyncio.create_task(memory.once("k", make))
        staying = asyncio.create_task(memory.once("k", make))
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        may_end.set()
        assert await staying == 1


@pytest.mark.parametrize(
    ("given", "kept"),
    [(1767225600000, 1767225600000), (1.5, 1.5), ("2024-07-26T22:20:57.931Z",) * 2, (True, None), ([], None)],
)
def test_a_time_is_kept_in_whatever_form_it_came(given: Any, kept: Any) -> None:
    assert WebhookMessage.model_validate({"timestamp": given}).timestamp == kept


@pytest.mark.parametrize(
    ("value", "shown"), [("call_0123456789", "…6789"), ("call_1", "…"), ("", "…"), (7, "…"), ("x" * 20 + "é", "…")]
)
def test_an_id_shows_its_end_alone(value: object, shown: str) -> None:
    assert masked(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("hang", "hang"),
        ("call.was.new", "call.was.new"),
        ("4155550123", "other"),
        ("wilhelmina", "other"),
        (None, "other"),
    ],
)
def test_a_type_is_logged_when_it_looks_like_one(value: str | None, shown: str) -> None:
    assert event_name(value, frozenset({"hang"})) == shown


@pytest.mark.parametrize(
    ("peer", "written", "trusted", "expected"),
    [
        ("10.0.0.1", "9.9.9.9", "", "10.0.0.1"),
        ("10.0.0.1", "1.1.1.1, 9.9.9.9", "x-forwarded-for", "9.9.9.9"),
        ("10.0.0.1", "nonsense", "x-forwarded-for", "10.0.0.1"),
        ("2001:db8:1:2:3::4", "", "", "2001:db8:1:2::"),
        ("::ffff:9.9.9.9", "", "", "9.9.9.9"),
        ("::1", "", "", "::1"),
    ],
)
def test_whose_address_counts(peer: str, written: str, trusted: str, expected: str) -> None:
    assert source_of(peer, {"x-forwarded-for": written} if written else {}, trusted) == expected


def test_an_old_answer_is_called_stale() -> None:
    assert status_of(_outcome(track.LookupOutcome(track.FOUND, "", {"age_s": 60}))) == "stale"
    assert status_of(_outcome(track.LookupOutcome(track.FOUND, ""))) == "success"
    assert status_of(_outcome(track.LookupOutcome("SOMETHING_NEW", ""))) == "error"
    assert status_of(Outcome("OK", "")) == "success" and status_of(Outcome("NO", "", is_error=True)) == "error"


class TestSettings:
    """What the webhook server can't be started with."""

    def test_all_faults_are_named_at_once(self) -> None:
        with pytest.raises(SettingsError) as caught:
            load_settings(
                shipments="sanity",
                sanity_dataset="Big One",
                sanity_token="a b",
                sanity_api_version="v1",
                webhook_host="0.0.0.0",
                internal_port=8001,
                vapi_hmac_payload_format="{timestamp}",
                vapi_hmac_header="x y",
                vapi_hmac_encoding="octal",
                vapi_tools=" , ",
            )
        named = {line.strip().partition(":")[0] for line in caught.value.message.splitlines()[1:]}
        assert named == {
            "AVB_SANITY_PROJECT_ID", "AVB_SANITY_DATASET", "AVB_SANITY_TOKEN", "AVB_SANITY_API_VERSION", "AVB_VAPI_SECRETS",
            "AVB_INTERNAL_PORT", "AVB_VAPI_HMAC_PAYLOAD_FORMAT", "AVB_VAPI_HMAC_HEADER", "AVB_VAPI_HMAC_ENCODING",
            "AVB_VAPI_TOOLS",
        }  # fmt: skip

    @pytest.mark.parametrize("name", ["vapi_secrets", "vapi_bearer_tokens", "vapi_hmac_secret"])
    def test_any_credential_opens_the_outside(self, name: str) -> None:
        assert load_settings(webhook_host="0.0.0.0", **{name: "hush"}).webhook_host == "0.0.0.0"

    def test_a_key_in_base64_must_be_so(self) -> None:
        with pytest.raises(SettingsError, match="AVB_VAPI_HMAC_SECRET is not base64"):
            load_settings(vapi_hmac_secret="not base64!", vapi_hmac_secret_is_base64=True)

    def test_no_secret_is_printed(self) -> None:
        names = ("vapi_secrets", "vapi_bearer_tokens", "vapi_hmac_secret", "retell_api_key", "sanity_token")
        assert "hush" not in repr(load_settings(**dict.fromkeys((*names, "sanity_webhook_secret"), "hush")))


@pytest.mark.requirement("A18", "B4.4-4.6")
def test_the_example_of_all_settings_is_made_from_the_code() -> None:
    named = (ROOT / ".env.example").read_text()
    assert named == example(DELIVERY), "python -m agentvoicebox.kits.env_example > .env.example"
    variables = re.findall(r"^# (AVB_[A-Z0-9_]+)=", named, re.MULTILINE)
    assert sorted(variables) == sorted(f"AVB_{name.upper()}" for name in settings_class(DELIVERY).model_fields)


@pytest.mark.requirement("A18", "B4.4-4.6")
def test_the_guide_names_each_setting_of_the_webhook_server_and_the_delivery_kit() -> None:
    guide = (ROOT / "docs" / "webhooks.md").read_text()
    for name in (*WebhookSettings.model_fields, *DeliverySettings.model_fields):
        assert f"AVB_{name.upper()}" in guide, name
