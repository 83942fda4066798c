"""The files of recorded interactions: JSON lines, one file a day, readable by the owner only. Old days are archived as .gz.

Decides file names and the rotation by UTC date. An incomplete line is lost alone; the lines around it stay readable. Several
processes may append to the same day.
"""

import fcntl
import gzip
import os
import re
import shutil
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import msgspec

from agentvoicebox.errors import NewerFormat
from agentvoicebox.interactions.interaction import Interaction, decode
from agentvoicebox.telemetry.logs import get_logger

PRIVATE = 0o600
PRIVATE_FOLDER = 0o700
ARCHIVE = "archive"
_DAY_FILE = re.compile(r"interactions-(\d{4}-\d{2}-\d{2})\.jsonl")

log = get_logger(__name__)


class DayFiles:
    """The folder of interactions.

    Args:
        folder: created by the first write.
        keep_days: days before a file is archived; at least 1.
    """

    def __init__(self, folder: Path, *, keep_days: int = 30) -> None:
        if keep_days < 1:
            raise ValueError("interactions are kept for at least one day")
        self._folder = folder
        self._keep_days = keep_days

    def path_of(self, wall_s: float) -> Path:
        """The file of the day that a Unix time falls on, in UTC."""
        return self._folder / f"interactions-{_day(wall_s).isoformat()}.jsonl"

    def append(self, line: bytes, wall_s: float) -> Path:
        """Append a line to the file of a day. It starts on a new line even if an earlier writer died in the middle of one.

        Raises:
            OSError: the file can't be written.
        """
        self._folder.mkdir(parents=True, exist_ok=True, mode=PRIVATE_FOLDER)
        path = self.path_of(wall_s)
        handle = _locked(path)
        try:
            size = os.fstat(handle).st_size
            is_torn = size > 0 and os.pread(handle, 1, size - 1) != b"\n"
            data = (b"\n" if is_torn else b"") + line + b"\n"
            while data:
                data = data[os.write(handle, data) :]
        finally:
            os.close(handle)
        return path

    def archive(self, wall_s: float) -> list[Path]:
        """Archive every day that is more than `keep_days` before a Unix time. A crash in between loses nothing.

        Returns:
            The archives that were written.
        """
        oldest = _day(wall_s) - timedelta(days=self._keep_days)
        made: list[Path] = []
        for path in self.open_days():
            if (day := _day_of(path)) and day < oldest and (packed := self._pack(path)):
                made.append(packed)
        return made

    def open_days(self) -> list[Path]:
        """The files that are not archived, oldest first."""
        return sorted(path for path in self._folder.glob("interactions-*.jsonl") if _day_of(path))

    def _pack(self, path: Path) -> Path | None:
        archive = self._folder / ARCHIVE
        archive.mkdir(exist_ok=True, mode=PRIVATE_FOLDER)
        packed = archive / f"{path.name}.gz"
        try:
            opened = path.open("rb")
        except FileNotFoundError:
            return None  # another process has just archived it
        with opened as source:
            try:
                fcntl.flock(source, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return None  # another process is archiving it
            if _is_gone(source.fileno()):
                return None
            part = packed.with_suffix(".part")
            handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE)
            with os.fdopen(handle, "wb") as raw:
                if packed.exists():  # an archive that was made before a crash, or before late lines
                    with packed.open("rb") as before:
                        shutil.copyfileobj(before, raw)
                with gzip.GzipFile(filename="", fileobj=raw, mode="wb") as target:
                    shutil.copyfileobj(source, target)
                raw.flush()
                os.fsync(raw.fileno())
            part.rename(packed)
            path.unlink()
        return packed


def read(path: Path) -> Iterator[Interaction]:
    """The interactions of a file (`.jsonl` or `.jsonl.gz`), or of all files below a folder, oldest first.

    Lines that can't be read are skipped with a warning: one for each line that a crash left incomplete, and one a file for
    all lines of a newer version.

    Raises:
        OSError: there is no such file.
    """
    if path.is_dir():
        files = [*path.rglob("interactions-*.jsonl"), *path.rglob("interactions-*.jsonl.gz")]
        for each in sorted(files, key=lambda file: file.name):
            yield from read(each)
        return
    seen: set[tuple[str, float, str]] = set()
    newer: list[NewerFormat] = []
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                interaction = decode(line)
            except NewerFormat as error:
                newer.append(error)
                continue
            except (msgspec.MsgspecError, ValueError) as error:
                log.warning("a line of interactions was skipped", file=path.name, line=number, error=_error_text(error))
                continue
            key = (interaction.call_id, interaction.began_s, interaction.correlation_id)
            if path.suffix == ".gz" and key in seen:
                continue  # archived twice because of a crash
            seen.add(key)
            yield interaction
    if newer:
        log.warning(
            "interactions were written by a newer version and skipped; upgrade to read them",
            file=path.name,
            lines=len(newer),
            format=max(error.found for error in newer),
            newest_read=newer[0].newest_read,
        )


def _locked(path: Path) -> int:
    """Open the file to append, locked for this process until it is closed."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, PRIVATE)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError:
            os.close(handle)
            raise
        if not _is_gone(handle):
            return handle
        os.close(handle)  # archived while we waited: a line written here would be lost


def _is_gone(handle: int) -> bool:
    """Whether the open file was deleted."""
    return os.fstat(handle).st_nlink == 0


def _error_text(error: Exception) -> str:
    return type(error).__name__ if isinstance(error, msgspec.MsgspecError) else str(error)


def _day(wall_s: float) -> date:
    return datetime.fromtimestamp(wall_s, UTC).date()


def _day_of(path: Path) -> date | None:
    match = _DAY_FILE.fullmatch(path.name)
    return date.fromisoformat(match[1]) if match else None
