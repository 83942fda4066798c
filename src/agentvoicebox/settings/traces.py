"""Traces: where spans of calls are sent, and of how many calls."""

import re

from pydantic import BaseModel, Field, ValidationInfo, field_validator

from agentvoicebox.settings.values import comma_list, with_scheme

HEADER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*=[^\x00-\x1f]+")


class TraceSettings(BaseModel):
    """Traces: where spans of calls are sent, and of how many calls.

    Attributes:
        traces_url: a collector's OTLP address over HTTP, such as `http://collector:4318`; without a path, `/v1/traces` is added.
            Needs the extra `traces`. Empty: no traces. `OTEL_EXPORTER_OTLP_ENDPOINT` does not switch them on.
        traces_headers: comma-separated headers of each request, such as `authorization=Basic abc`.
        traces_ratio: share of calls with a trace, 0 to 1; the trace id decides, so all gateways agree.
    """

    traces_url: str = Field(default="", repr=False)  # may contain a password
    traces_headers: str = Field(default="", repr=False)
    traces_ratio: float = Field(default=1.0, ge=0, le=1)

    @field_validator("traces_url")
    @classmethod
    def _traces_url_is_http(cls, value: str) -> str:
        return with_scheme(value, ("http://", "https://"))

    @field_validator("traces_headers")
    @classmethod
    def _headers_have_values(cls, value: str, info: ValidationInfo) -> str:
        if not all(HEADER.fullmatch(each) for each in comma_list(value)):
            raise ValueError("each header should look like name=value")
        return value

    @property
    def traces_address(self) -> str:
        """The address with its path."""
        scheme, mark, place = self.traces_url.rstrip("/").partition("://")
        return f"{scheme}{mark}{place}" + ("/v1/traces" if place and "/" not in place else "")

    @property
    def traces_header_map(self) -> dict[str, str]:
        """The headers by name, in lower case."""
        pairs = (each.partition("=") for each in comma_list(self.traces_headers))
        return {name.lower(): value for name, _, value in pairs}
