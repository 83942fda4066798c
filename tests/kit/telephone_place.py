"""A telephony server in this process, with all providers open."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from prometheus_client import CollectorRegistry

from agentvoicebox.clock import SystemClock
from agentvoicebox.http_server.serving import serving
from agentvoicebox.limits.wrong_credentials import WrongCredentials
from agentvoicebox.telephony.app import TWILIO_PATH, TelephonyAccess, TelephonyServer
from agentvoicebox.telephony.call_plan import CallPlan
from agentvoicebox.telephony.metrics import TelephonyMetrics
from agentvoicebox.telephony.outgoing_calls import OutgoingCalls
from tests.kit.telephone_line import TelephoneLine, signed, telephone_line

WRONG_CREDENTIALS = 10  # a minute
PROVIDERS = ("twilio", "telnyx", "asterisk")
URL, AUTH_TOKEN, TOKEN = "https://phone.example", "twilio-secret", "line-secret"
STREAM = f"wss://phone.example{TWILIO_PATH}"


class TelephonePlace:
    """Open providers.

    Attributes:
        port: theirs.
        metrics: of their calls.
    """

    def __init__(self, port: int, registry: CollectorRegistry) -> None:
        self.port = port
        self._registry = registry

    def count(self, name: str, **labels: str) -> float:
        """The value of a metric; 0 when it has none."""
        return self._registry.get_sample_value(name, labels) or 0.0

    async def post(self, path: str, form: dict[str, str], *, headers: dict[str, str] | None = None) -> httpx.Response:
        """A webhook of Twilio's, signed unless `headers` are given."""
        headers = signed(AUTH_TOKEN, URL + path, form) if headers is None else headers
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", trust_env=False) as client:
            return await client.post(path, data=form, headers=headers)

    async def get(self, path: str, headers: dict[str, str]) -> httpx.Response:
        """What another script asks."""
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", trust_env=False) as client:
            return await client.get(path, headers=headers)

    @asynccontextmanager
    async def line(self, provider: str) -> AsyncIterator[TelephoneLine]:
        """A line with a valid credential."""
        headers = signed(AUTH_TOKEN, STREAM) if provider == "twilio" else {"Authorization": f"Bearer {TOKEN}"}
        async with telephone_line(self.port, provider, headers=headers) as line:
            yield line


@asynccontextmanager
async def opened(
    gateways: tuple[str, ...],
    *,
    url: str = URL,
    most_calls: int = 24,
    leaving: asyncio.Event | None = None,
    wrong_credentials: int = WRONG_CREDENTIALS,
    outgoing: OutgoingCalls | None = None,
    **plan: object,
) -> AsyncIterator[TelephonePlace]:
    """A server for the duration of the block; `plan` are fields of CallPlan."""
    registry = CollectorRegistry()
    providers = TelephonyAccess(PROVIDERS, url, AUTH_TOKEN, TOKEN, transfer_to="+4930123456", most_calls=most_calls)
    server = TelephonyServer(
        providers,
        CallPlan(gateways, **plan),  # type: ignore[arg-type]
        TelephonyMetrics(registry),
        wrong_credentials=WrongCredentials(wrong_credentials),
        clock=SystemClock(),
        leaving=leaving or asyncio.Event(),
        outgoing=outgoing,
    )
    async with serving(
        server.app(), host="127.0.0.1", port=0, drain_s=2, setting="AVB_TELEPHONY_PORT", has_websockets=True
    ) as port:
        yield TelephonePlace(port, registry)
