"""How much work lies in the store, by kind of job: waiting, running, and given up. For operators; one round trip."""

from typing import Any

from agentvoicebox.broker import keys
from agentvoicebox.broker.connection import Connection
from agentvoicebox.ports.broker import JobKind, Workload

COMMANDS = 3  # of each kind


async def read_workload(connection: Connection) -> dict[JobKind, Workload]:
    """Of every kind. Raises BrokerLost."""

    async def ask() -> list[Any]:
        pipe = connection.commands.pipeline(transaction=False)
        for kind in JobKind:
            pipe.xlen(keys.job_stream(kind))
            pipe.xlen(keys.dead_stream(kind))
            pipe.xinfo_groups(keys.job_stream(kind))  # an error for a stream that does not exist
        answers: list[Any] = await pipe.execute(raise_on_error=False)
        if isinstance(answers[0], Exception):
            raise answers[0]
        return answers

    answers = await connection.call(ask)
    found = {}
    for index, kind in enumerate(JobKind):
        length, dead, groups = answers[COMMANDS * index : COMMANDS * (index + 1)]
        running = _running(groups, keys.group(kind))
        found[kind] = Workload(max(0, length - running), running, dead)
    return found


def _running(groups: Any, name: str) -> int:
    if not isinstance(groups, list):
        return 0
    return sum(int(group["pending"]) for group in groups if group["name"] == name.encode())
