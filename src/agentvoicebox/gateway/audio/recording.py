"""An uploaded recording while it is read: bytes of a file in, pieces of speech out, by way of a process of its own.

Neither the file nor the audio is held here. The process keeps the file, at most MAX_FILE_BYTES, and waits with the next
piece until the last one was taken.
"""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import suppress

from agentvoicebox.errors import BodyTooLarge, InvalidEvent, ProviderTimeout, ProviderUnavailable
from agentvoicebox.gateway.audio.recording_messages import (
    LENGTH_BYTES,
    RecordingEnd,
    RecordingMessage,
    RecordingRefused,
    SpeechPiece,
    read_message,
)
from agentvoicebox.processes.child_command import child_command
from agentvoicebox.processes.native_threads import without_library_threads

MAX_FILE_BYTES = 25 * 1024 * 1024  # as OpenAI
PIECE_WAIT_S = 120.0  # for the next piece: the longest silence, an hour, takes a quarter of it
CHILD = "agentvoicebox.gateway.audio.recording_child"
KEPT = ("PATH", "LANG", "LC_ALL", "TMPDIR")  # of the environment; not our keys


class Recording:
    """One recording. Use `close` at the end.

    Attributes:
        seconds: its length, once all pieces were read.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self._child: asyncio.subprocess.Process | None = None
        self._fed = 0

    async def _start(self) -> asyncio.subprocess.Process:
        environment = {name: os.environ[name] for name in KEPT if name in os.environ}
        command = child_command([sys.executable, "-I", "-m", CHILD], die_with=signal.SIGKILL)
        try:
            return await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,  # a library's text may show something of the file
                env=without_library_threads(environment),
            )
        except OSError as error:
            raise ProviderUnavailable("the process that reads recordings can't be started") from error

    async def feed(self, data: bytes) -> None:
        """Add bytes of the file; the first ones start the process. Raises BodyTooLarge, ProviderUnavailable."""
        self._fed += len(data)
        if self._fed > MAX_FILE_BYTES:
            raise BodyTooLarge(f"The file may hold {MAX_FILE_BYTES // (1024 * 1024)} MiB.")
        self._child = self._child or await self._start()
        stdin = self._child.stdin
        assert stdin is not None
        with suppress(BrokenPipeError, ConnectionResetError):  # `pieces` says that it has ended
            stdin.write(data)
            await stdin.drain()

    async def pieces(self) -> AsyncGenerator[SpeechPiece, None]:
        """The file is complete: its pieces of speech, in order.

        Raises:
            InvalidEvent: the file can't be transcribed; the message says why. Pieces may have come before.
            ProviderTimeout: reading it takes too long. ProviderUnavailable: the process has died.
        """
        if self._child is None:
            raise InvalidEvent("The file is empty.", code="invalid_value", param="file")
        stdin, stdout = self._child.stdin, self._child.stdout
        assert stdin is not None and stdout is not None
        stdin.close()
        while True:
            message = await self._next(stdout)
            match message:
                case SpeechPiece():
                    yield message
                case RecordingEnd(seconds=seconds):
                    self.seconds = seconds
                    return
                case RecordingRefused(message=why):
                    raise InvalidEvent(why, code="invalid_value", param="file")

    async def close(self) -> None:
        """End the process. Idempotent."""
        child, self._child = self._child, None
        if child is not None:
            with suppress(ProcessLookupError):
                child.kill()
            await child.wait()

    async def _next(self, stdout: asyncio.StreamReader) -> RecordingMessage:
        try:
            async with asyncio.timeout(PIECE_WAIT_S):
                size = int.from_bytes(await stdout.readexactly(LENGTH_BYTES), "big")
                return read_message(await stdout.readexactly(size))
        except TimeoutError as error:
            raise ProviderTimeout("the recording could not be read in time") from error
        except asyncio.IncompleteReadError as error:
            message = "The file can't be read as audio: it takes too much memory or time, or breaks its reader."
            raise InvalidEvent(message, code="invalid_value", param="file") from error
