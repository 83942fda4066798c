"""The answer of `GET /v1/admin/status`; the OpenAPI document is generated from it."""

from typing import Any, Literal

from pydantic import BaseModel, Field

from agentvoicebox.broker.store_health import WorkerPool
from agentvoicebox.gateway.admission.limit_config import LimitConfig
from agentvoicebox.limits.allowance import Allowance, LimitState
from agentvoicebox.ports.broker import Workload
from agentvoicebox.sessions.gateways import GatewayLine


class GatewayBody(BaseModel):
    """A gateway."""

    id: str
    version: str
    calls: int
    max_calls: int
    is_draining: bool = Field(description="It takes no more calls.")
    heartbeat_at: float = Field(description="Its last heartbeat (seconds since 1970, the store's clock), every 10 s.")

    @classmethod
    def of(cls, line: GatewayLine) -> "GatewayBody":
        """From the stored form."""
        return cls(
            id=line.gateway_id,
            version=line.version,
            calls=line.calls,
            max_calls=line.max_calls,
            is_draining=line.is_draining,
            heartbeat_at=round(line.at_s, 3),
        )


class ReadinessBody(BaseModel):
    """Whether this gateway takes calls, as `/ready` of its internal port says."""

    status: Literal["ready", "degraded", "not ready", "leaving"]
    dependencies: dict[str, dict[str, Any]] = Field(description="The store, and the workers that a call needs.")
    degraded: list[str] = Field(description="What does not work; docs/operations.md explains each mode.")
    unavailable_agents: dict[str, str] = Field(description="Agents that can't be called, each with the reason.")
    is_busy: bool = Field(description="The workers don't keep up, so new calls are refused.")
    calls: int
    max_calls: int


class WorkBody(BaseModel):
    """Workers and jobs of one kind."""

    kind: Literal["stt", "llm", "tts", "tool", "record"]
    workers: int
    lacking: dict[str, int] = Field(
        description="Engines that workers lack (`*`: all), each with the number of workers."
    )
    queue_age_s: float = Field(description="Age of the oldest job that no worker has taken.")
    waiting: int | None = Field(description="Jobs that no worker has taken; null while the store is away.")
    running: int | None = Field(description="Jobs that workers hold.")
    dead: int | None = Field(description="Jobs that failed for good, of the last day.")

    @classmethod
    def of(cls, kind: str, pool: WorkerPool, load: Workload | None) -> "WorkBody":
        """From what is known of a kind."""
        lacking: dict[str, int] = {}
        for engines in pool.unhealthy.values():
            for engine in engines:
                lacking[engine] = lacking.get(engine, 0) + 1
        counts = {name: None if load is None else getattr(load, name) for name in ("waiting", "running", "dead")}
        known = {"workers": len(pool.alive), "lacking": lacking, "queue_age_s": round(pool.queue_age_s, 3), **counts}
        return cls.model_validate({"kind": kind, **known})


class StoreBody(BaseModel):
    """The store of open calls."""

    is_available: bool
    memory_share: float = Field(description="Used share of its memory limit; of a cluster, its fullest node's.")
    memory_level: Literal["free", "filling", "full"] = Field(description="`filling`: no new calls.")


class BreakerBody(BaseModel):
    """A breaker of this process. Those of language models and tools are the workers' own: see `lacking`."""

    name: str
    state: Literal["closed", "open", "half_open"]


class AllowanceBody(BaseModel):
    """How much may be used within a window; null: no limit."""

    requests: int | None
    tokens: int | None
    window_s: float
    sessions: int | None = Field(description="Open at a time.")

    @classmethod
    def of(cls, allowance: Allowance, sessions: int | None = None) -> "AllowanceBody":
        """From the deployment's limits."""
        return cls(requests=allowance.requests, tokens=allowance.tokens, window_s=allowance.window_s, sessions=sessions)


class UsedBody(BaseModel):
    """A limit that is counted, and what is left of it."""

    name: str
    limit: int
    remaining: int
    reset_s: float = Field(description="Until all of it is available again, should nothing more be taken.")

    @classmethod
    def of(cls, state: LimitState) -> "UsedBody":
        """From a limiter's answer."""
        reset_s = round(state.reset_s, 3)
        return cls(name=state.name, limit=state.limit, remaining=state.remaining, reset_s=reset_s)


class LimitsStatusBody(BaseModel):
    """The deployment's limits. A tenant's own are in its row (`GET /v1/admin/tenants/{id}`)."""

    all_tenants: AllowanceBody = Field(description="Of all tenants together.")
    tenant: AllowanceBody = Field(description="Of each tenant without its own.")
    key: AllowanceBody = Field(description="Of each key.")
    used: list[UsedBody] = Field(description="What all tenants together have used; empty without a common limit.")

    @classmethod
    def of(cls, config: LimitConfig, used: tuple[LimitState, ...]) -> "LimitsStatusBody":
        """From the configuration, and what is counted."""
        return cls(
            all_tenants=AllowanceBody.of(config.all_tenants),
            tenant=AllowanceBody.of(config.tenant, config.tenant_sessions),
            key=AllowanceBody.of(config.key, config.key_sessions),
            used=[UsedBody.of(each) for each in used],
        )


class SessionsBody(BaseModel):
    """Open sessions, over all gateways."""

    total: int
    by_tenant: dict[str, int] = Field(description="The tenants with the most of them.")


class StatusBody(BaseModel):
    """The state of the deployment, as this gateway sees it; at most a second old."""

    object: Literal["status"] = "status"
    at: float = Field(description="When it was read; seconds since 1970.")
    version: str
    gateway_id: str | None = Field(description="The gateway that answers.")
    readiness: ReadinessBody
    gateways: list[GatewayBody] | None = Field(description="All gateways of the store; null while it is away.")
    work: list[WorkBody]
    store: StoreBody
    degraded: list[str]
    breakers: list[BreakerBody]
    limits: LimitsStatusBody
    sessions: SessionsBody | None = Field(description="Null while the store is away.")
