"""A server on this machine for a load run: `agentvoicebox serve` with its embedded servers, and tenants with a key each."""

import contextlib
import tempfile
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

from agentvoicebox.cli.database import database_url
from agentvoicebox.cli.local_server import local_server
from agentvoicebox.cli.places import share_models
from agentvoicebox.settings import Settings
from agentvoicebox.settings.gateway import UNMEASURED_CALLS
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.tenancy.api_keys import ApiKeys, TenantLimits
from agentvoicebox.tenancy.key_format import new_key

TENANTS = ("acme", "bolt", "crest", "delta")
LIMITED = "small"  # a tenant with fewer places than callers
SCRIPTED = {"AVB_STT_PROFILE": "scripted", "AVB_TTS_ORDER": "scripted"}


@dataclass(frozen=True)
class OwnServer:
    """A running server.

    Attributes:
        url: base URL.
        keys: one of each tenant.
        limited_key: of the tenant with few places.
    """

    url: str
    keys: tuple[str, ...]
    limited_key: str


@contextlib.asynccontextmanager
async def own_server(
    *, calls: int, models: Path, is_scripted: bool, progress: Callable[[str], None]
) -> AsyncIterator[OwnServer]:
    """Start it; all of it is gone at the end of the block.

    Args:
        calls: at once; the server has places for so many, its tenant `small` for a twentieth.
        models: folder of prepared voices.
        is_scripted: engines that answer at once, so that the platform alone is measured.
        progress: called with each step.

    Raises:
        ServerFailed: it did not start.
    """
    settings = {
        "AVB_MAX_CALLS": str(max(UNMEASURED_CALLS, calls)),
        "AVB_LOG_LEVEL": "warning",
        **(SCRIPTED if is_scripted else {}),
    }
    with tempfile.TemporaryDirectory(prefix="avb-load-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        share_models(models, folder)
        async with local_server(folder, settings=settings, progress=progress) as server:
            database = database_url(Settings(data_dir=str(folder)))
            postgres = await Postgres.open(database, most_connections=1)
            try:
                keys = ApiKeys(postgres)
                made = {tenant: new_key() for tenant in (*TENANTS, LIMITED)}
                for tenant, key in made.items():
                    await keys.create(tenant, key)
                await keys.set_limits(LIMITED, TenantLimits(sessions=max(1, calls // 20)))
            finally:
                await postgres.close()
            yield OwnServer(server.url, tuple(made[tenant].text for tenant in TENANTS), made[LIMITED].text)
