"""The Realtime endpoint: its address, its configured keys, its capacity, and the log."""

import re
from typing import Literal, get_args

from pydantic import BaseModel, Field, ValidationInfo, field_validator

from agentvoicebox.loopback import is_loopback
from agentvoicebox.settings.values import comma_list

UNMEASURED_CALLS = 24  # what two cores with AVX-512 carry
ORIGIN = re.compile(r"https?://[^/?#@\s]+")
LogLevel = Literal["debug", "info", "warning", "error"]
# What `service` of a log line may be: the roles, and the process that starts them.
LOGGED_SERVICES = (
    "supervisor", "gateway", "stt", "llm", "tts", "tool", "webhook", "recorder", "janitor", "events", "telephony",
    "webrtc",
)  # fmt: skip


class GatewaySettings(BaseModel):
    """The Realtime endpoint: its address, its configured keys, its capacity, and the log.

    Attributes:
        host: address on which the gateway listens; any address but loopback needs AVB_API_KEYS.
        port: TCP port of the gateway. 0: the system chooses one.
        gateway_internal_port: TCP port of health, metrics and the API's description, on AVB_INTERNAL_HOST. It checks no
            credentials. 0: the system chooses one.
        api_keys: comma-separated bearer keys. Empty only on loopback: any key is accepted then, from this machine.
        log_level: lowest severity that is logged.
        log_levels: the same for single services, such as `gateway=debug,stt=warning`; services are the roles and `supervisor`.
            Empty: AVB_LOG_LEVEL for all.
        log_format: `json` (one object a line) or `console` (for terminals; it shows words of callers, so only on loopback).
        resume_s: seconds for which a session waits for a client that lost its connection and can resume. 0: sessions can't be
            resumed.
        idle_s: seconds after which a call ends whose client has never sent an event or audio. 0: never.
        judge_interruptions: whether a caller's voice over the agent's is judged before it interrupts, so that "mm-hmm", "yeah"
            and coughs change nothing. false: 128 ms of any voice interrupt.
        gateways: number of gateway processes that share the limits; without the store each applies its part of them.
        cors_origins: comma-separated origins (`https://app.example`, or `*`) whose pages may read responses of the REST API,
            except the administration. Empty: none.
        console: whether the gateway serves its page, the console, at `/`.
        tls_cert: PEM file of the certificate with its chain; the port then speaks https: and wss: only. `agentvoicebox tls`
            makes a self-signed pair. Empty: http: and ws:.
        tls_key: PEM file of the certificate's key, without a password.
        max_calls: maximum number of calls of one gateway process at a time; further calls are refused with 1013. `auto` or empty:
            where the engines run on the same machine, as many as it carries by measurement; elsewhere 100.
        max_audio_requests: maximum number of requests to `/v1/audio` of one gateway process at a time; where AVB_API_KEYS has
            keys, half of them for one tenant. Further ones wait 10 s, then get 503 or 429. 0: none are served.
    """

    host: str = Field(default="127.0.0.1", min_length=1)
    port: int = Field(default=8000, ge=0, le=65535)
    gateway_internal_port: int = Field(default=8003, ge=0, le=65535)
    api_keys: str = Field(default="", repr=False, validate_default=True)
    cors_origins: str = ""
    console: bool = True
    tls_cert: str = ""
    tls_key: str = Field(default="", validate_default=True)  # after tls_cert, which its validator reads
    log_level: LogLevel = "info"
    log_levels: str = ""
    log_format: Literal["json", "console"] = Field(default="json", validate_default=True)
    max_calls: int | None = Field(default=None, ge=1, le=10_000)
    max_audio_requests: int = Field(default=3, ge=0, le=1_000)
    gateways: int = Field(default=1, ge=1, le=1_000)
    resume_s: float = Field(default=30.0, ge=0, le=600)
    idle_s: float = Field(default=60.0, ge=0, le=3_600)
    judge_interruptions: bool = True

    @field_validator("max_calls", mode="before")
    @classmethod
    def _auto_is_empty(cls, value: object) -> object:
        return None if value == "auto" else value

    @field_validator("api_keys")
    @classmethod
    def _public_address_needs_keys(cls, value: str, info: ValidationInfo) -> str:
        host = info.data.get("host")  # absent when it was itself invalid
        if host is not None and not is_loopback(host) and not comma_list(value):
            raise ValueError(
                f"host {host} can be reached from outside, so give at least one key, or listen on 127.0.0.1"
            )
        return value

    @field_validator("cors_origins")
    @classmethod
    def _origins_are_origins(cls, value: str) -> str:
        for each in comma_list(value):
            if each != "*" and not ORIGIN.fullmatch(each):
                raise ValueError(
                    f"{each!r} should look like https://app.example or http://localhost:3000, without a path"
                )
        return value

    @field_validator("tls_key")
    @classmethod
    def _certificate_has_a_key(cls, value: str, info: ValidationInfo) -> str:
        if bool(value) != bool(info.data.get("tls_cert")):
            raise ValueError("AVB_TLS_CERT and AVB_TLS_KEY belong together: set both, or none")
        return value

    @field_validator("log_levels")
    @classmethod
    def _levels_are_of_services(cls, value: str) -> str:
        for each in comma_list(value):
            service, mark, level = each.partition("=")
            if not mark:
                raise ValueError(f"{each!r} should look like gateway=debug")
            if service not in LOGGED_SERVICES:
                raise ValueError(f"there is no service {service!r}; there are {', '.join(LOGGED_SERVICES)}")
            if level not in get_args(LogLevel):
                raise ValueError(f"{level!r} of {service} should be {', '.join(get_args(LogLevel))}")
        return value

    @field_validator("log_format")
    @classmethod
    def _console_needs_loopback(cls, value: str, info: ValidationInfo) -> str:
        host = info.data.get("host")
        if value == "console" and host is not None and not is_loopback(host):
            raise ValueError("the console format may show callers' words; use json unless the host is loopback")
        return value

    def log_level_of(self, service: str) -> str:
        """The lowest severity that a service logs; of two values for it, the last."""
        levels = dict(each.split("=") for each in comma_list(self.log_levels))
        return levels.get(service, self.log_level)

    @property
    def most_calls(self) -> int:
        """The number of calls at a time; a usual one where nothing was measured."""
        return UNMEASURED_CALLS if self.max_calls is None else self.max_calls

    @property
    def cors_origin_list(self) -> tuple[str, ...]:
        """The origins whose pages may read answers."""
        return comma_list(self.cors_origins)

    @property
    def keys(self) -> tuple[str, ...]:
        """The bearer keys, in order; empty when any key is accepted."""
        return comma_list(self.api_keys)
