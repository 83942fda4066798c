"""The options of a call, the socket's URL, and one attempt to connect. The call itself is in `caller`."""

import ssl
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from websockets.asyncio.client import ClientConnection, connect

from agentvoicebox.errors import InfrastructureError

CLOSE_TIMEOUT_S = 2.0
MAX_FRAME_BYTES = 24 * 1024 * 1024  # `conversation.item.retrieved` carries audio


class CallFailed(InfrastructureError):
    """The call could not be made. The message says what to do."""

    code = "call_failed"
    retryable = False


class CallDeferred(CallFailed):
    """The server takes no calls now, but may later."""

    retryable = True


class CallUnreachable(CallFailed):
    """No Realtime server answers at the address."""


DEFAULT_MODEL = "gpt-realtime"  # every server answers it with its default agent


@dataclass(frozen=True)
class CallOptions:
    """The server to call, and how.

    Attributes:
        base_url: as given to an OpenAI client (`http://127.0.0.1:8000/v1`), or the socket's own URL.
        api_key: any text for a server on loopback without keys; empty: none is shown.
        model: the agent; OpenAI's own model names stand for the server's default agent.
        audio: format on the wire, both ways.
        session: further fields of the first `session.update`, replacing ours at the top level.
        reply_timeout_s: how long a reply may take before the turn counts as unanswered.
        resumes: reconnect when the connection breaks.
        other_urls: further servers for reconnecting, tried in turn.
        sends_audio: send the caller's side frame by frame in real time; without it, lines can only be written.
        ca_file: PEM file of a certificate to trust beside the system's; empty: none.
        headers: further headers of the upgrade.
    """

    base_url: str = "http://127.0.0.1:8000/v1"
    api_key: str = "local"
    model: str = DEFAULT_MODEL
    audio: Literal["pcm", "pcmu", "pcma"] = "pcm"
    session: dict[str, Any] = field(default_factory=dict)
    wants_trace: bool = True
    reply_timeout_s: float = 30.0
    resumes: bool = True
    other_urls: tuple[str, ...] = ()
    sends_audio: bool = True
    ca_file: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


def in_turn(urls: Sequence[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each URL, with the others in the order in which they follow it."""
    for index, url in enumerate(urls):
        yield url, (*urls[index + 1 :], *urls[:index])


def socket_url(base_url: str, model: str, *, wants_trace: bool, **more: str) -> str:
    """The socket's URL for a base URL as OpenAI clients use it; `more` is added to its query.

    Raises:
        CallFailed: it is not an http(s) or ws(s) URL.
    """
    parts = urlsplit(base_url if "://" in base_url else f"http://{base_url}")
    scheme = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}.get(parts.scheme)
    if scheme is None or not parts.netloc:
        raise CallFailed(f"{base_url!r} is not a server address; an example is http://127.0.0.1:8000/v1")
    path = parts.path.rstrip("/")
    if not path.endswith("/realtime"):
        path = f"{path or '/v1'}/realtime"
    query = dict(parse_qsl(parts.query))
    query.setdefault("model", model)
    if wants_trace:
        query["trace"] = "1"
    return urlunsplit((scheme, parts.netloc, path, urlencode(query | more), ""))


def _trusting(ca_file: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca_file:
        try:
            context.load_verify_locations(ca_file)
        except OSError as error:  # ssl.SSLError is one
            raise CallFailed(f"--ca: {ca_file} can't be read as a certificate in PEM: {error}") from error
    return context


async def connect_to(url: str, options: CallOptions, timeout_s: float) -> ClientConnection:
    """A connection to the socket's URL.

    Raises:
        CallFailed: the certificate to trust can't be read. OSError, InvalidHandshake, InvalidURI, TimeoutError: no connection.
    """
    authorization = {"Authorization": f"Bearer {options.api_key}"} if options.api_key else {}
    return await connect(
        url,
        ssl=_trusting(options.ca_file) if url.startswith("wss:") else None,
        additional_headers={**options.headers, **authorization},
        max_size=MAX_FRAME_BYTES,
        open_timeout=timeout_s,
        close_timeout=CLOSE_TIMEOUT_S,
        compression=None,
        proxy=None,
    )
