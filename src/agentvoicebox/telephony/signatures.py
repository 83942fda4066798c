"""Who may open a telephone line: Twilio's signature, or a token.

Twilio signs the address that it calls, followed by the form's names and values in the order of the names, with HMAC-SHA1 and the
account's auth token (its page on request validation). A WebSocket's upgrade is signed in the same way, without a form. Twilio
signs some requests with the address's port and some without it, as its own library says, so both are accepted.
"""

import base64
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

SIGNATURE_HEADER = "x-twilio-signature"
PORTS = {"https": 443, "wss": 443, "http": 80, "ws": 80}


def twilio_signature(auth_token: str, url: str, form: Iterable[tuple[str, str]] = ()) -> str:
    """The signature of a request to `url` with these fields."""
    text = url + "".join(f"{name}{value}" for name, value in sorted(set(form)))
    digest = hmac.new(auth_token.encode(), text.encode(), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()


def with_and_without_port(url: str) -> list[str]:
    """The two forms of an address that may have been signed."""
    parts = urlsplit(url)
    bare = parts.netloc if parts.port is None else parts.netloc.removesuffix(f":{parts.port}")
    place = f"{bare}:{parts.port or PORTS.get(parts.scheme, 80)}"
    return [url.replace(f"://{parts.netloc}", f"://{netloc}", 1) for netloc in (bare, place)]


def is_from_twilio(auth_token: str, urls: Iterable[str], given: str, form: Iterable[tuple[str, str]] = ()) -> bool:
    """Whether `given` signs the request under one of its addresses, with or without the port."""
    fields = list(form)
    matches = [
        hmac.compare_digest(twilio_signature(auth_token, each, fields).encode(), given.encode("utf-8", "replace"))
        for url in urls
        for each in with_and_without_port(url)
    ]
    return any(matches)


def shows_token(token: str, headers: Mapping[str, str], query: Mapping[str, str]) -> bool:
    """Whether a request shows the token: as a bearer token, as the password of basic authentication, or in its query."""
    scheme, _, value = headers.get("authorization", "").partition(" ")
    shown = [query.get("token", "")]
    if scheme.lower() == "bearer":
        shown.append(value.strip())
    elif scheme.lower() == "basic":
        shown.append(_password(value))
    return any([hmac.compare_digest(each.encode("utf-8", "replace"), token.encode()) for each in shown])


def _password(value: str) -> str:
    try:
        return base64.b64decode(value, validate=True).decode().partition(":")[2]
    except ValueError:
        return ""
