"""Where an attacker aims: addresses and credentials. Refuses any host but this machine."""

import msgspec

from agentvoicebox.loopback import is_loopback


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """A server that may be attacked.

    Attributes:
        host: a loopback address.
        port, webhook_port, internal_port: of the gateway and of the webhook server.
        configured_key: of AVB_API_KEYS; empty when the server is keyless.
        acme_key, rival_key: stored keys of the attacker's tenant and of the neighbour's; empty when the server is keyless.
    """

    host: str = "127.0.0.1"
    port: int
    webhook_port: int
    internal_port: int
    configured_key: str = ""
    acme_key: str = ""
    rival_key: str = ""

    def __post_init__(self) -> None:
        """Raises ValueError for a host that is not this machine."""
        if not is_loopback(self.host):
            raise ValueError(f"host {self.host} is not this machine; attacks run on loopback only")

    @property
    def realtime(self) -> str:
        """Address of the Realtime socket."""
        return f"ws://{self.host}:{self.port}/v1/realtime?model=delivery"

    @property
    def rest(self) -> str:
        """Base address of the gateway's REST routes."""
        return f"http://{self.host}:{self.port}"


def bearer(key: str) -> dict[str, str]:
    """The header with a key; none without one."""
    return {"Authorization": f"Bearer {key}"} if key else {}
