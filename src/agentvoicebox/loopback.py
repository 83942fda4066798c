"""Which addresses only this machine can reach, and how this machine reaches its own ports."""

import ipaddress


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host` (an address or a name; of names only `localhost` is trusted)."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def own_address(host: str, port: int) -> str:
    """`host:port` under which this machine reaches what listens on `host`; of all addresses, loopback is named."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
