"""All checks of a start, for the roles that run here."""

import asyncio
from collections.abc import Awaitable, Collection

from agentvoicebox.errors import SettingsError
from agentvoicebox.settings import Settings
from agentvoicebox.supervisor.preflight.engines import check_engines
from agentvoicebox.supervisor.preflight.files import check_files
from agentvoicebox.supervisor.preflight.finding import Finding, from_error
from agentvoicebox.supervisor.preflight.packages import check_embedded, check_traces, check_webrtc
from agentvoicebox.supervisor.preflight.ports import check_ports
from agentvoicebox.supervisor.roles import ChildSpec, all_children, check_needs, needs


async def examine(
    settings: Settings, specs: Collection[ChildSpec] | None = None, *, is_whole: bool = True
) -> list[Finding]:
    """Run every check, within two seconds. Creates no file and no table, and opens no port for long.

    Args:
        settings: of the server.
        specs: the processes with the roles that run here; None: all that the settings ask for.
        is_whole: whether embedded servers run where no URL is set.
    """
    from agentvoicebox.supervisor.preflight.servers import (
        check_postgres,
        check_redis,
    )  # late: their clients load slowly

    specs = all_children(settings) if specs is None else specs
    remote: list[Awaitable[list[Finding]]] = []
    if settings.redis_url and (is_whole or needs("redis_url", specs, settings)):
        remote.append(check_redis(settings))
    if settings.postgres_url and (is_whole or needs("postgres_url", specs, settings)):
        remote.append(check_postgres(settings))
    here, *answers = await asyncio.gather(asyncio.to_thread(_examine_here, settings, specs, is_whole), *remote)
    return here + [finding for answer in answers for finding in answer]


def _examine_here(settings: Settings, specs: Collection[ChildSpec], is_whole: bool) -> list[Finding]:
    roles = {role.name for spec in specs for role in spec.roles}
    is_embedded = is_whole and not (settings.redis_url and settings.postgres_url)
    found = [
        *check_ports(settings, roles),
        *check_files(settings, roles, has_embedded_servers=is_embedded),
        *check_engines(settings, roles),
    ]
    if is_embedded:
        found.append(check_embedded())
    if settings.traces_url and "gateway" in roles:
        found.append(check_traces(settings))
    if "webrtc" in roles:
        found.append(check_webrtc(settings))
    if not is_whole:
        try:
            check_needs(specs, settings)
        except SettingsError as error:
            found += from_error("servers", error)
    return found
