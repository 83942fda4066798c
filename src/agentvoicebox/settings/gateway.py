"""The Realtime endpoint: its address, its configured keys, its capacity, and the log."""

from typing import Literal

from pydantic import BaseModel, Field, ValidationInfo, field_validator

from agentvoicebox.loopback import is_loopback
from agentvoicebox.settings.values import comma_list


class GatewaySettings(BaseModel):
    """The Realtime endpoint: its address, its configured keys, its capacity, and the log.

    Attributes:
        host: address the gateway listens on; anything but loopback needs `api_keys`.
        port: 0 to 65535; 0 lets the system choose.
        api_keys: comma-separated bearer keys; empty is allowed on loopback alone, where any key is let in.
        log_level: least severity that is written.
        log_format: `json` (one object a line) or `console` (for eyes; shows people's words, so loopback only).
        resume_s: how long a session waits for a caller whose line broke and who said that he will come back; 0: not at all.
        gateways: gateway processes that share these limits; while the store is away each keeps to its part of them.
        max_calls: calls one gateway process admits at a time; the next is refused with 1013.
    """

    host: str = Field(default="127.0.0.1", min_length=1)
    port: int = Field(default=8000, ge=0, le=65535)
    api_keys: str = Field(default="", repr=False, validate_default=True)
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "console"] = Field(default="json", validate_default=True)
    max_calls: int = Field(default=24, ge=1, le=10_000)  # 24: what our two-core experiment carried (requirements, A6)
    gateways: int = Field(default=1, ge=1, le=1_000)
    resume_s: float = Field(default=30.0, ge=0, le=600)

    @field_validator("api_keys")
    @classmethod
    def _keys_guard_an_open_address(cls, value: str, info: ValidationInfo) -> str:
        host = info.data.get("host")  # absent when it was itself at fault
        if host is not None and not is_loopback(host) and not comma_list(value):
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

    @property
    def keys(self) -> tuple[str, ...]:
        """The bearer keys, in order; empty when any key is accepted."""
        return comma_list(self.api_keys)
