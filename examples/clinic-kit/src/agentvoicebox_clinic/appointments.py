"""Appointments, and the books that hold them: an SQLite file for a server, and memory for tests and evaluations."""

import asyncio
import re
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Protocol, Self

import msgspec

from agentvoicebox.errors import SettingsError, StorageLost
from agentvoicebox.settings import Settings
from agentvoicebox_clinic.settings import ClinicSettings

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
DIGITS = {"oh": "0"} | {word: str(digit) for digit, word in enumerate(WORDS)}
LOCK_WAIT_S = 0.5  # for another process that writes
SCHEMA = """
CREATE TABLE IF NOT EXISTS appointments (
    reference TEXT PRIMARY KEY, patient TEXT, day TEXT, time TEXT, doctor TEXT, is_cancelled INTEGER
);
CREATE TABLE IF NOT EXISTS cancellations (reference TEXT, session_id TEXT, call_id TEXT);
"""


class Appointment(msgspec.Struct, frozen=True, kw_only=True):
    """One appointment of this week.

    Attributes:
        reference: six digits.
        patient: a name; it is never said, and no tool returns it.
        day: a day of the week, `Tuesday`.
        time: hours and minutes, `9:30`.
        doctor: the family name, `Lee`.
    """

    reference: str
    patient: str
    day: str
    time: str
    doctor: str
    is_cancelled: bool = False


EXAMPLES = (
    Appointment(reference="305917", patient="Rosa Marin", day="Tuesday", time="9:30", doctor="Lee"),
    Appointment(reference="716350", patient="Jonas Falk", day="Thursday", time="11:15", doctor="Okafor"),
    Appointment(reference="593061", patient="Amal Haddad", day="Friday", time="2:45", doctor="Lee"),
)


def reference_in(text: str) -> str | None:
    """The reference number in what was said or typed; None when there is none."""
    words = re.findall(r"[a-z]+|\d", text.lower())
    compact = "".join(word if word.isdigit() else DIGITS.get(word, " ") for word in words)
    found = re.search(r"(?<!\d)\d{6}(?!\d)", compact)
    return found.group() if found else None


class Book(Protocol):
    """Where appointments are kept. Both methods raise StorageLost when it can't be read."""

    async def find(self, reference: str) -> Appointment | None:
        """The appointment of a reference number."""

    async def cancel(self, reference: str, session_id: str, call_id: str) -> Appointment | None:
        """Cancel an appointment and note who did it: the session and the tool call."""


class SqliteBook:
    """A book in a file, which all processes of a server share. Implements Book.

    Args:
        path: of the file; it is created, with `start` in it, when there is none.
        start: what a new book starts with. Appointments that are in the book stay as they are.

    Raises:
        StorageLost: the file can't be opened.
    """

    def __init__(self, path: Path, start: Iterable[Appointment]) -> None:
        self._path = path
        rows = [msgspec.structs.astuple(each) for each in start]
        try:
            with closing(sqlite3.connect(path, timeout=10.0)) as database, database:
                database.executescript(SCHEMA)
                database.executemany("INSERT OR IGNORE INTO appointments VALUES (?, ?, ?, ?, ?, ?)", rows)
        except sqlite3.Error as error:
            raise StorageLost(f"the clinic's book can't be opened: {error}") from error

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The book in the data folder. Raises also SettingsError: AVB_CLINIC_BOOK can't be read."""
        return cls(
            Path(settings.data_dir) / "clinic.sqlite", read_appointments(ClinicSettings.of(settings).clinic_book)
        )

    async def find(self, reference: str) -> Appointment | None:
        """See Book."""
        return await asyncio.to_thread(self._run, reference)

    async def cancel(self, reference: str, session_id: str, call_id: str) -> Appointment | None:
        """See Book."""
        return await asyncio.to_thread(self._run, reference, (session_id, call_id))

    def _run(self, reference: str, by: tuple[str, str] | None = None) -> Appointment | None:
        try:
            with closing(sqlite3.connect(self._path, timeout=LOCK_WAIT_S)) as database, database:
                if by is not None:
                    database.execute("UPDATE appointments SET is_cancelled = 1 WHERE reference = ?", (reference,))
                    database.execute("INSERT INTO cancellations VALUES (?, ?, ?)", (reference, *by))
                row = database.execute("SELECT * FROM appointments WHERE reference = ?", (reference,)).fetchone()
        except sqlite3.Error as error:
            raise StorageLost(f"the clinic's book can't be read: {error}") from error
        return None if row is None else Appointment(**dict(zip(Appointment.__struct_fields__, row, strict=True)))


class MemoryBook:
    """A book in memory. Implements Book. Args: appointments: what is in it; None: it can't be read."""

    def __init__(self, appointments: Iterable[Appointment] | None) -> None:
        self._of = None if appointments is None else {each.reference: each for each in appointments}

    async def find(self, reference: str) -> Appointment | None:
        """See Book."""
        if self._of is None:
            raise StorageLost("the book is away")
        return self._of.get(reference)

    async def cancel(self, reference: str, session_id: str, call_id: str) -> Appointment | None:
        """See Book."""
        found = await self.find(reference)
        if found is None or self._of is None:
            return None
        self._of[reference] = msgspec.structs.replace(found, is_cancelled=True)
        return self._of[reference]


def read_appointments(path: str) -> tuple[Appointment, ...]:
    """The appointments of a JSON file; the examples for "". Raises SettingsError."""
    if not path:
        return EXAMPLES
    try:
        return msgspec.json.decode(Path(path).read_bytes(), type=tuple[Appointment, ...])
    except (OSError, msgspec.DecodeError) as error:
        raise SettingsError(f"AVB_CLINIC_BOOK: {path}: {error}") from error
