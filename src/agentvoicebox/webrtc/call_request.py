"""What a gateway asks for when a browser calls, and how calls are made."""

from typing import Any

import msgspec

from agentvoicebox.webrtc.peer import IcePlan


class CallRequest(msgspec.Struct, frozen=True):
    """A browser's call, as the gateway passes it on.

    Attributes:
        call_id: the gateway's name for it, `rtc_…`.
        sdp: the browser's offer.
        credential: what the browser showed: the session is opened with it; empty: it showed none.
        tenant: whose call it is, as the gateway found.
        session: the first `session.update`; None: none.
        model: the agent; empty: the default one.
        caller_headers: headers of the browser's request that the session shall see.
    """

    call_id: str
    sdp: str
    credential: str = ""
    tenant: str = ""
    session: dict[str, Any] | None = None
    model: str = ""
    caller_headers: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"CallRequest({self.call_id})"


class WebPlan(msgspec.Struct, frozen=True):
    """How calls are made.

    Attributes:
        gateways: base URLs; the first that answers gets the session.
        ca_file: certificate to trust beside the system's; empty: none.
        ice: how browsers reach this server.
    """

    gateways: tuple[str, ...]
    ca_file: str = ""
    ice: IcePlan = IcePlan()
