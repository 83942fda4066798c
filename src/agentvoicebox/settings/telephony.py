"""Telephone calls: which providers connect, and who answers."""

from urllib.parse import urlsplit

from pydantic import BaseModel, Field, ValidationInfo, field_validator

from agentvoicebox.loopback import is_loopback
from agentvoicebox.settings.values import comma_list, with_scheme

PROVIDERS = ("twilio", "telnyx", "asterisk")


class TelephonySettings(BaseModel):
    """Telephone calls: which providers connect, and who answers.

    Attributes:
        telephony: comma-separated providers that may connect: `twilio`, `telnyx`, `asterisk`. Empty: the role `telephony` is not
            started.
        telephony_host: address on which the role listens.
        telephony_port: its TCP port. 0: the system chooses one.
        telephony_url: its address as Twilio calls it, such as `https://phone.example`; Twilio signs it.
        telephony_token: secret that Telnyx and Asterisk show: as a bearer token, as the password of basic authentication, or as
            `token` in the query. Empty only on loopback.
        telephony_gateways: comma-separated base URLs of gateways, such as `http://gateway-1:8000/v1`. Empty: the gateway of this
            machine.
        telephony_key: key that is shown to the gateways. Empty: the first of AVB_API_KEYS.
        telephony_agent: who answers when the line names no agent. Empty: the default agent.
        telephony_greets: whether the agent speaks first.
        telephony_greeting_is_whole: whether the caller can't interrupt the greeting.
        telephony_transfer_to: telephone number to which `transfer_call` passes the caller; Twilio and Asterisk. Empty: the
            agent can't transfer calls.
        telephony_max_calls: maximum number of telephone calls of one process at a time; further ones are refused.
        twilio_auth_token: Twilio's auth token, which verifies its signatures.
    """

    telephony: str = ""
    telephony_host: str = Field(default="127.0.0.1", min_length=1)
    telephony_port: int = Field(default=8005, ge=0, le=65535)
    twilio_auth_token: str = Field(default="", repr=False)
    telephony_url: str = Field(default="", validate_default=True)  # after the fields that its validator reads
    telephony_token: str = Field(default="", repr=False, validate_default=True)
    telephony_gateways: str = ""
    telephony_key: str = Field(default="", repr=False)
    telephony_agent: str = ""
    telephony_greets: bool = True
    telephony_greeting_is_whole: bool = False
    telephony_transfer_to: str = Field(default="", pattern=r"^(\+?[0-9]{2,20}|sip:[^\s<>\"]{1,200})?$")
    telephony_max_calls: int = Field(default=24, ge=1, le=10_000)

    @field_validator("telephony")
    @classmethod
    def _providers_are_known(cls, value: str) -> str:
        for each in comma_list(value):
            if each not in PROVIDERS:
                raise ValueError(f"there is no provider {each!r}; there are {', '.join(PROVIDERS)}")
        return value

    @field_validator("telephony_url")
    @classmethod
    def _twilio_has_an_address_and_a_token(cls, value: str, info: ValidationInfo) -> str:
        if "twilio" in comma_list(info.data.get("telephony", "")):
            if not info.data.get("twilio_auth_token"):
                raise ValueError("Twilio needs AVB_TWILIO_AUTH_TOKEN, which verifies its signatures")
            if not value:
                raise ValueError("Twilio needs this server's address as Twilio calls it, such as https://phone.example")
        if value and not urlsplit(value).netloc:
            raise ValueError("should look like https://phone.example")
        return with_scheme(value, ("http://", "https://")).rstrip("/")

    @field_validator("telephony_token")
    @classmethod
    def _providers_need_a_token(cls, value: str, info: ValidationInfo) -> str:
        host = info.data.get("telephony_host", "127.0.0.1")
        unsigned = [each for each in comma_list(info.data.get("telephony", "")) if each != "twilio"]
        if unsigned and not value and not is_loopback(host):
            raise ValueError(f"the telephony host {host} can be reached from outside, so {unsigned[0]} needs a token")
        return value

    @field_validator("telephony_gateways")
    @classmethod
    def _gateways_are_urls(cls, value: str) -> str:
        for each in comma_list(value):
            with_scheme(each, ("http://", "https://"))
        return value

    @property
    def telephony_providers(self) -> tuple[str, ...]:
        """The providers that may connect."""
        return comma_list(self.telephony)

    @property
    def telephony_gateway_list(self) -> tuple[str, ...]:
        """Base URLs of gateways; empty: the one of this machine."""
        return comma_list(self.telephony_gateways)
