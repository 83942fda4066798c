"""A session's items that are not in PostgreSQL yet: read from the stream in which they wait for the recorder.

The store holds no history of its own. An item is in the stream until it is written, usually for some milliseconds, or as long
as PostgreSQL is away; every item that left the stream is in PostgreSQL. So a long session needs no more room in the store than a
short one, and a reader of both places sees everything.
"""

from typing import Any

import msgspec

from agentvoicebox.broker.connection import Connection
from agentvoicebox.broker.job_streams import JobStreams
from agentvoicebox.engine.effects import Persist
from agentvoicebox.errors import UNREADABLE, BrokerLost
from agentvoicebox.ports.broker import Job, JobKind, SessionRef
from agentvoicebox.privacy.identifiers import IdentifierMask
from agentvoicebox.storage.privacy import protected
from agentvoicebox.storage.records import RecordBatch, TimedBatch
from agentvoicebox.storage.rules import RuleBook, Words
from agentvoicebox.storage.vault import Vault

MOST_BATCHES = 2_000  # of all sessions; some 10 ms. After a longer outage only the newest are seen.

MOST_BYTES = 32 * 1024 * 1024

_decoder = msgspec.msgpack.Decoder(RecordBatch)


class PlacedItem(msgspec.Struct, frozen=True):
    """An item and its position, as in `conversation_items`. An empty body: only its deletion is known."""

    item_id: str
    position: int
    revision: int
    body: dict[str, Any]
    is_deleted: bool = False

    def joined(self, other: "PlacedItem") -> "PlacedItem":
        """Two records of one item, merged by the same rule as `item_upsert` and `item_delete`."""
        newer, older = (self, other) if self.revision >= other.revision else (other, self)
        return PlacedItem(
            self.item_id,
            min(self.position, other.position),
            newer.revision,
            newer.body or older.body,
            self.is_deleted or other.is_deleted,
        )


class Tail:
    """Reads waiting items.

    Args:
        connection: to the store.
        rules: what is shown of words that are to be masked is what will be stored.
        mask: masks identifiers, as in what will be stored.
    """

    def __init__(self, connection: Connection, rules: RuleBook, mask: IdentifierMask | None = None) -> None:
        self._streams = JobStreams(connection)
        self._rules = rules
        self._mask = mask or IdentifierMask()

    async def of(self, tenant_id: str, session_id: str) -> dict[str, PlacedItem]:
        """Waiting items of a session, by id; none when the store is away. Raises StorageLost."""
        try:
            jobs = await self._streams.unfinished(
                JobKind.RECORD, SessionRef(tenant_id, session_id), most=MOST_BATCHES, most_bytes=MOST_BYTES
            )
        except BrokerLost:
            return {}
        found: dict[str, PlacedItem] = {}
        is_masked = bool(jobs) and (await self._rules.of(tenant_id)).words == "mask"
        words: Words = "mask" if is_masked else "keep"  # encrypted words are decrypted for their owner anyway
        for job in jobs:
            for position, record in _placed(job):
                match record.kind:
                    case "item":
                        body = protected(
                            record,
                            words=words,
                            vault=Vault(),
                            mask=self._mask,
                            tenant_id=tenant_id,
                            session_id=session_id,
                        )
                        item = PlacedItem(record.record_id, position, position, dict(body))
                    case "item_deleted":
                        item = PlacedItem(record.record_id, position, -1, {}, is_deleted=True)
                    case _:
                        continue
                before = found.get(item.item_id)
                found[item.item_id] = item if before is None else before.joined(item)
        return found


def _placed(job: Job) -> list[tuple[int, Persist]]:
    """The records of a batch; none of a damaged one, of which the recorder tells."""
    try:
        return list(TimedBatch(_decoder.decode(job.payload), job.submitted_s).placed())
    except (*UNREADABLE, ValueError, OverflowError):
        return []
