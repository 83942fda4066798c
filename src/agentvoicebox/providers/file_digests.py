"""The SHA-256 of files, computed once for each change of a file and remembered in a small JSON file.

A file counts as unchanged while size, times of modification and of change, and inode are the same. No program can set the time of
change, so a file whose modification time was set back is read again.
"""

import contextlib
import hashlib
from pathlib import Path

import msgspec

from agentvoicebox.providers.whole_file import write_whole

HASH_BLOCK_BYTES = 1 << 20


class _Seen(msgspec.Struct, frozen=True, array_like=True):
    """What was known of a file when it was read."""

    size: int
    modified_ns: int
    changed_ns: int
    inode: int
    sha256: str


_decoder = msgspec.json.Decoder(dict[str, _Seen])


class FileDigests:
    """Digests of files.

    Args:
        memory: where they are remembered. Several processes may write it: the last one wins, and what was lost is computed again.
    """

    def __init__(self, memory: Path) -> None:
        self._memory = memory

    def of(self, path: Path, *, anew: bool = False) -> str:
        """The SHA-256 of a file, in hex.

        Args:
            path: the file.
            anew: read it even if it has not changed.

        Raises:
            OSError: it can't be read.
        """
        name, stat = str(path.resolve()), path.stat()
        seen = self._read().get(name)
        known = None if seen is None else (seen.size, seen.modified_ns, seen.changed_ns, seen.inode)
        if seen is not None and not anew and known == (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino):
            return seen.sha256
        sha256 = sha256_of(path)
        self._remember(name, _Seen(stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino, sha256))
        return sha256

    def _read(self) -> dict[str, _Seen]:
        try:
            return _decoder.decode(self._memory.read_bytes())
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            return {}

    def _remember(self, name: str, seen: _Seen) -> None:
        """Write the file whole. Where it can't be written, files are read again at each start."""
        with contextlib.suppress(OSError):
            write_whole(self._memory, msgspec.json.encode(self._read() | {name: seen}))


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as opened:
        while block := opened.read(HASH_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()
