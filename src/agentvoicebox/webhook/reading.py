"""Reads a request's body: checks content type, time and size, and decodes the JSON.

The framework's own validation is not used: it answers 422 where a voice platform must not get a 422, and signatures are made over
raw bytes.
"""

import asyncio
import json
from typing import Any, NoReturn

from fastapi import Request
from pydantic_core import from_json

from agentvoicebox.webhook.refusal import NotAccepted, unprocessable

MOST_BYTES = 2 * 1024 * 1024  # bodies contain the assistant, its prompt and the transcript: 8 kB and growing
READ_S = 5.0
DISCARDED_BYTES = 8 * MOST_BYTES  # read and discarded of a large body, so that its sender can still receive the 413
BOM = b"\xef\xbb\xbf"


async def read_body(request: Request, *, most_bytes: int = MOST_BYTES) -> bytes:
    """The raw bytes of a JSON request.

    Raises:
        NotAccepted: 415 for another content type or a compressed body, 413 if it is too long, 408 after a timeout.
        ClientDisconnect: the client closed the connection.
    """
    _check_kind(request)
    body = bytearray()
    seen = 0
    try:
        async with asyncio.timeout(READ_S):
            async for chunk in request.stream():
                seen += len(chunk)
                if seen <= most_bytes:
                    body += chunk
                elif seen > DISCARDED_BYTES:
                    break
    except TimeoutError:
        raise NotAccepted(408, "request_timeout", f"The body did not arrive within {READ_S:.0f} s.") from None
    if seen > most_bytes:
        raise NotAccepted(413, "content_too_large", f"The body is longer than {most_bytes} bytes.")
    return bytes(body)


def decode(body: bytes) -> dict[str, Any]:
    """Decode the JSON object of a body. UTF-8, with or without a byte order mark; numbers keep every digit.

    Raises:
        NotAccepted: 422; it is not JSON, nested too deeply, or not an object.
    """
    try:
        decoded = from_json(body.removeprefix(BOM), allow_inf_nan=False, cache_strings="keys")
    except ValueError as error:
        decoded = _with_halves(body.removeprefix(BOM), error)
    if not isinstance(decoded, dict):
        raise unprocessable("dict_type", ["body"], "The body must be a JSON object.")
    return decoded


def _check_kind(request: Request) -> None:
    headers = request.headers
    kind, _, parameters = headers.get("content-type", "").partition(";")
    charset = next((p.split("=", 1)[1] for p in parameters.split(";") if p.strip().lower().startswith("charset=")), "")
    if kind.strip().lower() != "application/json" or charset.strip().strip('"').lower() not in ("", "utf-8", "utf8"):
        raise NotAccepted(
            415, "unsupported_media_type", "Send application/json in UTF-8.", headers={"Accept": "application/json"}
        )
    if headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise NotAccepted(
            415, "unsupported_encoding", "Send the body uncompressed.", headers={"Accept-Encoding": "identity"}
        )


def _with_halves(body: bytes, error: ValueError) -> Any:
    """Decode JSON that contains half a surrogate pair: JavaScript writes it when a transcript is cut inside an emoji."""
    if b"\\u" not in body:
        _not_json(error)
    try:
        return json.loads(body, parse_constant=_refuse)
    except (ValueError, RecursionError):
        _not_json(error)


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not valid JSON")


def _not_json(error: ValueError) -> NoReturn:
    raise unprocessable("json_invalid", ["body"], f"The body is not valid JSON: {error}.") from None
