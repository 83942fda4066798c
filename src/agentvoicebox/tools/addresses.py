"""Which addresses a tool may be reached at: an agent's file must not become a door into the network around the server.

Names are resolved here, and the connection goes to the very address that was looked at, so that a name can't point
elsewhere a moment later.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from urllib.parse import urlsplit

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""(host, port) → its addresses. Raises OSError."""

_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class NotAllowed(Exception):
    """The address is none that a tool may be reached at."""


async def resolve(host: str, port: int) -> list[str]:
    """The addresses of a host, as the system knows them. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class Addresses:
    """The rule.

    Args:
        is_local: the server listens on loopback alone, so tools on this machine are its own; they may speak plain http.
        private: networks (`10.1.0.0/16`) that tools may be reached in although they are not public.
        resolve: for tests.
    """

    def __init__(self, *, is_local: bool, private: Iterable[str] = (), resolve: Resolve = resolve) -> None:
        """Raises ValueError for a text that is no network."""
        self._is_local = is_local
        self._private = tuple(ipaddress.ip_network(each, strict=False) for each in private)
        self._resolve = resolve

    async def of(self, url: str) -> list[str]:
        """The addresses at which `url` may be reached, at least one.

        Raises:
            NotAllowed: there is none. OSError: the name can't be resolved.
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
        if any(address in network for network in self._private if network.version == address.version):
            return True
        return address.is_global and not address.is_multicast and not address.is_reserved


def _inner(address: IpAddress) -> IpAddress:
    """The IPv4 address that an IPv6 one stands for, if it does."""
    if isinstance(address, ipaddress.IPv6Address):
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else address)
    return address
