"""The tool worker: runs the tools that the server owns. So far one: where is my parcel?

Decides how long a look-up may take and how arguments are read. What the answer says is `delivery.track`'s. A tool never
fails a call: a backend that is away, arguments that can't be read and our own faults each have their true sentence.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import structlog

from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.delivery import tool_schema, track
from agentvoicebox.engine.inputs import ToolReturned
from agentvoicebox.engine.jobs import CallTool
from agentvoicebox.errors import AgentVoiceBoxError, BadProviderAnswer, StorageLost
from agentvoicebox.ports.broker import JobKind
from agentvoicebox.ports.shipments import Shipments
from agentvoicebox.resilience.backoff import Backoff
from agentvoicebox.settings import Settings
from agentvoicebox.shipments.catalogue import Catalogue
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.workers.runner import Runner, Task, worker_name

DEADLINE_S = 0.5  # requirement B2.4: then the unavailable sentence
ID_KEYS = ("tracking_id", "trackingId", "tracking_number", "trackingNumber", "id", "number")
MOST_CHARACTERS = 512  # of one spoken id; the longest number takes about 250, spelled in words
STARTING = Backoff(first_s=0.05, factor=2.0, longest_s=1.0, tries=1_000_000)

_log = structlog.get_logger(__name__)


class ToolWork:
    """Sees one CallTool job to its end.

    Args:
        shipments: where parcels are looked up.
        deadline_s: for a look-up, all tries together.
    """

    def __init__(self, shipments: Shipments, *, deadline_s: float = DEADLINE_S) -> None:
        self._shipments = shipments
        self._deadline_s = deadline_s

    async def __call__(self, task: Task) -> None:
        """For Runner."""
        request = task.request
        if not isinstance(request, CallTool):
            raise BadProviderAnswer(f"not a tool job: {type(request).__name__}")
        outcome = await self.run(task.claim.job.session.tenant_id, request.name, request.arguments)
        await task.publish(ToolReturned(task.claim.job.job_id, outcome.as_json()), is_last=True)

    async def run(self, tenant_id: str, name: str, arguments: str) -> track.Outcome:
        """The outcome of a call. Raises nothing of ours or the backend's."""
        if name != tool_schema.NAME:
            return track.unknown_tool(name)
        given = read_arguments(arguments)
        if given is None:
            return track.invalid_arguments()
        asked = track.wanted(given)
        if not asked:
            return track.invalid_id()
        try:
            async with asyncio.timeout(self._deadline_s):
                return track.outcome(asked, await self._find(tenant_id, [each.tracking_id for each in asked]))
        except TimeoutError:
            _log.warning("look-up took too long", deadline_s=self._deadline_s)
            return track.unavailable()
        except AgentVoiceBoxError as error:
            _log.warning("look-up failed", code=error.code)
            return track.unavailable() if error.retryable else track.error()
        except Exception as error:
            _log.error("look-up broke", error=type(error).__name__)
            return track.error()

    async def _find(self, tenant_id: str, tracking_ids: list[str]) -> list[Any]:
        try:
            return list(await self._shipments.find(tenant_id, tracking_ids))
        except StorageLost:
            # A pooled connection may have died with a restarted server; the next one is fresh.
            return list(await self._shipments.find(tenant_id, tracking_ids))


def read_arguments(arguments: str) -> list[str] | None:
    """The readings of an id in a call's arguments, likeliest first; None when they can't be read.

    Lenient, since models write them: an object or its JSON once more as a string, common names of the key, an id that came
    as a whole number.
    """
    try:
        decoded: Any = msgspec.json.decode(arguments.encode())
        if isinstance(decoded, str):
            decoded = msgspec.json.decode(decoded.encode())
    except (msgspec.DecodeError, RecursionError):
        return None
    if not isinstance(decoded, dict):
        return None
    values = [decoded[key] for key in ID_KEYS if key in decoded][:1]
    more = decoded.get("candidates")
    if isinstance(more, list):
        values += more
    readings = [_as_text(value) for value in values]
    return [reading[:MOST_CHARACTERS] for reading in dict.fromkeys(readings) if reading.strip()]


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


async def serve_tool(settings: Settings, announce_ready: Callable[[], None], stop: asyncio.Event) -> None:
    """The role: say that it is ready once the store and the catalogue answer, then work until `stop` is set.

    Raises:
        BrokerLost: the store can't be reached at the start. StorageRefused: the tables are not there.
    """
    broker = RedisBroker(settings.redis_url)
    postgres = await Postgres.open(settings.postgres_url)
    try:
        await broker.queue_age_s(JobKind.TOOL)
        shipments = Catalogue(postgres)
        if not await _is_reachable(shipments, stop):
            return
        work = ToolWork(shipments)
        runner = Runner(broker, JobKind.TOOL, worker_name(JobKind.TOOL), slots=settings.tool_slots, work=work)
        announce_ready()
        await runner.run(stop)
    finally:
        await postgres.close()
        await broker.close()


async def _is_reachable(shipments: Catalogue, stop: asyncio.Event) -> bool:
    """Wait for the catalogue; False when `stop` came first."""
    failures = 0
    while not stop.is_set():
        try:
            await shipments.check()
            return True
        except StorageLost as error:
            failures += 1
            _log.warning("waiting for PostgreSQL", error=error.message)
            try:
                async with asyncio.timeout(STARTING.wait_s(failures)):
                    await stop.wait()
            except TimeoutError:
                continue
    return False
