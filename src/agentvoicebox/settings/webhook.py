"""The webhook server: its two ports, credentials and limits."""

import base64
import re
from typing import Literal

from pydantic import BaseModel, Field, ValidationInfo, field_validator

from agentvoicebox.ids import DEFAULT_TENANT
from agentvoicebox.loopback import is_loopback
from agentvoicebox.settings.values import HEADER_NAME, comma_list


class WebhookSettings(BaseModel):
    """The webhook server: its two ports, credentials and limits.

    Attributes:
        webhook_host: address on which the webhook server listens; any address but loopback needs one of the credentials
            below.
        webhook_port: its TCP port. 0: the system chooses one.
        internal_host: address of the internal ports of all processes; they check no credentials.
        internal_port: TCP port of the webhook server's health, metrics and maintenance. 0: the system chooses one.
        vapi_hmac_secret: key of Vapi's HMAC credential.
        vapi_hmac_secret_is_base64: whether the key is written in base64.
        vapi_hmac_header: header of the signature, as in Vapi's dashboard; so are the next five.
        vapi_hmac_prefix: text before the signature.
        vapi_hmac_encoding: encoding of the signature.
        vapi_hmac_algorithm: hash function of the signature.
        vapi_hmac_payload_format: what is signed; it may contain `{timestamp}`, `{body}`, `{method}` and `{svix-id}`.
        vapi_hmac_timestamp_header: header of the time.
        vapi_bearer_tokens: comma-separated tokens for `Authorization: Bearer`.
        retell_api_key: key that verifies Retell's signature at `/v1/track`.
        vapi_secrets: comma-separated secrets for `X-Vapi-Secret`.
        strict_422: answer invalid arguments with a 422 instead of a result. Vapi ignores such an answer.
        webhook_source_limit: maximum requests a minute of one source that need a response. 0: no limit.
        webhook_tenant: the tenant on whose behalf tools are called.
        assistant_id: assistant for calls to a number without one. Empty: such calls are declined with a sentence.
    """

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
    vapi_secrets: str = Field(
        default="", repr=False, validate_default=True
    )  # after the fields that its validator reads
    strict_422: bool = False
    webhook_source_limit: int = Field(default=100, ge=0, le=1_000_000)  # requirement B4.2
    webhook_tenant: str = Field(default=DEFAULT_TENANT, min_length=1)
    assistant_id: str = ""

    @field_validator("internal_port")
    @classmethod
    def _ports_differ(cls, value: int, info: ValidationInfo) -> int:
        if value and value == info.data.get("webhook_port"):
            raise ValueError("the public port has this number; the internal one needs its own")
        return value

    @field_validator("vapi_hmac_secret_is_base64")
    @classmethod
    def _hmac_secret_is_base64(cls, value: bool, info: ValidationInfo) -> bool:
        if value:
            try:
                base64.b64decode(info.data.get("vapi_hmac_secret", ""), validate=True)
            except ValueError:
                raise ValueError("AVB_VAPI_HMAC_SECRET is not base64") from None
        return value

    @field_validator("vapi_hmac_header", "vapi_hmac_timestamp_header")
    @classmethod
    def _header_is_a_name(cls, value: str) -> str:
        if not HEADER_NAME.fullmatch(value):
            raise ValueError("should be the name of a header")
        return value

    @field_validator("vapi_hmac_payload_format")
    @classmethod
    def _payload_format_signs_the_body(cls, value: str) -> str:
        places = set(re.findall(r"\{([a-z-]*)\}", value))
        if "body" not in places or not places <= {"timestamp", "body", "method", "svix-id"}:
            raise ValueError("should contain {body}; may contain {timestamp}, {method} and {svix-id}")
        return value

    @field_validator("vapi_secrets")
    @classmethod
    def _public_address_needs_credentials(cls, value: str, info: ValidationInfo) -> str:
        host = info.data.get("webhook_host")
        others = [info.data.get(name, "at fault") for name in ("vapi_hmac_secret", "vapi_bearer_tokens")]
        if host is not None and not is_loopback(host) and not any(comma_list(each) for each in (value, *others)):
            raise ValueError(
                f"the webhook host {host} can be reached from outside, so give a secret here, in "
                "AVB_VAPI_BEARER_TOKENS or in AVB_VAPI_HMAC_SECRET, or listen on 127.0.0.1"
            )
        return value

    @property
    def vapi_secret_list(self) -> tuple[str, ...]:
        """The shared secrets of the webhook server, in order."""
        return comma_list(self.vapi_secrets)

    @property
    def vapi_token_list(self) -> tuple[str, ...]:
        """The bearer tokens of the webhook server, in order."""
        return comma_list(self.vapi_bearer_tokens)
