"""Verifies Sanity's webhook and reads which parcels have changed. Pure.

Header: `sanity-webhook-signature: t=<epoch ms>,v1=<base64url without padding of HMAC-SHA256 over "<t>.<body>">`.
"""

import base64
import hashlib
import hmac
from typing import Any

import msgspec

from agentvoicebox.errors import BadCredentials, InvalidEvent
from agentvoicebox_delivery.numbers.tracking import is_tracking_id, normalize

HEADER = "sanity-webhook-signature"
WINDOW_S = 300.0
ID_FIELDS = ("trackingId", "trackingIdNorm")


def sign(body: bytes, secret: str, *, wall_s: float) -> str:
    """The value of the signature header, as Sanity computes it."""
    at_ms = str(round(wall_s * 1000))
    return f"t={at_ms},v1={_signature(at_ms.encode(), body, secret)}"


def changed_ids(body: bytes, signature: str | None, secret: str, *, wall_s: float) -> list[str]:
    """The normalised tracking ids of the changed parcels; [] if they are unknown: then all parcels may have changed.

    Args:
        body: raw bytes.
        signature: value of the signature header; None if it is missing.
        secret: of the webhook; must not be empty.
        wall_s: the current Unix time.

    Raises:
        BadCredentials: the signature is wrong, or more than 5 minutes from now.
        InvalidEvent: the signature is right, but the body is not a JSON object.
    """
    _verify(body, signature, secret, wall_s)
    try:
        change = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidEvent("the webhook's body is not valid JSON") from error
    if not isinstance(change, dict):
        raise InvalidEvent("the webhook's body is not an object")
    # A projection may send the document itself, or the document before and after the change.
    documents = [each for each in (change, change.get("before"), change.get("after")) if isinstance(each, dict)]
    ids = dict.fromkeys(_id(each.get(name)) for each in documents for name in ID_FIELDS)
    return [each for each in ids if each]


def _verify(body: bytes, signature: str | None, secret: str, wall_s: float) -> None:
    if not secret:
        raise BadCredentials("no secret is set for Sanity's webhook, so all requests are refused")
    parts = dict(part.strip().partition("=")[::2] for part in (signature or "").split(","))
    at_ms, given = parts.get("t", ""), parts.get("v1", "")
    # Compared as bytes: a header may contain any character.
    is_ours = hmac.compare_digest(_signature(at_ms.encode(), body, secret).encode(), given.encode())
    if not (is_ours and at_ms.isascii() and at_ms.isdigit()):
        raise BadCredentials("the webhook's signature is wrong")
    if abs(wall_s - int(at_ms) / 1000) > WINDOW_S:
        raise BadCredentials("the webhook was signed too long ago")


def _signature(at_ms: bytes, body: bytes, secret: str) -> str:
    digest = hmac.new(secret.encode(), at_ms + b"." + body, hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _id(written: Any) -> str:
    normal = normalize(written) if isinstance(written, str) else ""
    return normal if is_tracking_id(normal) else ""
