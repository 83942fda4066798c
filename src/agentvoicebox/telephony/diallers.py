"""How a provider is asked to make a call: Twilio by its REST API, Asterisk by its own (ARI).

Who answers is connected as a caller would be: at Twilio by the webhook, at Asterisk by the script of an extension.
"""

import asyncio
from typing import Any, Protocol
from urllib.parse import quote, urlencode

import httpx
import msgspec

from agentvoicebox.errors import UNREADABLE, AgentVoiceBoxError

CONNECT_S = 5.0
TIMEOUT_S = 10.0  # of a whole answer
MAX_ANSWER_BYTES = 256 * 1024
RINGS_S = 30  # then the call is given up
SENT_AS_IS = "+"  # in a number that is a part of an address


class NotDialled(AgentVoiceBoxError):
    """The provider did not begin the call, or did not say so.

    Attributes:
        status: of our answer.
    """

    def __init__(self, message: str, *, status: int, code: str) -> None:
        super().__init__(message, code=code)
        self.status = status


class Dialler(Protocol):
    """One provider's."""

    async def dial(self, number: str, agent: str) -> str:
        """Begin a call; `agent` answers for us, "" for the default one. Returns the provider's id of it.

        Raises:
            NotDialled: it was not begun, or may have been and the provider did not say so.
        """

    async def close(self) -> None:
        """Close the connections."""


class TwilioAccount(msgspec.Struct, frozen=True):
    """Who calls at Twilio. `api`: of its REST API; `voice_url`: our webhook as Twilio calls it."""

    sid: str
    auth_token: str
    number: str
    voice_url: str
    api: str = "https://api.twilio.com"

    def __repr__(self) -> str:
        return f"TwilioAccount({self.sid})"


class TwilioDialler:
    """Calls by Twilio's `Calls` resource."""

    def __init__(self, account: TwilioAccount) -> None:
        self._account = account
        self._client = _client(account.sid, account.auth_token)

    async def dial(self, number: str, agent: str) -> str:
        """See Dialler."""
        account = self._account
        query = f"?{urlencode({'agent': agent})}" if agent else ""
        form = {"To": number, "From": account.number, "Url": f"{account.voice_url}{query}", "Timeout": str(RINGS_S)}
        url = f"{account.api}/2010-04-01/Accounts/{account.sid}/Calls.json"
        answer = await _answer(self._client, "Twilio", "AVB_TWILIO_ACCOUNT_SID", url, data=form)
        return _id(answer, "sid", "Twilio")

    async def close(self) -> None:
        """See Dialler."""
        await self._client.aclose()


class AsteriskInterface(msgspec.Struct, frozen=True):
    """Asterisk's REST interface.

    Attributes:
        url, user, password: of the interface.
        channel: how Asterisk reaches a number, with `{number}` in its place.
        extension, context: of the script that connects who answered.
    """

    url: str
    user: str
    password: str
    channel: str
    extension: str
    context: str

    def __repr__(self) -> str:
        return f"AsteriskInterface({self.url})"


class AsteriskDialler:
    """Calls by Asterisk's `channels` resource."""

    def __init__(self, interface: AsteriskInterface) -> None:
        self._interface = interface
        self._client = _client(interface.user, interface.password)

    async def dial(self, number: str, agent: str) -> str:
        """See Dialler."""
        interface = self._interface
        where = {
            "endpoint": interface.channel.replace("{number}", quote(number, safe=SENT_AS_IS)),
            "extension": interface.extension,
            "context": interface.context,
            "priority": "1",
            "timeout": str(RINGS_S),
        }
        body = {"variables": {"__agent": agent}} if agent else {}
        url = f"{interface.url}/channels?{urlencode(where)}"
        return _id(await _answer(self._client, "Asterisk", "AVB_ASTERISK_ARI", url, json=body), "id", "Asterisk")

    async def close(self) -> None:
        """See Dialler."""
        await self._client.aclose()


def _client(user: str, password: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        auth=httpx.BasicAuth(user, password),
        headers={"accept-encoding": "identity"},
        timeout=httpx.Timeout(None, connect=CONNECT_S),  # httpx's own count each read separately: see _answer
        follow_redirects=False,
        trust_env=False,
    )


async def _answer(client: httpx.AsyncClient, provider: str, setting: str, url: str, **body: Any) -> dict[str, Any]:
    """The JSON object that a provider answers a POST with. Nothing is tried twice: it may have begun to call."""
    data = b""
    try:
        async with asyncio.timeout(TIMEOUT_S), client.stream("POST", url, **body) as response:
            async for piece in response.aiter_raw():
                data += piece
                if len(data) > MAX_ANSWER_BYTES:
                    raise NotDialled(f"{provider}'s answer is too long.", status=502, code="provider_failed")
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        message = f"{provider} can't be reached ({type(error).__name__}); see {setting}."
        raise NotDialled(message, status=503, code="provider_unavailable") from error
    except (httpx.HTTPError, TimeoutError) as error:
        message = f"{provider} did not answer in full ({type(error).__name__}); it may have begun the call."
        raise NotDialled(message, status=502, code="provider_failed") from error
    try:
        found = msgspec.json.decode(data) if data else {}
    except UNREADABLE:
        found = None
    if response.is_success and isinstance(found, dict):
        return found
    said = str(found.get("message") or found.get("error") or "") if isinstance(found, dict) else ""
    code = "provider_unauthorized" if response.status_code in (401, 403) else "provider_refused"
    hint = f" Check {setting}." if code == "provider_unauthorized" else ""
    raise NotDialled(f"{provider} answered {response.status_code}. {said[:200]}{hint}".strip(), status=502, code=code)


def _id(answer: dict[str, Any], field: str, provider: str) -> str:
    found = answer.get(field)
    if not isinstance(found, str) or not found:
        raise NotDialled(f"{provider} named no call; it may have begun one.", status=502, code="provider_failed")
    return found[:200]
