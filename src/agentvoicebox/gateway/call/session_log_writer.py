"""Writes what a session can be restored from: each input to its log, and snapshots that bound the replay."""

import asyncio

import msgspec

from agentvoicebox.engine.inputs import Input
from agentvoicebox.engine.session import Engine
from agentvoicebox.errors import BrokerLost
from agentvoicebox.gateway.call.ledger import ResultLedger
from agentvoicebox.gateway.call.outbox import Outbox
from agentvoicebox.gateway.call.replay import RestoredSession
from agentvoicebox.ports.broker import AppendLog, SessionRef
from agentvoicebox.sessions.log import SessionLog
from agentvoicebox.telemetry.logs import get_logger

SNAPSHOT_EVERY = 200  # inputs, about two turns; their replay takes a few milliseconds (benchmarks/engine_steps.py)
SNAPSHOT_EVERY_BYTES = 2 * 1024 * 1024  # of inputs: few, but large
# A snapshot is saved when it is this old: a client that resumes can be sent again what lies after it.
REPLAY_S = 30.0
MAX_REPLAY_BYTES = 4 * 1024 * 1024  # of inputs; beyond it a snapshot is saved at any age

log = get_logger(__name__)


class _Snapshot(msgspec.Struct, frozen=True):
    taken_s: float
    state: bytes
    ledger: bytes
    received: int


class SessionLogWriter:
    """One session's log.

    Args:
        session: whose.
        owner: our token for the session; nothing is written once another gateway owns it.
        session_log: where snapshots are saved.
        outbox: by which inputs reach the store, in the round trip that carries their effects.
    """

    def __init__(self, session: SessionRef, owner: str, session_log: SessionLog, outbox: Outbox) -> None:
        self._session = session
        self._owner = owner
        self._session_log = session_log
        self._outbox = outbox
        self._ledger = ResultLedger()
        self._received = 0
        self._covered = 0  # inputs that the last saved snapshot covers
        self._pending: _Snapshot | None = None  # not old enough to be saved
        self._logged_bytes = 0  # since the last snapshot was taken
        self._saving: asyncio.Task[None] | None = None

    def restore(self, restored: RestoredSession) -> None:
        """Continue another gateway's log."""
        self._ledger = restored.ledger
        self._received, self._covered = restored.received, restored.covered

    def append(self, now_s: float, given: Input) -> None:
        """Log an input that the engine received at session time `now_s`."""
        self._received += 1
        self._ledger.note(given)
        entry = msgspec.msgpack.encode((now_s, given))
        self._logged_bytes += len(entry)
        self._outbox.put(AppendLog(self._session, entry))

    async def save_if_due(self, engine: Engine, now_s: float) -> None:
        """Take and save snapshots now and then.

        A snapshot is saved in the background, once it is old: the inputs after it are the replay buffer. After the store has lost
        inputs, one is saved at once and waited for, because only a snapshot of this moment closes the hole in the log.
        """
        if engine.is_closed or (self._saving is not None and not self._saving.done()):
            return
        is_urgent, self._outbox.has_lost = self._outbox.has_lost, False
        is_long = self._received - self._covered >= SNAPSHOT_EVERY or self._logged_bytes > SNAPSHOT_EVERY_BYTES
        if is_urgent or (self._pending is None and is_long):
            self._ledger.keep_only(engine.state.jobs_out())
            ledger = msgspec.msgpack.encode(self._ledger)
            self._pending = _Snapshot(now_s, engine.snapshot(), ledger, self._received)
            self._logged_bytes = 0
        snapshot = self._pending
        if snapshot is None:
            return
        if is_urgent or now_s - snapshot.taken_s >= REPLAY_S or self._logged_bytes > MAX_REPLAY_BYTES:
            self._pending = None
            self._saving = asyncio.create_task(self._save(snapshot), name="snapshot")
            if is_urgent:
                await self._saving

    async def close(self) -> None:
        """Cancel a snapshot that is being saved: the session is over."""
        if self._saving is not None:
            self._saving.cancel()
            await asyncio.gather(self._saving, return_exceptions=True)

    async def _save(self, snapshot: _Snapshot) -> None:
        try:
            await self._session_log.save_snapshot(
                self._session, snapshot.state, snapshot.received, ledger=snapshot.ledger, owner=self._owner
            )
            self._covered = snapshot.received
        except BrokerLost as error:
            log.warning("no snapshot was saved", code=error.code, reason=error.message)
            self._outbox.has_lost = True
