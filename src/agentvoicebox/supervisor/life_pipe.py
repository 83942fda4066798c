"""The pipe from a child process to its supervisor: signs of life while it runs, and at its end the reason.

The child writes `ALIVE` when it is ready and then each second. One that can't go on writes `REASON` and a sentence at its end.
"""

import contextlib
import os
from collections.abc import Callable

ALIVE = b"."
REASON = b"!"
READ_BYTES = 65_536
REASON_BYTES_MAX = 4_000  # what a pipe takes in one piece (PIPE_BUF is 4,096)


def prove_life(fd: int) -> None:
    """The child: write one sign of life."""
    _write(fd, ALIVE)


def give_reason(fd: int, reason: str) -> None:
    """The child: say why it ends. A long reason is cut."""
    _write(fd, REASON + reason.encode(errors="replace")[:REASON_BYTES_MAX])


def _write(fd: int, data: bytes) -> None:
    with contextlib.suppress(BlockingIOError, BrokenPipeError):  # a parent that does not read, or has ended
        os.write(fd, data)


class LifePipe:
    """The supervisor's end.

    Args:
        on_life: called for signs of life.

    Attributes:
        writing: the child's end; `close_writing` once the child has it.
    """

    def __init__(self, on_life: Callable[[], None]) -> None:
        self.reading, self.writing = os.pipe()
        os.set_blocking(self.reading, False)
        self._on_life = on_life
        self._reason = b""

    @property
    def reason(self) -> str:
        """Why the child ended, as far as it was read; empty if it did not say."""
        return self._reason[len(REASON) :].decode(errors="replace")

    def read(self) -> bool:
        """Read what there is; False once the child has closed its end."""
        try:
            data = os.read(self.reading, READ_BYTES)
        except BlockingIOError:
            return True
        if not data:
            return False
        signs, mark, words = (b"", b"", data) if self._reason else data.partition(REASON)
        self._reason += mark + words
        if signs:
            self._on_life()
        return True

    def read_to_end(self) -> None:
        """Read what a child that has ended left behind."""
        left = 2  # a process that outlived the child may hold the pipe open: then there is no end
        while left and self.read():
            left -= 1

    def close_writing(self) -> None:
        """Close this process's copy of the child's end. Idempotent."""
        if self.writing >= 0:
            os.close(self.writing)
            self.writing = -1

    def close(self) -> None:
        """Close both ends."""
        self.close_writing()
        os.close(self.reading)
