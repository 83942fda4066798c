"""Which pages of other origins may read an application's answers (CORS, the Fetch standard, 3.2).

Credentials are keys in a header, never cookies, so a page can do no more with an answer than any program that has the key.
"""

from collections.abc import Callable, Collection

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

ANY = "*"
METHODS = "GET, HEAD, POST"
EXPOSED = "Retry-After, Location"
PREFLIGHT_S = "600"  # for which a browser may remember the answer


class CrossOrigin:
    """ASGI middleware.

    Args:
        app: what it serves.
        origins: that may read (`https://app.example`), or `*` for all.
        is_shared: whether these origins may read the answers of a path.
        is_public: whether every page may: where a page needs no more than its key, as at a WebSocket.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        origins: Collection[str],
        is_shared: Callable[[str], bool],
        is_public: Callable[[str], bool],
    ) -> None:
        self._app = app
        self._origins = frozenset(each.lower() for each in origins)
        self._is_shared = is_shared
        self._is_public = is_public

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        asked = Headers(scope=scope)
        allowed = self._allowed(scope["path"], asked.get("origin"))
        if not allowed:
            await self._app(scope, receive, send)
        elif scope["method"] == "OPTIONS" and "access-control-request-method" in asked:
            await _answer_preflight(send, allowed, asked.get("access-control-request-headers", ""))
        else:

            async def send_allowed(message: Message) -> None:
                if message["type"] == "http.response.start":
                    _allow(MutableHeaders(scope=message), allowed)
                await send(message)

            await self._app(scope, receive, send_allowed)

    def _allowed(self, path: str, origin: str | None) -> str:
        """The origin to allow; empty: none."""
        if origin is None:
            return ""
        if self._is_public(path) or (ANY in self._origins and self._is_shared(path)):
            return ANY
        return origin if origin.lower() in self._origins and self._is_shared(path) else ""


def _allow(headers: MutableHeaders, origin: str) -> None:
    headers["access-control-allow-origin"] = origin
    headers["access-control-expose-headers"] = EXPOSED
    if origin != ANY:
        headers.add_vary_header("Origin")


async def _answer_preflight(send: Send, origin: str, wanted: str) -> None:
    """Allow what the page asks for; header names are none of our business, so they are given back."""
    start: Message = {"type": "http.response.start", "status": 204, "headers": []}
    headers = MutableHeaders(scope=start)
    _allow(headers, origin)
    headers["access-control-allow-methods"] = METHODS
    headers["access-control-max-age"] = PREFLIGHT_S
    if wanted:
        headers["access-control-allow-headers"] = wanted
    await send(start)
    await send({"type": "http.response.body"})
