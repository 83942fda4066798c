"""The addresses that the roles listen on: free, and different from each other."""

from collections.abc import Collection, Iterator
from typing import NamedTuple

from agentvoicebox.http_server.listening import AddressUnavailable, listening_socket
from agentvoicebox.settings import Settings
from agentvoicebox.settings.values import variable
from agentvoicebox.supervisor.preflight.finding import Finding, State, assignment
from agentvoicebox.supervisor.roles import WORKER_PORT, children

WILDCARDS = ("0.0.0.0", "::")
ANY_FREE = 0


class OwnAddress(NamedTuple):
    """One port of a role. `host` and `port` are fields of the settings."""

    role: str
    what: str
    host: str
    port: str


ADDRESSES = (
    OwnAddress("gateway", "gateway port", "host", "port"),
    OwnAddress("gateway", "gateway's internal port", "internal_host", "gateway_internal_port"),
    OwnAddress("webhook", "webhook port", "webhook_host", "webhook_port"),
    OwnAddress("webhook", "webhook's internal port", "internal_host", "internal_port"),
    OwnAddress("telephony", "telephony port", "telephony_host", "telephony_port"),
    OwnAddress("webrtc", "WebRTC port", "webrtc_host", "webrtc_port"),
)
SUPERVISOR = OwnAddress("", "supervisor's internal port", "internal_host", "supervisor_internal_port")


def check_ports(settings: Settings, roles: Collection[str]) -> Iterator[Finding]:
    """One finding for each port of these roles."""
    before: list[OwnAddress] = []
    for address in (*(each for each in ADDRESSES if each.role in roles), *_asked_for(settings, roles)):
        host, port = getattr(settings, address.host), getattr(settings, address.port)
        same = next((each for each in before if _overlap(settings, each, address)), None)
        if same is not None:
            fix = f"set {variable(address.port)} or {variable(same.port)} to another port"
            if address.port == same.port:
                fix = f"set {variable(address.port)}=0: several processes of workers run here, each with a port"
            yield Finding(
                address.what, "error", f"{variable(same.port)} is the same", fix, assignment(settings, address.port)
            )
        else:
            yield _probe(settings, address, host, port)
        before.append(address)


def _asked_for(settings: Settings, roles: Collection[str]) -> Iterator[OwnAddress]:
    """Internal ports of workers and of the supervisor, where the settings give a number: by default any port will do."""
    if getattr(settings, WORKER_PORT) != ANY_FREE:
        for spec in children(roles):
            if not any(role.has_port for role in spec.roles):
                yield OwnAddress(spec.name, f"{spec.name}'s internal port", "internal_host", WORKER_PORT)
    if settings.supervisor_internal_port != ANY_FREE:
        yield SUPERVISOR


def _overlap(settings: Settings, one: OwnAddress, other: OwnAddress) -> bool:
    hosts = {getattr(settings, one.host), getattr(settings, other.host)}
    ports = {getattr(settings, one.port), getattr(settings, other.port)}
    return len(ports) == 1 and ANY_FREE not in ports and (len(hosts) == 1 or not hosts.isdisjoint(WILDCARDS))


def _probe(settings: Settings, address: OwnAddress, host: str, port: int) -> Finding:
    try:
        listening_socket(host, port, setting=variable(address.port)).close()
    except AddressUnavailable as error:
        change = f"set {variable(address.port)} to"
        match error.cause:
            case "taken":
                detail = f"another program listens on {host}:{port}"
                fix, field = f"stop it, or {change} another port (0: any free port)", address.port
            case "forbidden":
                detail, fix, field = "this user may not listen there", f"{change} 1024 or higher", address.port
            case "foreign":
                detail = "not an address of this machine"
                fix, field = f"set {variable(address.host)} to one, such as 127.0.0.1", address.host
        state: State = "taken" if error.cause == "taken" else "error"
        return Finding(address.what, state, detail, fix, assignment(settings, field))
    return Finding(address.what, "ok", "any free port" if port == ANY_FREE else f"{host}:{port} is free")
