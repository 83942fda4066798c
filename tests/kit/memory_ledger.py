"""The ledger of tool calls with side effects, in one process: the same contract as over the store, for tests."""

import msgspec

from agentvoicebox.clock import Clock, SystemClock
from agentvoicebox.ports.broker import SessionRef
from agentvoicebox.tools.ledger import CallKey, LedgerEntry


class MemoryLedger:
    """See Ledger. For one process; nothing expires."""

    def __init__(self, *, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._entries: dict[tuple[SessionRef, str], LedgerEntry] = {}
        self._last: dict[tuple[SessionRef, str], tuple[str, str]] = {}  # name and arguments → (response, call)

    async def begin(self, key: CallKey, until_s: float) -> LedgerEntry:
        """See Ledger."""
        place, same = (key.session, key.call), (key.session, key.same)
        if place in self._entries:
            return self._entries[place]
        if same in self._last:
            response_id, call = self._last[same]
            twin = self._entries[(key.session, call)]
            if response_id == key.response_id or (twin.output is None and self._clock.wall_s() < twin.until_s):
                return twin
        self._entries[place] = LedgerEntry(key.call, until_s=until_s)
        self._last[same] = (key.response_id, key.call)
        return LedgerEntry(key.call, is_new=True, until_s=until_s)

    async def output(self, session: SessionRef, call: str) -> str | None:
        """See Ledger."""
        entry = self._entries.get((session, call))
        return None if entry is None else entry.output

    async def finish(self, session: SessionRef, call: str, output: str) -> None:
        """See Ledger."""
        entry = self._entries.get((session, call), LedgerEntry(call))
        if entry.output is None:
            self._entries[(session, call)] = msgspec.structs.replace(entry, output=output)
