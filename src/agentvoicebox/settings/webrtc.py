"""Calls from browsers by WebRTC: where media run, and how browsers reach them."""

import ipaddress
import re

from pydantic import BaseModel, Field, ValidationInfo, field_validator

from agentvoicebox.loopback import is_loopback
from agentvoicebox.settings.values import comma_list, with_scheme

WILDCARDS = ("0.0.0.0", "::")
ICE_SERVER = re.compile(r"(stun:[^\s?,]+|turns?:[^\s?,]+(\?transport=(udp|tcp))?)")


class WebRtcSettings(BaseModel):
    """Calls from browsers by WebRTC: where media run, and how browsers reach them.

    Attributes:
        webrtc: whether `serve` starts the role `webrtc`, which carries the media of calls by WebRTC; it needs the extra `webrtc`.
        webrtc_host: address on which the role listens for gateways.
        webrtc_port: its TCP port. 0: the system chooses one.
        webrtc_token: secret that gateways show to the role; empty only on loopback.
        webrtc_urls: comma-separated addresses of the roles as gateways reach them, such as `http://media-1:8006`; the same
            at every gateway. Empty: the role of this machine, if AVB_WEBRTC is set.
        webrtc_gateways: comma-separated base URLs of gateways as the role reaches them, such as `http://gateway-1:8000/v1`.
            Empty: the gateway of this machine.
        webrtc_public_address: IP address under which browsers reach the role's machine, where that is another than its own, such
            as behind NAT. Its UDP ports must be passed on unchanged.
        webrtc_ice_servers: comma-separated STUN and TURN servers (at most one of each) that the role uses, such as
            `stun:stun.example:3478`. Empty: none, which a machine with a public address does not need.
        webrtc_turn_username: user name at the TURN server.
        webrtc_turn_password: password at the TURN server.
        webrtc_relay_only: whether audio goes by the TURN server alone, so that no browser needs to reach the role's machine.
        webrtc_max_calls: maximum number of calls of one process at a time; further ones are refused.
    """

    webrtc: bool = False
    webrtc_host: str = Field(default="127.0.0.1", min_length=1)
    webrtc_port: int = Field(default=8006, ge=0, le=65535)
    webrtc_token: str = Field(
        default="", repr=False, validate_default=True
    )  # after the host, which its validator reads
    webrtc_urls: str = ""
    webrtc_gateways: str = ""
    webrtc_public_address: str = ""
    webrtc_ice_servers: str = ""
    webrtc_turn_username: str = ""
    webrtc_turn_password: str = Field(default="", repr=False)
    webrtc_relay_only: bool = False  # after the servers, which its validator reads
    webrtc_max_calls: int = Field(default=24, ge=1, le=10_000)

    @field_validator("webrtc_token")
    @classmethod
    def _gateways_need_a_token(cls, value: str, info: ValidationInfo) -> str:
        host = info.data.get("webrtc_host", "127.0.0.1")
        if info.data.get("webrtc") and not value and not is_loopback(host):
            raise ValueError(f"the WebRTC host {host} can be reached from outside, so gateways need a token")
        return value

    @field_validator("webrtc_urls", "webrtc_gateways")
    @classmethod
    def _addresses_are_urls(cls, value: str) -> str:
        for each in comma_list(value):
            with_scheme(each, ("http://", "https://"))
        return value

    @field_validator("webrtc_public_address")
    @classmethod
    def _public_address_is_one(cls, value: str) -> str:
        if value:
            try:
                ipaddress.ip_address(value)
            except ValueError:
                raise ValueError("should be an IP address, such as 203.0.113.7") from None
        return value

    @field_validator("webrtc_ice_servers")
    @classmethod
    def _ice_servers_are_known(cls, value: str) -> str:
        for each in comma_list(value):
            if not ICE_SERVER.fullmatch(each):
                raise ValueError(
                    f"{each!r} should look like stun:stun.example:3478 or turn:turn.example:3478?transport=udp"
                )
        return value

    @field_validator("webrtc_relay_only")
    @classmethod
    def _a_relay_is_there(cls, value: bool, info: ValidationInfo) -> bool:
        if value and "turn" not in info.data.get("webrtc_ice_servers", ""):
            raise ValueError("needs a TURN server in AVB_WEBRTC_ICE_SERVERS, such as turn:turn.example:3478")
        return value

    @property
    def webrtc_url_list(self) -> tuple[str, ...]:
        """Addresses of the roles as gateways reach them; empty: the one of this machine, if there is one."""
        given = tuple(each.rstrip("/") for each in comma_list(self.webrtc_urls))
        if given or not (self.webrtc and self.webrtc_port):
            return given
        host = "127.0.0.1" if self.webrtc_host in WILDCARDS else self.webrtc_host
        return (f"http://[{host}]:{self.webrtc_port}" if ":" in host else f"http://{host}:{self.webrtc_port}",)

    @property
    def webrtc_gateway_list(self) -> tuple[str, ...]:
        """Base URLs of gateways; empty: the one of this machine."""
        return comma_list(self.webrtc_gateways)

    @property
    def webrtc_ice_server_list(self) -> tuple[str, ...]:
        """URLs of STUN and TURN servers."""
        return comma_list(self.webrtc_ice_servers)
