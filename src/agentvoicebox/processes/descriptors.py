"""File descriptors. Each connection takes one, and a process may have 1,024 unless it asks for more."""

import resource

ENOUGH = 65_536
RESERVED = 256  # for the stores, models, logs and the event loop


def raise_descriptor_limit() -> int:
    """Raise this process's limit, and so its children's, as far as it may. Returns the new limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = ENOUGH if hard == resource.RLIM_INFINITY else min(ENOUGH, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return wanted
    return soft


def connection_limit(wanted: int) -> int:
    """`wanted` connections, or as many as this process has descriptors for; at least 16."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return wanted
    return max(16, min(wanted, soft - RESERVED))
