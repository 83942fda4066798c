"""Which sessions a reader of the history asks for."""

from datetime import UTC, date, datetime, time, timedelta

import msgspec

EARLIEST, LATEST = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)
MAX_WORDS = 8
MOST_SEARCHED = 500  # sessions whose items are searched for words: some 100 ms
SEARCH_TIMEOUT_MS = 1_000
# A session lasts 60 minutes at most. One that is older and has no end lost its gateway: it is over.
OPEN_AT_MOST = timedelta(minutes=65)


class SessionFilter(msgspec.Struct, frozen=True):
    """All conditions hold together; None or empty is no condition.

    Attributes:
        agent: name of the agent.
        is_open: True: sessions that go on; False: sessions that are over.
        first, last: days (UTC) on which they began, both included.
        id_prefix: how their id begins.
        words: all of them are in one item (in any case), which must be stored in clear. At most MAX_WORDS; only the newest
            MOST_SEARCHED sessions of the days are searched.
    """

    agent: str | None = None
    is_open: bool | None = None
    first: date | None = None
    last: date | None = None
    id_prefix: str | None = None
    words: tuple[str, ...] = ()

    @property
    def begins(self) -> datetime:
        """When the first day begins."""
        return EARLIEST if self.first is None else datetime.combine(self.first, time.min, UTC)

    @property
    def ends(self) -> datetime:
        """When the last day is over."""
        if self.last is None or self.last >= LATEST.date():
            return LATEST
        return datetime.combine(self.last, time.min, UTC) + timedelta(days=1)

    def patterns(self) -> list[str]:
        """The words as patterns of ILIKE."""
        return [f"%{_escaped(word)}%" for word in self.words]


EVERY_SESSION = SessionFilter()


def is_open(opened_at: datetime, closed_at: datetime | None, now: datetime) -> bool:
    """Whether a session goes on."""
    return closed_at is None and opened_at > now - OPEN_AT_MOST


def _escaped(word: str) -> str:
    return word.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
