"""A server without keys is for this machine alone: decides which requests can only have come from here.

A connection from a loopback address is not enough: any web page can make its visitor's browser send one, and a proxy or tunnel
forwards strangers. So the request must name a loopback host (a rebound name is none), come from no page or from one of this
machine, and through no proxy.
"""

from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

import msgspec
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from agentvoicebox.http_server.refusal import send_refusal
from agentvoicebox.loopback import is_loopback

PROXY_HEADERS = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "cf-connecting-ip", "via")
ONLY_HERE = "This server has no keys, so it is for this machine alone"
FIX = "set AVB_API_KEYS and show a key"


class Foreign(msgspec.Struct, frozen=True):
    """Why a request may have come from elsewhere. `code` is the error's."""

    code: str
    message: str


class LocalOnly:
    """ASGI middleware that answers requests from elsewhere with 403, before anything else sees them.

    Args:
        app: what it protects.
        is_exempt: whether a request is judged by something better, such as a key that it shows.
        checks_host: whether the request must name a loopback host; False for a port that is meant to be reached from outside.
    """

    def __init__(
        self, app: ASGIApp, *, is_exempt: Callable[[Mapping[str, str]], bool] | None = None, checks_host: bool = True
    ) -> None:
        self._app = app
        self._is_exempt = is_exempt
        self._checks_host = checks_host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        headers = Headers(scope=scope)
        if self._is_exempt is not None and self._is_exempt(headers):
            await self._app(scope, receive, send)
            return
        foreign = find_foreign(headers, checks_host=self._checks_host)
        if foreign is None:
            await self._app(scope, receive, send)
        else:
            await send_refusal(scope, send, 403, foreign.code, foreign.message)


def find_foreign(headers: Mapping[str, str], *, checks_host: bool = True) -> Foreign | None:
    """What says that a request is not from this machine; None when nothing does. Header names are lower case."""
    origin = headers.get("origin")
    if origin is not None and not _is_local_page(origin):
        return Foreign(
            "origin_not_allowed", f"{ONLY_HERE}: pages of {origin[:100]!r} may not call it. To allow it, {FIX}."
        )
    host = headers.get("host", "")
    if checks_host and not is_loopback(_host_name(host)):
        return Foreign("host_not_allowed", f"{ONLY_HERE}: call it as localhost, not as {host[:100]!r}, or {FIX}.")
    proxy = next((name for name in PROXY_HEADERS if name in headers), None)
    if checks_host and proxy is not None:
        return Foreign("proxy_not_allowed", f"{ONLY_HERE}: a request with {proxy} came through a proxy; {FIX}.")
    return None


def _is_local_page(origin: str) -> bool:
    """Whether an Origin header names a page that this machine serves. `null`, files and what is no origin are not."""
    try:
        parsed = urlsplit(origin)
        _ = parsed.port  # raises for a port that is no number
    except ValueError:
        return False
    return parsed.scheme in ("http", "https") and is_loopback(parsed.hostname or "")


def _host_name(host: str) -> str:
    """The name or address in a Host header; empty when it is malformed."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
