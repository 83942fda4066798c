"""Keeps what callers said from other users of the machine: new files are private, and those of earlier runs become so."""

import os
import stat
from pathlib import Path

import structlog

UMASK = 0o077
# What holds words. Models are public, and foreign files in the folder are not changed.
OWN = ("valkey", "postgres", "postgres.draft", "run", "log", "interactions", "serve.log")

_OTHERS = 0o077
_READ_OR_WRITE = 0o066  # an unprivileged PostgreSQL needs to pass through the data folder (`embedded.postgres`)

_log = structlog.get_logger(__name__)


def create_private() -> None:
    """From now on, files that this process and its children create are for this user alone."""
    os.umask(UMASK)


def make_private(data_dir: str) -> None:
    """Take all rights of other users on the data folder and what the server keeps in it; logs if others could read or write.

    A folder that other users share (`/`, a home folder, one like `/tmp`) keeps its own rights; this is logged, too.
    """
    folder = Path(data_dir).resolve()
    if not folder.is_dir():
        return
    found = [path for name in OWN for path in _below(folder / name)]
    if is_shared := _is_shared(folder):
        _log.warning(
            "the data folder is shared with other users; set AVB_DATA_DIR to a folder of its own", folder=str(folder)
        )
    wider = 0
    for path in found if is_shared else (folder, *found):
        try:
            mode = stat.S_IMODE(path.lstat().st_mode)
            if mode & _OTHERS:
                path.chmod(mode & ~_OTHERS)
                wider += bool(mode & _READ_OR_WRITE)
        except FileNotFoundError:  # a running server deletes files
            continue
        except PermissionError:
            _log.warning("can't take other users' rights on a file of the data folder", path=str(path))
    if wider:
        _log.warning("other users could read or write the data folder; now they can't", folder=str(folder), files=wider)


def _below(path: Path) -> list[Path]:
    """A file, or a folder with everything in it. Symbolic links and sockets are left out."""
    if path.is_symlink() or not path.exists():
        return []
    found = [path]
    for place, folders, files in os.walk(path):
        found += [Path(place) / name for name in (*folders, *files)]
    return [each for each in found if not each.is_symlink() and (each.is_dir() or each.is_file())]


def _is_shared(folder: Path) -> bool:
    return folder in (Path(folder.anchor), Path.home()) or bool(folder.stat().st_mode & stat.S_ISVTX)
