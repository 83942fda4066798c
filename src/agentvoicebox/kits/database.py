"""Tables of a kit in the deployment's PostgreSQL, beside those of the platform."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from agentvoicebox.settings import Settings

if TYPE_CHECKING:  # every process that knows a kit loads this file
    from agentvoicebox.storage.postgres import Postgres


@dataclass(frozen=True)
class KitDatabase:
    """A kit's tables.

    Attributes:
        revisions: folder of Alembic revisions in plain SQL (see `storage.migrate`). The table `alembic_version_<kit>` holds the
            database's current revision.
        seed: inserts example data into an embedded server at each start; None if there is none. The operator's own server is
            never seeded.
    """

    revisions: Path
    seed: "Callable[[Settings, Postgres], Awaitable[None]] | None" = None
