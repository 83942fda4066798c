"""The file that tells a Prometheus on this machine where a process's metrics are (`file_sd_configs`), one for each process.

It is there while its process holds a lock on it. A file without a lock is that of a process which was killed, and may go,
whatever its number is used for now, and also where several containers share the folder.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
import structlog

from agentvoicebox.loopback import own_address

PATTERN = "*.json"
# Rights: who may read the folder may read the file, such as Prometheus under a user of its own.
OWN, OTHERS = 0o600, 0o044

_log = structlog.get_logger(__name__)


@contextlib.contextmanager
def scrape_target(folder: Path | None, process: str, host: str, port: int) -> Iterator[None]:
    """List an internal port for the duration of the block. None, or a folder that can't be written: it is not listed.

    Args:
        folder: see above.
        process: name of the process, the label `process`.
        host: that it listens on; of all addresses, loopback is named.
        port: that it listens on.
    """
    held = None
    if folder is not None:
        try:
            held = _write(folder, f"{process}-{os.getpid()}", _content(process, host, port))
        except OSError as error:
            _log.warning(
                "this process is not listed for Prometheus; set AVB_TARGETS_DIR to a folder that it may write",
                folder=str(folder),
                error=error.strerror,
            )
    try:
        yield
    finally:
        if held is not None:
            path, descriptor = held
            path.unlink(missing_ok=True)
            os.close(descriptor)


def sweep(folder: Path) -> int:
    """Delete the files of processes that are gone; returns how many."""
    gone = 0
    for path in folder.glob(PATTERN):
        with contextlib.suppress(OSError):  # another one swept it, or it is not ours
            descriptor = os.open(path, os.O_RDONLY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()
                gone += 1
            finally:
                os.close(descriptor)
    return gone


def _write(folder: Path, name: str, content: bytes) -> tuple[Path, int]:
    """Written beside its place and moved there: a reader sees all of it or nothing. Returns the place and the lock."""
    folder.mkdir(parents=True, exist_ok=True)
    path, draft = folder / f"{name}.json", folder / f"{name}.draft"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, OWN)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.fchmod(descriptor, OWN | folder.stat().st_mode & OTHERS)
        os.write(descriptor, content)
        draft.rename(path)
    except BaseException:
        os.close(descriptor)
        raise
    return path, descriptor


def _content(process: str, host: str, port: int) -> bytes:
    return msgspec.json.encode([{"targets": [own_address(host, port)], "labels": {"process": process}}])
