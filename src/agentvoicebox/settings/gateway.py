"""The Realtime endpoint: its address, its configured keys, its capacity, and the log."""

import re
from typing import Literal

from pydantic import BaseModel, Field, ValidationInfo, field_validator

from agentvoicebox.loopback import is_loopback
from agentvoicebox.settings.values import comma_list

ORIGIN = re.compile(r"https?://[^/?#@\s]+")


class GatewaySettings(BaseModel):
    """The Realtime endpoint: its address, its configured keys, its capacity, and the log.

    Attributes:
        host: address on which the gateway listens; any address but loopback needs `api_keys`.
        port: 0 to 65535; 0 lets the system choose.
        gateway_internal_port: of health, metrics and the API's description, on AVB_INTERNAL_HOST; it checks no credentials.
        api_keys: comma-separated bearer keys; may be empty only on loopback, where any key is accepted then.
        log_level: lowest severity that is logged.
        log_format: `json` (one object a line) or `console` (for terminals; shows words of callers, so only on loopback).
        resume_s: how long a session waits for a caller that lost its connection and can resume; 0: sessions can't be resumed.
        idle_s: after how long a call ends whose client has never sent an event or audio; 0: never.
        gateways: number of gateway processes that share the limits; without the store each applies its part of them.
        cors_origins: comma-separated origins (`https://app.example`, or `*`) whose pages may read answers of the REST API, the
            administration excepted; empty: none.
        tls_cert, tls_key: PEM files of the certificate (with its chain) and its key, with which the port speaks https: and wss:;
            empty: http: and ws:. `agentvoicebox tls` makes a pair.
        max_calls: most calls of one gateway process at a time; further calls are refused with 1013.
        max_audio_requests: most requests for speech and transcripts (`/v1/audio`) of one gateway process at a time, where
            AVB_API_KEYS has keys half of them of one tenant; further ones wait 10 s, then get 503 or 429. 0: none.
    """

    host: str = Field(default="127.0.0.1", min_length=1)
    port: int = Field(default=8000, ge=0, le=65535)
    gateway_internal_port: int = Field(default=8003, ge=0, le=65535)
    api_keys: str = Field(default="", repr=False, validate_default=True)
    cors_origins: str = ""
    tls_cert: str = ""
    tls_key: str = Field(default="", validate_default=True)  # after tls_cert, which its validator reads
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "console"] = Field(default="json", validate_default=True)
    max_calls: int = Field(default=24, ge=1, le=10_000)  # 24: measured on two cores (requirements, A6)
    max_audio_requests: int = Field(default=3, ge=0, le=1_000)
    gateways: int = Field(default=1, ge=1, le=1_000)
    resume_s: float = Field(default=30.0, ge=0, le=600)
    idle_s: float = Field(default=60.0, ge=0, le=3_600)

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

    @field_validator("log_format")
    @classmethod
    def _console_needs_loopback(cls, value: str, info: ValidationInfo) -> str:
        host = info.data.get("host")
        if value == "console" and host is not None and not is_loopback(host):
            raise ValueError("the console format may show callers' words; use json unless the host is loopback")
        return value

    @property
    def cors_origin_list(self) -> tuple[str, ...]:
        """The origins whose pages may read answers."""
        return comma_list(self.cors_origins)

    @property
    def keys(self) -> tuple[str, ...]:
        """The bearer keys, in order; empty when any key is accepted."""
        return comma_list(self.api_keys)
