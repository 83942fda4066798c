"""Telephone calls that the server makes: by whom, and to which numbers."""

import re

from pydantic import BaseModel, Field, ValidationInfo, field_validator

from agentvoicebox.settings.values import comma_list, with_scheme

PREFIX = re.compile(r"\+?[0-9]{1,15}")


class OutgoingCallSettings(BaseModel):
    """Telephone calls that the server makes: by whom, and to which numbers. Fields of `TelephonySettings` come before these.

    Attributes:
        outgoing_prefixes: comma-separated beginnings of the numbers that may be called, such as `+49,+4312`. Empty: no calls are
            made.
        outgoing_a_minute: maximum number of calls that one process begins in a minute.
        twilio_account_sid: the account that makes calls at Twilio; with AVB_TWILIO_AUTH_TOKEN.
        twilio_from: its number that those who are called see.
        twilio_api: address of Twilio's API; a region has its own.
        asterisk_ari: address of Asterisk's REST interface, such as `http://127.0.0.1:8088/ari`.
        asterisk_ari_user: its user.
        asterisk_ari_password: the user's password.
        asterisk_dial: how Asterisk reaches a number; `{number}` stands for it.
        asterisk_answer: extension and context of the script that connects who answered, as for calls that come in.
    """

    outgoing_prefixes: str = ""
    outgoing_a_minute: int = Field(default=10, ge=1, le=10_000)
    twilio_account_sid: str = Field(default="", pattern=r"^(AC[0-9a-f]{32})?$")
    twilio_from: str = Field(default="", pattern=r"^(\+[0-9]{5,15})?$")
    twilio_api: str = "https://api.twilio.com"
    asterisk_ari: str = ""
    asterisk_ari_user: str = ""
    asterisk_ari_password: str = Field(default="", repr=False)
    asterisk_dial: str = "PJSIP/{number}@trunk"
    asterisk_answer: str = Field(default="100@default", pattern=r"^[\w.*#+-]{1,80}@[\w.-]{1,80}$")

    @field_validator("outgoing_prefixes")
    @classmethod
    def _prefixes_are_numbers(cls, value: str, info: ValidationInfo) -> str:
        for each in comma_list(value):
            if not PREFIX.fullmatch(each):
                raise ValueError(f"{each!r} should be the beginning of a number, such as +49")
        if value and not info.data.get("telephony_token"):
            raise ValueError("calls cost money, so they need AVB_TELEPHONY_TOKEN, which those who order one show")
        return value

    @field_validator("twilio_api", "asterisk_ari")
    @classmethod
    def _apis_are_urls(cls, value: str) -> str:
        return with_scheme(value, ("http://", "https://")).rstrip("/")

    @field_validator("asterisk_dial")
    @classmethod
    def _number_has_a_place(cls, value: str) -> str:
        if value.count("{number}") != 1 or value.count("{") != 1:
            raise ValueError("should hold {number} once, as in PJSIP/{number}@trunk")
        return value

    @property
    def outgoing_prefix_list(self) -> tuple[str, ...]:
        """Beginnings of numbers that may be called."""
        return comma_list(self.outgoing_prefixes)
