"""Authorization policy, usage limits, and the proxy in front of the ports."""

from pydantic import BaseModel, Field, ValidationInfo, field_validator

from agentvoicebox.settings.values import HEADER_NAME, with_scheme


class AccessSettings(BaseModel):
    """Authorization policy, usage limits, and the proxy in front of the ports.

    Attributes:
        policy_dir: folder of the Rego files that decide what an authenticated key may do. Empty: the built-in rules.
        opa_url: address of an OPA server that decides instead (`http://127.0.0.1:8181`). Empty: the rules are evaluated in
            the process.
        opa_token: bearer token for that server. Empty: none is sent.
        limit_tenant_requests: maximum requests of a tenant a minute, over all gateways: client events, REST requests and
            started seconds of caller audio. 0: no limit. `agentvoicebox keys limit` sets other limits for one tenant.
        limit_tenant_tokens: maximum tokens of a tenant a minute, over all gateways: those of responses, speech and
            transcripts. 0: no limit.
        limit_tenant_sessions: maximum open sessions of a tenant, over all gateways. 0: no limit. Empty: half of AVB_MAX_CALLS
            times AVB_GATEWAYS where AVB_API_KEYS has keys, else no limit.
        limit_key_requests: maximum requests of a key a minute. 0: no limit besides the tenant's.
        limit_key_tokens: maximum tokens of a key a minute. 0: no limit besides the tenant's.
        limit_key_sessions: maximum open sessions of a key. 0: no limit besides the tenant's.
        limit_all_requests: maximum requests of all tenants together a minute. 0: no limit.
        limit_all_tokens: maximum tokens of all tenants together a minute. 0: no limit.
        limit_connections: maximum TCP connections of one gateway; beyond it, the connections that have waited longest for
            admission are closed.
        limit_connections_per_source: maximum connections of one address that wait for admission. 0, or with a trusted proxy:
            no limit.
        limit_unadmitted_requests: requests and upgrades a second, at one gateway, of all clients that have not shown a valid
            key on their connection. Further ones wait; the source with the fewest is next. 0: no limit.
        limit_call_frames: WebSocket frames a second that are read from one call; further ones wait. 0: no limit.
        limit_call_events: client events a second that are read from one call; further ones wait. Audio is not counted, and a
            `response.create` counts as twenty. 0: no limit.
        limit_call_speech: seconds of speech a second that are synthesised for one call, eight times as many at once; further
            text waits. 0: no limit.
        limit_tenant_rate: REST requests a second of one tenant at one gateway, twice as many at once; further ones wait.
            0: no limit.
        limit_wrong_credentials: maximum invalid or missing credentials a minute of one source, at each gateway and webhook
            server; further ones get a 429. A source is an IPv4 address or an IPv6 /64. 0: no limit.
        trusted_proxy_header: header to which your own proxy appends the sender's address, such as `X-Forwarded-For`. Empty:
            no proxy.
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
    limit_call_speech: float = Field(default=1.5, ge=0)  # a caller hears one second in a second
    limit_tenant_rate: float = Field(default=40, ge=0)
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
