"""The stored audio of a call, piece by piece."""

from collections.abc import AsyncIterator

from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.storage.queries import load
from agentvoicebox.storage.vault import Vault

PIECES_AT_ONCE = 4  # read in one transaction, which ends before they are sent: a slow listener holds no connection

_AFTER = load("audio_after")


def audio_place(tenant_id: str, session_id: str, piece_id: str) -> tuple[str, str, str]:
    """The context that an encrypted piece is bound to."""
    return (tenant_id, session_id, f"audio {piece_id}")


class CallAudioReader:
    """Reads audio.

    Args:
        vault: decrypts what was encrypted; HistorySealed is raised where none of its keys does.
    """

    def __init__(self, postgres: Postgres, vault: Vault | None = None) -> None:
        self._postgres = postgres
        self._vault = vault or Vault()

    async def pieces(self, tenant_id: str, session_id: str) -> AsyncIterator[bytes]:
        """The bytes of the Ogg Opus file, in order; none when no audio of this tenant's session is stored. Raises StorageLost."""
        position = -1
        while True:
            async with self._postgres.tenant_transaction(tenant_id) as connection:
                rows = await connection.fetch(_AFTER, tenant_id, session_id, position, PIECES_AT_ONCE)
            for row in rows:
                place = audio_place(tenant_id, session_id, row["piece_id"])
                yield self._vault.open_bytes(place, row["key"], row["data"]) if row["key"] else row["data"]
            if len(rows) < PIECES_AT_ONCE:
                return
            position = rows[-1]["position"]
