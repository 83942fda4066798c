"""Authorization policy, usage limits, and the proxy in front of the ports."""

from pydantic import BaseModel, Field, ValidationInfo, field_validator

from agentvoicebox.settings.values import HEADER_NAME, with_scheme


class AccessSettings(BaseModel):
    """Authorization policy, usage limits, and the proxy in front of the ports.

    Attributes:
        policy_dir: folder of the Rego files that decide what an authenticated key may do; empty: the built-in rules.
        opa_url: OPA server that decides instead (`http://127.0.0.1:8181`); empty: the rules are evaluated in the process.
        opa_token: bearer token for that server; empty: none is sent.
        limit_tenant_requests, limit_tenant_tokens: most requests and tokens of a tenant a minute, over all gateways. Requests are
            client events, REST requests and started seconds of caller audio; tokens are those of responses. 0: no limit.
            `agentvoicebox keys limit` sets other limits for one tenant.
        limit_tenant_sessions: most open sessions of a tenant, over all gateways; 0: no limit; empty: half of AVB_MAX_CALLS times
            AVB_GATEWAYS where AVB_API_KEYS has keys, else no limit.
        limit_key_requests, limit_key_tokens, limit_key_sessions: the same for each key.
        limit_all_requests, limit_all_tokens: the same for all tenants together.
        limit_connections: most TCP connections of one gateway; beyond it those that wait longest for admission are closed.
        limit_connections_per_source: most of one address that wait for admission; 0, or with a trusted proxy: no limit.
        limit_unadmitted_requests: requests and upgrades a second, at one gateway, of all clients that have shown no good key on
            their connection; more wait, the source with the fewest first. 0: no limit.
        limit_call_frames: WebSocket frames a second that one call is read; more wait. 0: no limit.
        limit_call_events: client events a second that one call is read; more wait. Audio is not counted, and a
            `response.create` counts as ten. 0: no limit.
        limit_wrong_credentials: most wrong or missing credentials a minute of one source, at each gateway and webhook server;
            further ones get a 429. A source is an IPv4 address or an IPv6 /64. 0: no limit.
        trusted_proxy_header: header to which the operator's proxy appends the sender's address; empty: no such proxy.
    """

    policy_dir: str = ""
    opa_url: str = ""
    opa_token: str = Field(default="", repr=False)
    # A live call makes about 90 requests a minute, so this allows about 600 calls of a tenant at a time.
    limit_tenant_requests: int = Field(default=60_000, ge=0)
    limit_tenant_tokens: int = Field(default=10_000_000, ge=0)
    limit_tenant_sessions: int | None = Field(default=None, ge=0)
    limit_key_requests: int = Field(default=0, ge=0)
    limit_key_tokens: int = Field(default=0, ge=0)
    limit_key_sessions: int = Field(default=0, ge=0)
    limit_all_requests: int = Field(default=0, ge=0)
    limit_all_tokens: int = Field(default=0, ge=0)
    limit_connections: int = Field(default=4_096, ge=16)
    limit_connections_per_source: int = Field(default=256, ge=0)
    limit_unadmitted_requests: int = Field(default=50, ge=0)  # a millisecond or more each
    limit_call_frames: int = Field(default=400, ge=0)  # 20 ms of audio a frame are 50
    limit_call_events: int = Field(default=100, ge=0)
    limit_wrong_credentials: int = Field(default=30, ge=0, le=1_000_000)
    trusted_proxy_header: str = ""

    @field_validator("trusted_proxy_header")
    @classmethod
    def _proxy_header_is_a_name(cls, value: str) -> str:
        if value and not HEADER_NAME.fullmatch(value):
            raise ValueError("should be the name of a header, for example X-Forwarded-For")
        return value

    @field_validator("opa_url")
    @classmethod
    def _policy_has_one_source(cls, value: str, info: ValidationInfo) -> str:
        if value and info.data.get("policy_dir"):
            raise ValueError("an OPA server reads its own files, so set this or AVB_POLICY_DIR, not both")
        return with_scheme(value, ("http://", "https://"))
