"""Whether a store that is operated elsewhere can be reached, and is configured as calls need it (plan A1.1).

Reports problems; enforces nothing. Uses INFO, which hosted servers allow where they forbid CONFIG.
"""

import asyncio
from typing import Any

import msgspec
from redis.exceptions import AuthenticationError, NoPermissionError, RedisClusterException
from redis.exceptions import ConnectionError as RedisConnectionError

from agentvoicebox.broker.connection import STORE_ERRORS, Connection
from agentvoicebox.errors import BrokerLost, connection_fault

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


class BadStore(BrokerLost):
    """The store can't be used. The message says why, for operators; it may name its address."""

    retryable = False


async def check_store(url: str, *, timeout_s: float) -> list[Shortcoming]:
    """Connect to the store once, and return its problems.

    Args:
        url: see `connection.connect`.
        timeout_s: for all of it.

    Raises:
        BadStore: it can't be reached, refuses the password, is a cluster or none, or is too old.
    """
    try:
        connection = Connection(url, retry_for_s=0)
    except (ValueError, *STORE_ERRORS) as error:
        raise BadStore("the URL is invalid; it should look like redis://host:6379/0") from error
    try:
        async with asyncio.timeout(timeout_s):
            found = await shortcomings(connection)
    except TimeoutError as error:
        raise BadStore(f"no answer within {timeout_s:g} s") from error
    except BrokerLost as error:
        raise BadStore(_explained(error)) from error
    finally:
        await connection.close()
    if old := next((each for each in found if each.setting == "version"), None):
        raise BadStore(f"version {old.found} is too old; {old.wanted} is needed")
    return found


def _explained(error: BrokerLost) -> str:
    match error.__cause__:
        case _ if "AVB_REDIS_URL" in error.message:
            return error.message
        case AuthenticationError():
            return "the store refuses the user or the password"
        case NoPermissionError():
            return "the user has no right to the commands that are needed"
        case RedisClusterException():
            return "no node of the cluster can be reached"
        case RedisConnectionError() | OSError() as cause:
            return connection_fault(cause)
    return error.message


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
