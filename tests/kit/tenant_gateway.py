"""A gateway over a database with tenants: creates keys, and clients that use them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from openai import AsyncOpenAI

from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.clock import ManualClock
from agentvoicebox.gateway.admission.admission_control import AdmissionConfig
from agentvoicebox.gateway.admission.limit_config import LimitConfig
from agentvoicebox.gateway.state import RecordStores
from agentvoicebox.ports.policy import Policy
from agentvoicebox.storage.call_audio import CallAudioReader
from agentvoicebox.storage.history import History
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.storage.usage import UsageReader
from agentvoicebox.tenancy.api_keys import ApiKeys
from agentvoicebox.tenancy.key_format import NewKey, new_key
from tests.kit.described_answers import described_answers
from tests.kit.gateway import Gateway, gateway
from tests.kit.waiting import PATIENCE_S

CONFIGURED = "a-configured-key"


def bearer(key: str) -> dict[str, str]:
    """The header with a key."""
    return {"Authorization": f"Bearer {key}"}


def as_key(key: str) -> dict[str, Any]:
    """Options of a connection with a key."""
    return {"additional_headers": bearer(key)}


class TenantGateway:
    """The gateway, its keys and its clock.

    Attributes:
        served: the gateway; it checks its sessions' accounts every 20 ms.
        keys: the tenants' keys.
        clock: by which keys end, and what is known of tenants grows old; the calls' own is the system's.
    """

    def __init__(self, served: Gateway, keys: ApiKeys, clock: ManualClock) -> None:
        self.served = served
        self.keys = keys
        self.clock = clock

    async def key(self, tenant: str = "acme") -> NewKey:
        """A new key of a tenant."""
        key = new_key()
        await self.keys.create(tenant, key)
        return key

    def url(self, query: str = "model=delivery") -> str:
        """Address of the Realtime socket."""
        return self.served.url(query)

    def openai(self, key: str) -> AsyncOpenAI:
        """The official client."""
        return AsyncOpenAI(api_key=key, base_url=f"http://127.0.0.1:{self.served.port}/v1", max_retries=0)

    def http(self, key: str) -> httpx.AsyncClient:
        """An HTTP client for the REST routes."""
        base, hooks = f"http://127.0.0.1:{self.served.port}", described_answers()
        return httpx.AsyncClient(base_url=base, headers=bearer(key), event_hooks=hooks)


@asynccontextmanager
async def tenant_gateway(
    broker: RedisBroker,
    postgres: Postgres,
    clock: ManualClock,
    *,
    limits: LimitConfig | None = None,
    policy: Policy | None = None,
    recheck_s: float = 0.02,
    wait_s: float = PATIENCE_S,
) -> AsyncIterator[TenantGateway]:
    """A town; by default without limits, under the shipped rules."""
    admission = AdmissionConfig(
        (CONFIGURED,), limits or LimitConfig(), recheck_s=recheck_s, wait_s=wait_s, wrong_credentials=0
    )
    records = RecordStores(postgres, History(postgres), UsageReader(postgres), audio=CallAudioReader(postgres))
    async with gateway(
        broker, admission=admission, postgres=postgres, policy=policy, clock=clock, records=records
    ) as served:
        yield TenantGateway(served, ApiKeys(postgres, clock=clock), clock)
