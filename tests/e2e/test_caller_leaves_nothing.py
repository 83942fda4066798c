"""Calls leave nothing behind: no key, no process, no memory that grows; also when the caller hangs up mid-word."""

from collections.abc import Callable

import httpx
from redis import Redis
from tests.kit.client import until as until_holds
from tests.kit.processes import Member, family
from tests.kit.waiting import PATIENCE_S, until

from agentvoicebox.broker import keys
from agentvoicebox.cli.local_server import LocalServer
from agentvoicebox.client.caller import open_call
from agentvoicebox.client.line import SpokenLine
from agentvoicebox.realtime_client.dialing import CallOptions

CALLS = 20
WARM_UP = 10
GROWTH_KB = 32_000  # level over 80 calls, but the recogniser's allocator breathes by 20 MB; a call's audio is 1.5 MB


def left_keys(store: Redis) -> list[str]:
    """Keys of sessions, and keys that would live for ever, but for the known ones; fences of records may wait."""
    return [
        key
        for key in store.scan_iter()
        if key not in keys.WITHOUT_TTL
        and not key.startswith(("avb:job:record:", "avb:wake:"))
        and ("sess_" in key or store.ttl(key) < 0)
    ]


def left_work(store: Redis) -> dict[str, int]:
    """Jobs that nobody has finished, by stream."""
    streams = [key for key in keys.WITHOUT_TTL if store.type(key) == "stream"]
    return {key: count for key in streams if (count := store.xlen(key))}


async def until_no_call_goes_on(server: LocalServer) -> None:
    async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE_S) as http:

        async def none_goes_on() -> bool:
            return bool((await http.get(f"{server.internal_url}/ready")).json()["calls"] == 0)

        await until_holds(none_goes_on)


async def brief_call(server: LocalServer, line: SpokenLine) -> None:
    async with open_call(CallOptions(server.url)) as call:
        turn = call.start_saying(line)
        await call.wait_until_heard(0.2)
        await call.hang_up()
    assert turn.first_audio_s is not None, turn.problem


def lasting_processes(server: LocalServer) -> dict[int, Member]:
    """The server's processes by pid, without PostgreSQL's, which come and go with idle connections."""
    return {member.pid: member for member in family(server.pid) if "postgres" not in member.name}


async def test_twenty_calls_in_a_row_leave_the_server_as_it_was(
    server: LocalServer, store: Redis, say: Callable[[str], SpokenLine]
) -> None:
    line = say("Where is my parcel?")
    for _ in range(WARM_UP):
        await brief_call(server, line)
    before = lasting_processes(server)
    for _ in range(CALLS):
        await brief_call(server, line)
    await until(lambda: left_keys(store), "keys left")
    await until(lambda: left_work(store), "jobs left")

    def grown_kb() -> dict[str, int]:
        after = lasting_processes(server)
        assert after.keys() == before.keys()
        growth_kb = {member.name: member.rss_kb - before[pid].rss_kb for pid, member in after.items()}
        return {name: kb for name, kb in growth_kb.items() if kb >= GROWTH_KB}

    await until(grown_kb, "memory grew")  # an allocator gives back what it holds some time after a call
    await until_no_call_goes_on(server)


async def test_a_caller_who_hangs_up_in_the_middle_of_a_word_leaves_nothing(
    server: LocalServer, store: Redis, say: Callable[[str], SpokenLine]
) -> None:
    async with open_call(CallOptions(server.url, resumes=False)) as call:
        line = say("My tracking number is R B one two three four five six seven eight five G B.")
        call.start_saying(line)
        await call.stay_connected(line.duration_s / 2)
        await call.hang_up(is_abrupt=True)
    await until(lambda: left_keys(store), "keys left")
    await until(lambda: left_work(store), "jobs left")
    await until_no_call_goes_on(server)


async def test_a_caller_who_hangs_up_while_the_agent_speaks_leaves_nothing(
    server: LocalServer, store: Redis, say: Callable[[str], SpokenLine]
) -> None:
    async with open_call(CallOptions(server.url, resumes=False)) as call:
        call.start_saying(say("Where is my parcel?"))
        await call.wait_until_heard(0.3)
        await call.hang_up(is_abrupt=True)
    await until(lambda: left_keys(store), "keys left")
    await until(lambda: left_work(store), "jobs left")
