"""The data folder: locked by one supervisor at a time, with a folder for sockets."""

import contextlib
import fcntl
import hashlib
import os
import pwd
import shutil
import tempfile
from pathlib import Path
from typing import IO

from agentvoicebox.errors import SettingsError

LOCK_FILE = "embedded.lock"
POSTGRES_PORT = 5432  # only part of the socket's name: no TCP port is opened
SOCKET_PATH_MAX = 100  # sun_path holds 108 bytes, the closing zero among them; PostgreSQL adds ".lock" to a sibling


class DataFolder:
    """A data folder that this process has locked.

    Args:
        path: the folder; created when absent.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).resolve()
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = self._acquire_lock()
        self.sockets = self._socket_folder()

    def _acquire_lock(self) -> IO[str]:
        path = self.path / LOCK_FILE
        while True:
            lock = path.open("w")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                lock.close()
                raise SettingsError(
                    f"the data folder {self.path} is in use by another server; stop it, or set AVB_DATA_DIR"
                ) from error
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(lock.fileno()), path.stat()):
                    return lock
            lock.close()  # the previous owner has just deleted the file, so this lock is void

    def _socket_folder(self) -> Path:
        folder = self.path / "run"
        if len(os.fsencode(folder / f".s.PGSQL.{POSTGRES_PORT}.lock")) > SOCKET_PATH_MAX:
            # The same data folder always gives the same name, so that leftovers of a killed server are found.
            digest = hashlib.blake2b(os.fsencode(self.path), digest_size=6).hexdigest()
            folder = Path(tempfile.gettempdir()) / f"avb-{os.getuid()}-{digest}"
        folder.mkdir(mode=0o700, exist_ok=True)
        owners = (0, unprivileged_ids()[0]) if os.getuid() == 0 else (os.getuid(),)
        if folder.is_symlink() or folder.stat().st_uid not in owners:
            raise SettingsError(f"{folder} belongs to another user; remove it, or choose a shorter AVB_DATA_DIR")
        return folder

    def close(self) -> None:
        """Unlock the folder and remove the sockets. Idempotent."""
        if not self._lock.closed:
            shutil.rmtree(self.sockets, ignore_errors=True)
            (self.path / LOCK_FILE).unlink(missing_ok=True)
            self._lock.close()


def is_in_use(folder: Path) -> bool:
    """Whether another process has locked a data folder. Creates nothing; an unlocked file is left as it is."""
    try:
        lock = (folder / LOCK_FILE).open()
    except FileNotFoundError:
        return False
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def unprivileged_ids() -> tuple[int, int]:
    """User and group id of the system's unprivileged user."""
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        return 65534, 65534
    return entry.pw_uid, entry.pw_gid
