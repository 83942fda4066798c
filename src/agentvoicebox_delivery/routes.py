"""The delivery agent's routes on the webhook server: `/v1/track` and Sanity's webhook."""

from collections.abc import Mapping
from typing import Any

from agentvoicebox.kits.services import NoticeRoute, ToolRoute
from agentvoicebox.tools.schema import Misfit, Unreadable
from agentvoicebox_delivery.parcels import tool_schema
from agentvoicebox_delivery.sources.look_up import LookUp
from agentvoicebox_delivery.sources.sanity_webhook import HEADER, changed_ids
from agentvoicebox_delivery.tool import DEFINITION


def track_route() -> ToolRoute:
    """`POST /v1/track`, `{"tracking_id": "…"}` → the outcome."""
    return ToolRoute(
        path="/v1/track",
        label="track",
        summary="Where is this parcel?",
        tool=tool_schema.NAME,
        field="tracking_id",
        fault=_track_fault,
    )


def _track_fault(body: Mapping[str, Any]) -> tuple[str, str]:
    try:
        DEFINITION.read(dict(body))
    except (Misfit, Unreadable):
        if "tracking_id" in body:
            return "string_type", "tracking_id must be a string with letters or digits."
        return "missing", "tracking_id is missing."
    return "tracking_id", "tracking_id contains no tracking number (6 to 32 letters and digits)."


def notice_routes(look_up: LookUp, secret: str) -> tuple[NoticeRoute, ...]:
    """`POST /sanity/webhook`, which removes changed parcels from the cache; () without a secret."""

    def forget(body: bytes, headers: Mapping[str, str], wall_s: float) -> dict[str, Any]:
        ids = changed_ids(body, headers.get(HEADER), secret, wall_s=wall_s)
        return {"forgotten": sum([look_up.forget(each) for each in ids] or [look_up.forget()])}

    if not secret:
        return ()
    return (NoticeRoute("/sanity/webhook", "sanity", "Sanity's webhook: these parcels have changed", forget),)
