"""How telephone calls are answered, and the way to a gateway."""

import msgspec
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import InvalidHandshake

from agentvoicebox.realtime_client.dialing import (
    DEFAULT_MODEL,
    CallFailed,
    CallOptions,
    connect_to,
    in_turn,
    socket_url,
)

OPEN_TIMEOUT_S = 5.0


class CallPlan(msgspec.Struct, frozen=True):
    """How telephone calls are answered.

    Attributes:
        gateways: base URLs of gateways; the first that answers gets the session.
        api_key: for the gateways.
        agent: who answers when the line names no agent.
        greets: whether the agent speaks first.
        greeting_is_whole: the caller can't interrupt the greeting.
        has_transfer: whether the line can pass the caller to a person.
        ca_file: certificate to trust beside the system's; empty: none.
    """

    gateways: tuple[str, ...]
    api_key: str = ""
    agent: str = ""
    greets: bool = True
    greeting_is_whole: bool = False
    has_transfer: bool = False
    ca_file: str = ""

    def __repr__(self) -> str:
        return f"CallPlan({', '.join(self.gateways)})"

    async def connect(self, agent: str) -> tuple[ClientConnection, CallOptions]:
        """A connection to the first gateway that answers, and how it was made.

        Args:
            agent: whom the line asked for; "": none.

        Raises:
            CallFailed: no gateway took the call.
        """
        reason = "no gateway is configured"
        for base_url, others in in_turn(self.gateways):
            options = CallOptions(
                base_url=base_url,
                api_key=self.api_key or "local",
                wants_trace=False,
                other_urls=others,
                ca_file=self.ca_file,
                model=agent or self.agent or DEFAULT_MODEL,
            )
            url = socket_url(base_url, options.model, wants_trace=False, resume="1")
            try:
                return await connect_to(url, options, OPEN_TIMEOUT_S), options
            except (OSError, InvalidHandshake, TimeoutError) as error:
                reason = f"{base_url}: {type(error).__name__}"
        raise CallFailed(f"No gateway took the call; the last one: {reason}")
