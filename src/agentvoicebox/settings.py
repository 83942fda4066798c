"""Every setting of the system: its name, its default, what it may be. Read once, at start, from `AVB_…` variables.

Decides what a good set of settings is and names all faults at once, so that nobody mends them one start at a time.
Leaves what a setting does to whoever reads it; adapters never see this class, they take plain constructor arguments.
"""

import base64
import difflib
import ipaddress
import os
import re
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from agentvoicebox.errors import SettingsError

PREFIX = "AVB_"
NEAR_ENOUGH = 0.6  # difflib's own default cutoff: one or two wrong letters in a name of eight
REDIS_SCHEMES = ("redis://", "rediss://", "unix://", "redis+cluster://", "rediss+cluster://")
POSTGRES_SCHEMES = ("postgresql://", "postgres://")
SERVER_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
KEY_BYTES = 32  # AES-256
HEADER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")


DEFAULT_TENANT = "default"  # whose callers and parcels they are while no tenants are set up


class Settings(BaseSettings):
    """The settings of one deployment; every process of it reads the same.

    Attributes:
        redis_url: Valkey, or Redis 7.2 or later (`redis://…`, `rediss://…`, `unix://…`; a cluster: `redis+cluster://host:port,host:port`,
            `rediss+cluster://…`); empty: an embedded server.
        postgres_url: PostgreSQL 15 or later (`postgresql://…`); empty: an embedded server.
        data_dir: where embedded servers, recordings and caches live.
        host: address the gateway listens on; anything but loopback needs `api_keys`.
        port: 0 to 65535; 0 lets the system choose.
        api_keys: comma-separated bearer keys; empty is allowed on loopback alone, where any key is let in.
        policy_dir: folder of Rego files that say what an admitted key may do; empty: the built-in rules.
        opa_url: OPA server that decides instead (`http://127.0.0.1:8181`); empty: the rules are evaluated here.
        opa_token: bearer token for that server; empty: none is sent.
        agents_dir: folder of the user's own agent files; empty: only the built-in agents.
        default_agent: the agent that OpenAI's own model names stand for.
        stt_profile: which recogniser; `scripted` is for benchmarks.
        tts_order: comma-separated speech engines, tried from the left.
        tts_voice: voice that overrides the agents' own; empty: each agent's.
        demo_data: put the demo parcels (PKG004 and its siblings) into the embedded PostgreSQL's catalogue at each start.
        record_days: days that recorded interactions (data_dir/interactions) stay readable; older files are archived (gzip).
        record_words: keep what people said and whole tracking ids in them, so that replay is exact; else they are masked.
        history_days: days that sessions and their items stay in PostgreSQL; a tenant may have its own figure.
        audit_days: days that the audit log and usage stay there.
        history_words: what becomes of people's words before they are stored there: `keep`, `mask` or `encrypt`.
        history_keys: comma-separated keys (each 32 bytes in base64) for `encrypt`; the first encrypts, all of them decrypt.
        models_dir: folder looked into before any other source of models; empty: none.
        llm_base_url, llm_api_key, llm_model: an OpenAI-compatible language model server; empty: none.
        llm_servers: comma-separated further ones, `name=https://host/v1#model`, asked in this order when those before fail.
        llm_keys: comma-separated keys of these, `name=key`.
        log_level: least severity that is written.
        log_format: `json` (one object a line) or `console` (for eyes; shows people's words, so loopback only).
        resume_s: how long a session waits for a caller whose line broke and who said that he will come back; 0: not at all.
        limit_tenant_requests, limit_tenant_tokens: what a tenant may ask for within a minute, at all gateways together: client
            events, REST requests and started seconds of caller audio; tokens of responses. 0: no limit. `agentvoicebox keys
            limit` gives one tenant figures of its own.
        limit_tenant_sessions: sessions that a tenant may have open at a time, at all gateways together; 0: no limit.
        limit_key_requests, limit_key_tokens, limit_key_sessions: the same for each key.
        limit_all_requests, limit_all_tokens: the same for all tenants together.
        gateways: gateway processes that share these limits; while the store is away each keeps to its part of them.
        max_calls: calls one gateway process admits at a time; the next is refused with 1013.
        stt_slots, tts_slots, llm_slots, tool_slots: jobs one worker process of that kind runs at a time.
        tool_secret: signs each call of an agent's own tools over HTTP; empty: calls are not signed.
        tool_private_networks: comma-separated networks (10.1.0.0/16) in which such tools may be although they are not public.
        shipments: where the hotline looks parcels up: our own PostgreSQL table, or Sanity.
        sanity_project_id, sanity_dataset, sanity_token, sanity_api_version: of Sanity; the token needs read access.
        sanity_base_url: another server that speaks Sanity's query API; empty: Sanity's own.
        sanity_webhook_secret: opens `/sanity/webhook`, which forgets what has changed; empty: closed.
        cache_ttl_s: how long an answer is as good as new; 0: not at all.
        cache_size: parcels remembered.
        webhook_host, webhook_port: the hotline's public address; anything but loopback needs one of the credentials below.
        internal_host, internal_port: its health, numbers and breaker; asks nobody who they are.
        vapi_hmac_secret: key of Vapi's HMAC credential; with `_is_base64` its bytes in that form.
        vapi_hmac_header, vapi_hmac_prefix, vapi_hmac_encoding, vapi_hmac_algorithm, vapi_hmac_payload_format,
            vapi_hmac_timestamp_header: as the credential is configured in Vapi's dashboard.
        vapi_bearer_tokens: comma-separated, for `Authorization: Bearer`.
        retell_api_key: accepts Retell's signature at `/v1/track`.
        vapi_secrets: comma-separated, for `X-Vapi-Secret`.
        vapi_tools: comma-separated names under which a dashboard may know the look-up.
        strict_422: arguments that can't be meant are a 422 instead of a result; Vapi ignores such an answer.
        webhook_source_limit: requests a minute of one source that want an answer; 0: no limit.
        webhook_tenant: whose parcels the hotline looks up.
        trusted_proxy_header: in which a proxy of ours writes the sender's address last; empty: no such proxy.
        assistant_id: who takes calls to a number without an assistant; empty: such calls are declined with a sentence.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, frozen=True, extra="forbid")

    redis_url: str = Field(default="", repr=False)  # may carry a password
    postgres_url: str = Field(default="", repr=False)
    data_dir: str = Field(default="var", min_length=1)
    host: str = Field(default="127.0.0.1", min_length=1)
    port: int = Field(default=8000, ge=0, le=65535)
    api_keys: str = Field(default="", repr=False, validate_default=True)
    policy_dir: str = ""
    opa_url: str = ""
    opa_token: str = Field(default="", repr=False)
    agents_dir: str = ""
    default_agent: str = Field(default="delivery", min_length=1)
    stt_profile: Literal["fast", "accurate", "moonshine", "faster-whisper", "scripted"] = "fast"
    tts_order: str = "piper,kokoro,espeak"
    tts_voice: str = ""
    demo_data: bool = True
    record_days: int = Field(default=30, ge=1, le=3_650)
    record_words: bool = False
    history_days: int = Field(default=90, ge=1, le=3_650)
    audit_days: int = Field(default=365, ge=1, le=3_650)
    history_words: Literal["keep", "mask", "encrypt"] = "keep"
    history_keys: str = Field(default="", repr=False, validate_default=True)  # after what it is checked together with
    models_dir: str = ""
    llm_base_url: str = ""
    llm_api_key: str = Field(default="", repr=False)
    llm_model: str = ""
    llm_servers: str = ""
    llm_keys: str = Field(default="", repr=False)
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "console"] = Field(default="json", validate_default=True)
    max_calls: int = Field(default=24, ge=1, le=10_000)  # 24: what our two-core experiment carried (requirements, A6)
    # A live call asks for some 90 requests a minute, so this is room for about 600 of a tenant's at once.
    limit_tenant_requests: int = Field(default=60_000, ge=0)
    limit_tenant_tokens: int = Field(default=10_000_000, ge=0)
    limit_tenant_sessions: int = Field(default=0, ge=0)
    limit_key_requests: int = Field(default=0, ge=0)
    limit_key_tokens: int = Field(default=0, ge=0)
    limit_key_sessions: int = Field(default=0, ge=0)
    limit_all_requests: int = Field(default=0, ge=0)
    limit_all_tokens: int = Field(default=0, ge=0)
    gateways: int = Field(default=1, ge=1, le=1_000)
    resume_s: float = Field(default=30.0, ge=0, le=600)
    stt_slots: int = Field(default=2, ge=1, le=256)
    tts_slots: int = Field(default=2, ge=1, le=256)
    llm_slots: int = Field(default=32, ge=1, le=4096)  # these wait for the network, so far more fit in one process
    tool_slots: int = Field(default=32, ge=1, le=4096)
    tool_secret: str = Field(default="", repr=False)
    tool_private_networks: str = ""
    shipments: Literal["catalogue", "sanity"] = "catalogue"
    sanity_base_url: str = ""
    sanity_project_id: str = Field(default="", validate_default=True)
    sanity_dataset: str = "production"
    sanity_token: str = Field(default="", repr=False)
    sanity_api_version: str = "2025-02-19"  # the first whose default perspective is `published`
    sanity_webhook_secret: str = Field(default="", repr=False)
    cache_ttl_s: float = Field(default=60.0, ge=0, le=3600)  # requirement B2.1
    cache_size: int = Field(default=10_000, ge=1, le=1_000_000)
    webhook_host: str = Field(default="127.0.0.1", min_length=1)
    webhook_port: int = Field(default=8001, ge=0, le=65535)
    internal_host: str = Field(default="127.0.0.1", min_length=1)
    internal_port: int = Field(default=8002, ge=0, le=65535, validate_default=True)
    vapi_hmac_secret: str = Field(default="", repr=False)
    vapi_hmac_secret_is_base64: bool = Field(default=False, validate_default=True)
    vapi_hmac_header: str = "x-signature"  # this and the next five: Vapi's own defaults
    vapi_hmac_prefix: str = ""
    vapi_hmac_encoding: Literal["hex", "base64"] = "hex"
    vapi_hmac_algorithm: Literal["sha256", "sha512", "sha1"] = "sha256"
    vapi_hmac_payload_format: str = "{timestamp}.{body}"
    vapi_hmac_timestamp_header: str = "x-timestamp"
    vapi_bearer_tokens: str = Field(default="", repr=False)
    retell_api_key: str = Field(default="", repr=False)
    vapi_secrets: str = Field(default="", repr=False, validate_default=True)  # after what it is checked together with
    vapi_tools: str = "get_delivery_status,track_shipment,track"
    strict_422: bool = False
    webhook_source_limit: int = Field(default=100, ge=0, le=1_000_000)  # requirement B4.2
    webhook_tenant: str = Field(default=DEFAULT_TENANT, min_length=1)
    trusted_proxy_header: str = ""
    assistant_id: str = ""

    @field_validator("redis_url")
    @classmethod
    def _redis_url_has_a_known_scheme(cls, value: str) -> str:
        return _with_scheme(value, REDIS_SCHEMES)

    @field_validator("postgres_url")
    @classmethod
    def _postgres_url_has_a_known_scheme(cls, value: str) -> str:
        return _with_scheme(value, POSTGRES_SCHEMES)

    @field_validator("opa_url")
    @classmethod
    def _one_place_decides(cls, value: str, info: ValidationInfo) -> str:
        if value and info.data.get("policy_dir"):
            raise ValueError("an OPA server reads its own files, so set this or AVB_POLICY_DIR, not both")
        return _with_scheme(value, ("http://", "https://"))

    @field_validator("llm_base_url")
    @classmethod
    def _llm_base_url_is_http(cls, value: str) -> str:
        return _with_scheme(value, ("http://", "https://"))

    @field_validator("llm_servers")
    @classmethod
    def _llm_servers_have_names_and_addresses(cls, value: str) -> str:
        names = ["openai", "dialogue"]
        for each in _split(value):
            name, _, address = each.partition("=")
            if not SERVER_NAME.fullmatch(name):
                raise ValueError(f"{each!r} should look like name=https://host/v1#model; a name is of a-z, 0-9 and -")
            if name in names:
                raise ValueError(f"the name {name} is taken; each server needs its own")
            if not address.startswith(("http://", "https://")) or not address.partition("#")[2]:
                raise ValueError(f"{name} should be an address and a model, like https://host/v1#model")
            names.append(name)
        return value

    @field_validator("llm_keys")
    @classmethod
    def _llm_keys_belong_to_servers(cls, value: str, info: ValidationInfo) -> str:
        servers = info.data.get("llm_servers")  # absent when it was itself at fault
        known = {each.partition("=")[0] for each in _split(servers or "")}
        for place, each in enumerate(_split(value), start=1):
            name, equals, _ = each.partition("=")
            if not equals:  # it may be a bare key: not to be repeated
                raise ValueError(f"entry {place} should look like name=key")
            if servers is not None and name not in known:
                raise ValueError(f"entry {place} names no server of AVB_LLM_SERVERS")
        return value

    @field_validator("tts_order")
    @classmethod
    def _tts_order_names_an_engine(cls, value: str) -> str:
        if not _split(value):
            raise ValueError("name at least one speech engine, for example piper,espeak")
        return value

    @field_validator("api_keys")
    @classmethod
    def _keys_guard_an_open_address(cls, value: str, info: ValidationInfo) -> str:
        host = info.data.get("host")  # absent when it was itself at fault
        if host is not None and not is_loopback(host) and not _split(value):
            raise ValueError(
                f"host {host} can be reached from outside, so give at least one key, or listen on 127.0.0.1"
            )
        return value

    @field_validator("log_format")
    @classmethod
    def _console_stays_at_home(cls, value: str, info: ValidationInfo) -> str:
        host = info.data.get("host")
        if value == "console" and host is not None and not is_loopback(host):
            raise ValueError("the console format may show callers' words; use json unless the host is loopback")
        return value

    @field_validator("history_keys")
    @classmethod
    def _history_keys_encrypt(cls, value: str, info: ValidationInfo) -> str:
        for place, key in enumerate(_split(value), start=1):
            if not _is_key(key):
                raise ValueError(f"key {place} is not {KEY_BYTES} bytes in base64; `openssl rand -base64 32` makes one")
        if info.data.get("history_words") == "encrypt" and not _split(value):
            raise ValueError("AVB_HISTORY_WORDS=encrypt needs a key; `openssl rand -base64 32` makes one")
        return value

    @field_validator("tool_private_networks")
    @classmethod
    def _networks_are_networks(cls, value: str) -> str:
        for each in _split(value):
            try:
                ipaddress.ip_network(each)
            except ValueError as error:
                raise ValueError(f"{error}; give networks like 10.1.0.0/16") from None
        return value

    @field_validator("sanity_base_url")
    @classmethod
    def _sanity_base_url_is_http(cls, value: str) -> str:
        return _with_scheme(value, ("http://", "https://"))

    @field_validator("sanity_project_id")
    @classmethod
    def _sanity_needs_a_project(cls, value: str, info: ValidationInfo) -> str:
        if value and not re.fullmatch(r"[a-z0-9][a-z0-9-]*", value):
            raise ValueError("small letters, digits and hyphens, as on sanity.io/manage")
        if not value and info.data.get("shipments") == "sanity" and not info.data.get("sanity_base_url"):
            raise ValueError("the parcels are Sanity's, so name the project, or set AVB_SHIPMENTS=catalogue")
        return value

    @field_validator("sanity_dataset")
    @classmethod
    def _sanity_dataset_is_a_name(cls, value: str) -> str:
        if not re.fullmatch(r"[a-z0-9~][a-z0-9_~-]*", value):
            raise ValueError("small letters, digits, hyphens and underscores")
        return value

    @field_validator("sanity_token")
    @classmethod
    def _sanity_token_is_whole(cls, value: str) -> str:
        if not (value.isascii() and value.isprintable()) or " " in value:
            raise ValueError("holds a character that no token has; was it copied whole?")
        return value

    @field_validator("sanity_api_version")
    @classmethod
    def _sanity_api_version_is_a_date(cls, value: str) -> str:
        if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", value):
            raise ValueError("a date like 2025-02-19")
        return value

    @field_validator("internal_port")
    @classmethod
    def _ports_differ(cls, value: int, info: ValidationInfo) -> int:
        if value and value == info.data.get("webhook_port"):
            raise ValueError("the hotline's public port has this number; the internal one needs its own")
        return value

    @field_validator("vapi_hmac_secret_is_base64")
    @classmethod
    def _hmac_secret_is_base64(cls, value: bool, info: ValidationInfo) -> bool:
        if value:
            try:
                base64.b64decode(info.data.get("vapi_hmac_secret", ""), validate=True)
            except ValueError:
                raise ValueError("AVB_VAPI_HMAC_SECRET is no base64") from None
        return value

    @field_validator("vapi_hmac_header", "vapi_hmac_timestamp_header")
    @classmethod
    def _header_is_a_name(cls, value: str) -> str:
        if not HEADER_NAME.fullmatch(value):
            raise ValueError("should be the name of a header")
        return value

    @field_validator("trusted_proxy_header")
    @classmethod
    def _proxy_header_is_a_name(cls, value: str) -> str:
        if value and not HEADER_NAME.fullmatch(value):
            raise ValueError("should be the name of a header, for example X-Forwarded-For")
        return value

    @field_validator("vapi_hmac_payload_format")
    @classmethod
    def _payload_format_signs_the_body(cls, value: str) -> str:
        places = set(re.findall(r"\{([a-z-]*)\}", value))
        if "body" not in places or not places <= {"timestamp", "body", "method", "svix-id"}:
            raise ValueError("should hold {body}; may hold {timestamp}, {method} and {svix-id}")
        return value

    @field_validator("vapi_secrets")
    @classmethod
    def _credentials_guard_the_hotline(cls, value: str, info: ValidationInfo) -> str:
        host = info.data.get("webhook_host")
        others = [info.data.get(name, "at fault") for name in ("vapi_hmac_secret", "vapi_bearer_tokens")]
        if host is not None and not is_loopback(host) and not any(_split(each) for each in (value, *others)):
            raise ValueError(
                f"the hotline's host {host} can be reached from outside, so give a secret here, in "
                "AVB_VAPI_BEARER_TOKENS or in AVB_VAPI_HMAC_SECRET, or listen on 127.0.0.1"
            )
        return value

    @field_validator("vapi_tools")
    @classmethod
    def _a_tool_has_a_name(cls, value: str) -> str:
        if not _split(value):
            raise ValueError("name at least one tool, for example get_delivery_status")
        return value

    @property
    def history_key_list(self) -> tuple[bytes, ...]:
        """The keys of encrypted records, the one that encrypts first."""
        return tuple(base64.b64decode(key) for key in _split(self.history_keys))

    @property
    def vapi_secret_list(self) -> tuple[str, ...]:
        """The shared secrets of the hotline, in order."""
        return _split(self.vapi_secrets)

    @property
    def vapi_token_list(self) -> tuple[str, ...]:
        """The bearer tokens of the hotline, in order."""
        return _split(self.vapi_bearer_tokens)

    @property
    def tool_names(self) -> tuple[str, ...]:
        """Names of the look-up at the hotline; at least one."""
        return _split(self.vapi_tools)

    @property
    def tool_networks(self) -> tuple[str, ...]:
        """Private networks that tools may be reached in."""
        return _split(self.tool_private_networks)

    @property
    def keys(self) -> tuple[str, ...]:
        """The bearer keys, in order; empty when any key is let in."""
        return _split(self.api_keys)

    @property
    def language_servers(self) -> tuple[tuple[str, str, str, str], ...]:
        """The language model servers in order of preference: (name, base URL, key, model); the first may be `openai`."""
        keys = dict(each.split("=", 1) for each in _split(self.llm_keys))
        servers = []
        if self.llm_base_url or self.llm_api_key:
            servers.append(("openai", self.llm_base_url, self.llm_api_key, self.llm_model))
        for each in _split(self.llm_servers):
            name, _, address = each.partition("=")
            base_url, _, model = address.partition("#")
            servers.append((name, base_url, keys.get(name, ""), model))
        return tuple(servers)

    @property
    def tts_engines(self) -> tuple[str, ...]:
        """Speech engines in the order of trial; at least one."""
        return _split(self.tts_order)

    @classmethod
    def load(cls, **overrides: Any) -> Self:
        """Read the process environment and check it.

        Args:
            overrides: settings by field name; they win over the environment.

        Raises:
            SettingsError: naming every fault and its mend, one a line.
        """
        known = list(cls.model_fields)
        asked = {name.upper().removeprefix(PREFIX).lower() for name in os.environ if name.upper().startswith(PREFIX)}
        faults = [f"{_variable(name)}: no such setting{_nearest(name, known)}" for name in sorted(asked - set(known))]
        settings = None
        try:
            settings = cls(**overrides)
        except ValidationError as error:
            faults.extend(_said_plainly(fault["loc"], fault["msg"], known) for fault in error.errors())
        if faults or settings is None:
            raise SettingsError("these settings need mending:\n  " + "\n  ".join(faults))
        return settings

    def to_environment(self) -> dict[str, str]:
        """The same settings as `AVB_…` variables, secrets included, for a child process. Defaults are spelled out too."""
        return {_variable(name): str(value) for name, value in self.model_dump().items()}


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host` (an address or a name; of names only `localhost` is trusted)."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _split(value: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in value.split(",") if part.strip())


def _is_key(text: str) -> bool:
    try:
        return len(base64.b64decode(text, validate=True)) == KEY_BYTES
    except ValueError:
        return False


def _with_scheme(value: str, schemes: tuple[str, ...]) -> str:
    if value and not value.startswith(schemes):
        raise ValueError(f"should start with {' or '.join(schemes)}")
    return value


def _variable(name: str) -> str:
    return PREFIX + name.upper()


def _nearest(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=NEAR_ENOUGH)
    return f"; did you mean {_variable(near[0])}?" if near else ""


def _said_plainly(location: tuple[int | str, ...], message: str, known: list[str]) -> str:
    name = ".".join(str(part) for part in location)
    hint = _nearest(name, known) if name not in known else ""
    return f"{_variable(name)}: {message.removeprefix('Value error, ')}{hint}"
