"""Tables that a kit keeps in the deployment's PostgreSQL, beside those of the platform."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from agentvoicebox.settings import Settings
from agentvoicebox.storage.postgres import Postgres


@dataclass(frozen=True)
class KitDatabase:
    """A kit's tables.

    Attributes:
        revisions: folder of Alembic revisions in plain SQL (see `storage.migrate`). The database keeps the revision that it is
            at in the table `alembic_version_<kit>`.
        seed: puts example data into an embedded server at each start; None for none. A server of the operator's own is
            never seeded.
    """

    revisions: Path
    seed: Callable[[Settings, Postgres], Awaitable[None]] | None = None
