"""Sanity's webhook: only what our secret signed within five minutes may forget a parcel."""

import base64
import hashlib
import hmac

import pytest

from agentvoicebox.errors import BadCredentials, InvalidEvent
from agentvoicebox_delivery.sources.sanity_webhook import changed_ids, sign

SECRET = "s3cret"
NOW_S = 1_763_978_400.0
BODY = b'{"_id":"shipment-1","_type":"shipment","trackingId":"pkg-001"}'


def test_the_signature_is_the_documented_one() -> None:
    digest = hmac.new(b"s3cret", b"1763978400000." + BODY, hashlib.sha256).digest()
    expected = "t=1763978400000,v1=" + base64.urlsafe_b64encode(digest).decode().rstrip("=")
    assert sign(BODY, SECRET, wall_s=NOW_S) == expected


@pytest.mark.parametrize(
    ("body", "ids"),
    [
        (BODY, ["PKG001"]),
        (b'{"trackingId":"pkg 001","trackingIdNorm":"PKG001"}', ["PKG001"]),
        (b'{"before":{"trackingId":"PKG001"},"after":{"trackingId":"PKG002"}}', ["PKG001", "PKG002"]),
        (b'{"before":null,"after":{"trackingId":"PKG002"}}', ["PKG002"]),
        (b'{"_type":"carrier","name":"DHL"}', []),
        (b'{"trackingId":7}', []),
        (b'{"trackingId":"*"}', []),
    ],
)
def test_it_names_the_parcels_that_changed(body: bytes, ids: list[str]) -> None:
    assert changed_ids(body, sign(body, SECRET, wall_s=NOW_S), SECRET, wall_s=NOW_S) == ids


@pytest.mark.parametrize(
    "signature",
    [
        None,
        "",
        "t=1763978400000",
        "v1=abc",
        "t=1763978400000,v1=",
        "t=1763978400000,v1=abc",
        "t=1763978400000,v1=ünïcödé",
        "t=x,v1=y",
        ",,,=,",
        sign(BODY, "another secret", wall_s=NOW_S),
        sign(BODY + b" ", SECRET, wall_s=NOW_S),
        sign(BODY, SECRET, wall_s=NOW_S).replace("t=1763978400000", "t=1763978400001"),
        sign(BODY, SECRET, wall_s=NOW_S - 301),
        sign(BODY, SECRET, wall_s=NOW_S + 301),
    ],
)
def test_nothing_else_is_let_in(signature: str | None) -> None:
    with pytest.raises(BadCredentials):
        changed_ids(BODY, signature, SECRET, wall_s=NOW_S)


def test_without_a_secret_nobody_is_let_in() -> None:
    with pytest.raises(BadCredentials):
        changed_ids(BODY, sign(BODY, "", wall_s=NOW_S), "", wall_s=NOW_S)


def test_four_minutes_late_is_in_time() -> None:
    assert changed_ids(BODY, sign(BODY, SECRET, wall_s=NOW_S - 240), SECRET, wall_s=NOW_S) == ["PKG001"]


@pytest.mark.parametrize("body", [b"", b"[]", b"no", b"\xff", b"[" * 100_000])
def test_a_signed_body_that_is_no_object_is_an_invalid_event(body: bytes) -> None:
    with pytest.raises(InvalidEvent):
        changed_ids(body, sign(body, SECRET, wall_s=NOW_S), SECRET, wall_s=NOW_S)
