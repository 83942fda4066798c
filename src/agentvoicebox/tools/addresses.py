"""The addresses at which a tool may be called. An agent's file must not give access to the network around the server.

Host names are resolved here, and the connection uses the checked address, so that a second DNS answer can't redirect it.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from urllib.parse import urlsplit

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""(host, port) → its addresses. Raises OSError."""

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
# Not public, although Python counts them as global: special purposes (a cloud's metadata is at 192.0.0.192), site-local.
_SPECIAL = (ipaddress.ip_network("192.0.0.0/24"), ipaddress.ip_network("fec0::/10"))


class NotAllowed(Exception):
    """Tools may not be called at this address."""


async def resolve(host: str, port: int) -> list[str]:
    """The addresses of a host from the system's resolver. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class Addresses:
    """The rule for addresses of tools.

    Args:
        is_local: the server listens only on loopback; then tools on loopback are allowed, also with plain http.
        private: private networks (`10.1.0.0/16`) in which tools are allowed.
        resolve: replaces the system's resolver in tests.
    """

    def __init__(self, *, is_local: bool, private: Iterable[str] = (), resolve: Resolve = resolve) -> None:
        """Raises ValueError for a text that is not a network."""
        self._is_local = is_local
        self._private = tuple(ipaddress.ip_network(each, strict=False) for each in private)
        self._resolve = resolve

    async def of(self, url: str) -> list[str]:
        """The allowed addresses of `url`, at least one.

        Raises:
            NotAllowed: none is allowed. OSError: the name can't be resolved.
        """
        parts = urlsplit(url)
        host, is_plain = parts.hostname or "", parts.scheme == "http"
        found = await self._resolve(host, parts.port or (80 if is_plain else 443))
        allowed = [each for each in found if self._allows(ipaddress.ip_address(each.partition("%")[0]), is_plain)]
        if not allowed:
            raise NotAllowed(host)
        return allowed

    def _allows(self, address: IpAddress, is_plain: bool) -> bool:
        address = _inner(address)
        if address.is_loopback and self._is_local:
            return True
        if is_plain:
            return False
        if _is_in(address, self._private):
            return True
        if _is_in(address, _SPECIAL):
            return False
        return address.is_global and not address.is_multicast and not address.is_reserved


def _is_in(address: IpAddress, networks: Iterable[IpNetwork]) -> bool:
    return any(address in network for network in networks if network.version == address.version)


def _inner(address: IpAddress) -> IpAddress:
    """The IPv4 address embedded in an IPv6 address, or else the address itself."""
    if isinstance(address, ipaddress.IPv6Address):
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else address)
    return address
