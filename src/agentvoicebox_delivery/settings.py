"""Settings of the delivery agent: the source of parcels, and the cache."""

import re
from typing import Literal, Self

from pydantic import BaseModel, Field, ValidationInfo, field_validator

from agentvoicebox.settings import Settings
from agentvoicebox.settings.values import comma_list, with_scheme


class DeliverySettings(BaseModel):
    """Settings of the delivery agent.

    They become fields of `Settings` when the kit is loaded.

    Attributes:
        demo_data: insert the demo parcels (PKG004 and others) into the embedded PostgreSQL's catalogue at each start.
        shipments: source of parcels: `catalogue`, the PostgreSQL table, or `sanity`.
        sanity_base_url: address of another server with Sanity's query API. Empty: Sanity's own.
        sanity_project_id: project in Sanity.
        sanity_dataset: dataset of the project.
        sanity_token: token with read access to it.
        sanity_api_version: version of Sanity's API, a date.
        sanity_webhook_secret: enables `/sanity/webhook`, which removes changed parcels from the cache. Empty: disabled.
        cache_ttl_s: time to live of a cached parcel, in seconds. 0: no caching.
        cache_size: maximum number of parcels in the cache.
        hand_over_to: how callers reach a person: `tel:` or `sip:` and an address for a transfer, or the `https:` address where
            a call back is ordered. Empty: no person can be reached. The agent's file must list the tool `hand_over`, too.
        vapi_tools: comma-separated names of the look-up in a voice platform's dashboard.
    """

    demo_data: bool = True
    shipments: Literal["catalogue", "sanity"] = "catalogue"
    sanity_base_url: str = ""
    sanity_project_id: str = Field(default="", validate_default=True)
    sanity_dataset: str = "production"
    sanity_token: str = Field(default="", repr=False)
    sanity_api_version: str = "2025-02-19"  # the first whose default perspective is `published`
    sanity_webhook_secret: str = Field(default="", repr=False)
    cache_ttl_s: float = Field(default=60.0, ge=0, le=3600)  # requirement B2.1
    cache_size: int = Field(default=10_000, ge=1, le=1_000_000)
    hand_over_to: str = ""
    vapi_tools: str = "get_delivery_status,track_shipment,track"

    @field_validator("sanity_base_url")
    @classmethod
    def _sanity_base_url_is_http(cls, value: str) -> str:
        return with_scheme(value, ("http://", "https://"))

    @field_validator("sanity_project_id")
    @classmethod
    def _sanity_needs_a_project(cls, value: str, info: ValidationInfo) -> str:
        if value and not re.fullmatch(r"[a-z0-9][a-z0-9-]*", value):
            raise ValueError("lower-case letters, digits and hyphens, as on sanity.io/manage")
        if not value and info.data.get("shipments") == "sanity" and not info.data.get("sanity_base_url"):
            raise ValueError("Sanity needs a project; set it, or set AVB_SHIPMENTS=catalogue")
        return value

    @field_validator("sanity_dataset")
    @classmethod
    def _sanity_dataset_is_a_name(cls, value: str) -> str:
        if not re.fullmatch(r"[a-z0-9~][a-z0-9_~-]*", value):
            raise ValueError("lower-case letters, digits, hyphens and underscores")
        return value

    @field_validator("sanity_token")
    @classmethod
    def _sanity_token_is_whole(cls, value: str) -> str:
        if not (value.isascii() and value.isprintable()) or " " in value:
            raise ValueError("contains a character that tokens do not have; is the copy complete?")
        return value

    @field_validator("sanity_api_version")
    @classmethod
    def _sanity_api_version_is_a_date(cls, value: str) -> str:
        if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", value):
            raise ValueError("a date like 2025-02-19")
        return value

    @field_validator("hand_over_to")
    @classmethod
    def _hand_over_has_an_address(cls, value: str) -> str:
        if value and not re.fullmatch(r"(?:tel:\+?[\d-]+|sips?:\S+|https?://\S+)", value):
            raise ValueError("tel:, sip: or https:// and an address")
        return value

    @field_validator("vapi_tools")
    @classmethod
    def _a_tool_has_a_name(cls, value: str) -> str:
        if not comma_list(value):
            raise ValueError("name at least one tool, for example get_delivery_status")
        return value

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The kit's part of a deployment's settings; defaults if they were loaded without the kit."""
        given = {name: getattr(settings, name) for name in cls.model_fields if hasattr(settings, name)}
        return cls.model_validate(given)

    @property
    def tool_names(self) -> tuple[str, ...]:
        """Names of the look-up on the webhook server; at least one."""
        return comma_list(self.vapi_tools)
