"""What counts as one source of requests: an IPv4 address, or the /64 of an IPv6 address, which one host may have to itself."""

import ipaddress
from collections.abc import Mapping


def source_of(peer: str, headers: Mapping[str, str], trusted_header: str) -> str:
    """The sender's address: the peer's, or the last one in the header of the operator's proxy; of IPv6 its /64.

    Args:
        peer: address of the connection; "" when there is none.
        headers: by lower-case name, or case-insensitive.
        trusted_header: AVB_TRUSTED_PROXY_HEADER; "": no proxy, so no header is believed.
    """
    written = headers.get(trusted_header.lower(), "").rpartition(",")[2].strip() if trusted_header else ""
    try:
        address = ipaddress.ip_address(written or peer)
    except ValueError:
        return peer
    if isinstance(address, ipaddress.IPv6Address) and not address.is_loopback:
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False).network_address)
    return str(address)
