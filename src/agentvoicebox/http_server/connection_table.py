"""The TCP connections of one server: decides which one is dropped when there are too many.

A connection is *unadmitted* until it has shown something that was admitted: a silent one, one in the middle of a request, an idle
one, a WebSocket whose key is not judged yet. Unadmitted ones make room for newcomers: first one of the same source, then any, the
longest waiting first. So silent connections keep no other out, and an admitted call is never dropped for them.
"""

from collections import OrderedDict
from typing import Protocol

from agentvoicebox.telemetry.logs import get_logger

MOST_CONNECTIONS = 4_096  # a connection costs some 10 kB
MOST_UNADMITTED_OF_SOURCE = 256  # more than a browser, a test run or an office opens at a time
NEAR = 0.8  # of the limit: from there on a warning is logged, once until it is below CALM
CALM = 0.6

log = get_logger(__name__)


class Transport(Protocol):
    """What the table needs of a connection."""

    def abort(self) -> None:
        """Close at once, without sending what waits."""


class ConnectionObserver(Protocol):
    """Sees how many connections there are, for metrics."""

    def set_limit(self, most: int) -> None:
        """So many may be open."""

    def connections_changed(self, total: int, unadmitted: int) -> None:
        """So many are open, so many of them unadmitted."""

    def connection_dropped(self, reason: str) -> None:
        """One was dropped by the server."""


class ConnectionTable:
    """The connections of one server.

    Args:
        most: connections in all.
        most_unadmitted_of_source: unadmitted ones of one source; 0: no limit, for a server behind a proxy, which is every source.
        observer: for metrics.
    """

    def __init__(
        self,
        *,
        most: int = MOST_CONNECTIONS,
        most_unadmitted_of_source: int = MOST_UNADMITTED_OF_SOURCE,
        observer: ConnectionObserver | None = None,
    ) -> None:
        self._most = most
        self._most_of_source = most_unadmitted_of_source
        self._observer = observer
        self._sources: dict[Transport, str] = {}
        self._unadmitted: OrderedDict[Transport, None] = OrderedDict()
        self._unadmitted_of: dict[str, OrderedDict[Transport, None]] = {}
        self._is_near = False
        if observer is not None:
            observer.set_limit(most)

    def __len__(self) -> int:
        """Number of connections."""
        return len(self._sources)

    def opened(self, transport: Transport, source: str) -> None:
        """A connection from `source` is open. It, or another one, is dropped if there are too many."""
        of_source = self._unadmitted_of.get(source, ())
        if self._most_of_source and len(of_source) >= self._most_of_source:
            self.drop(next(iter(of_source)), "source_limit")
        elif len(self._sources) >= self._most:
            if not self._unadmitted:
                self.count_dropped("limit")
                transport.abort()
                return
            self.drop(next(iter(self._unadmitted)), "limit")
        self._sources[transport] = source
        self._add_unadmitted(transport)
        self._changed()

    def admit(self, transport: Transport) -> None:
        """The connection has shown something that was admitted, or its request is being answered: it isn't dropped."""
        self._remove_unadmitted(transport)
        self._changed()

    def release(self, transport: Transport) -> None:
        """The answer is sent: the connection is idle, and unadmitted again."""
        if transport in self._sources and transport not in self._unadmitted:
            self._add_unadmitted(transport)
            self._changed()

    def closed(self, transport: Transport) -> None:
        """The connection is gone. Idempotent."""
        if transport in self._sources:
            self._remove_unadmitted(transport)
            del self._sources[transport]
            self._changed()

    def drop(self, transport: Transport, reason: str) -> None:
        """Close a connection at once."""
        self.count_dropped(reason)
        transport.abort()
        self.closed(transport)

    def count_dropped(self, reason: str) -> None:
        """A connection is closed because of what its client does."""
        if self._observer is not None:
            self._observer.connection_dropped(reason)

    def _add_unadmitted(self, transport: Transport) -> None:
        self._unadmitted[transport] = None
        self._unadmitted_of.setdefault(self._sources[transport], OrderedDict())[transport] = None

    def _remove_unadmitted(self, transport: Transport) -> None:
        if transport not in self._unadmitted:
            return
        del self._unadmitted[transport]
        source = self._sources[transport]
        of_source = self._unadmitted_of[source]
        del of_source[transport]
        if not of_source:
            del self._unadmitted_of[source]

    def _changed(self) -> None:
        total = len(self._sources)
        if self._observer is not None:
            self._observer.connections_changed(total, len(self._unadmitted))
        if not self._is_near and total >= self._most * NEAR:
            self._is_near = True
            log.warning(
                "many connections are open: near the limit, the longest waiting are closed",
                connections=total,
                unadmitted=len(self._unadmitted),
                limit=self._most,
            )
        elif self._is_near and total <= self._most * CALM:
            self._is_near = False
            log.info("connections are few again", connections=total, limit=self._most)
