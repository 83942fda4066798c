"""Whether a store that is operated elsewhere is configured as calls need it (plan A1.1). Reports problems; enforces nothing.

Uses INFO, which hosted servers allow where they forbid CONFIG.
"""

from typing import Any

import msgspec

from agentvoicebox.broker.connection import Connection

LEAST_VERSION = 7  # sharded channels


class Shortcoming(msgspec.Struct, frozen=True):
    """One setting of the server that is wrong.

    Attributes:
        setting: as `valkey.conf` names it.
        why: the consequence of the present value.
    """

    setting: str
    found: str
    wanted: str
    why: str


async def shortcomings(connection: Connection) -> list[Shortcoming]:
    """Problems of the server, or of any node of a cluster; each once. Raises BrokerLost."""
    found: list[Shortcoming] = []
    for info in await connection.call(lambda: connection.store.on_each_node("INFO")):
        found += [each for each in _of(info) if each not in found]
    return found


def _of(info: dict[str, Any]) -> list[Shortcoming]:
    version, policy = str(info.get("redis_version", "0")), str(info.get("maxmemory_policy", "unknown"))
    found = []
    if int(version.partition(".")[0]) < LEAST_VERSION:
        found.append(
            Shortcoming("version", version, f"{LEAST_VERSION} or later", "announcements need sharded channels")
        )
    if not info.get("aof_enabled"):
        found.append(Shortcoming("appendonly", "no", "yes", "a restart loses every call and every pending record"))
    if not info.get("maxmemory"):
        found.append(Shortcoming("maxmemory", "0", "a bound", "a full machine kills the server instead of old keys"))
    if policy != "volatile-lru":
        why = "a full server must drop keys with a time to live first, and never a queue of jobs"
        found.append(Shortcoming("maxmemory-policy", policy, "volatile-lru", why))
    return found
