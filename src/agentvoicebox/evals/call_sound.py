"""The recorded audio of calls: written while they are played, and found again for a report.

Decides how much audio one page may hold.
"""

import base64
import os
import re
from collections.abc import Iterable
from pathlib import Path

import msgspec
import numpy as np

from agentvoicebox.client.call_record import CallRecord
from agentvoicebox.gateway.audio.file_encoder import new_call_encoder
from agentvoicebox.interactions.day_files import PRIVATE, PRIVATE_FOLDER

AUDIO_FOLDER = "audio"  # within a folder of interactions
MOST_BYTES = 6 * 1024 * 1024  # of one call: about a quarter of an hour of Opus
MOST_OF_A_PAGE = 40 * 1024 * 1024
TYPES = {".ogg": "audio/ogg", ".opus": "audio/ogg", ".wav": "audio/wav", ".mp3": "audio/mpeg", ".flac": "audio/flac"}


def write_sound(record: CallRecord, folder: Path) -> Path:
    """Write both sides of a call, as they were heard, into a folder as `SESSION.ogg`: caller left, agent right.

    Raises:
        OSError: the file can't be written.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=PRIVATE_FOLDER)
    encoder = new_call_encoder(record.rate_hz)
    data = encoder.feed(np.stack((record.caller_pcm, record.agent_pcm), axis=1)) + encoder.close()
    name = re.sub(r"[^A-Za-z0-9_-]", "_", record.session_id)  # the server chose it
    path = folder / f"{name}.ogg"
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE), "wb") as file:
        file.write(data)
    return path


class CallSound(msgspec.Struct, frozen=True):
    """The audio of one call.

    Attributes:
        url: a `data:` URL; "" if it is too long for a page.
        note: where it is instead.
    """

    url: str
    note: str = ""


class SoundBudget:
    """Makes `CallSound`s for one page, as long as there is room."""

    def __init__(self) -> None:
        self._left = MOST_OF_A_PAGE

    def sound(self, data: bytes, suffix: str, where: str) -> CallSound:
        """The audio as a part of the page.

        Args:
            data: the file's bytes.
            suffix: of its name, one of TYPES.
            where: where it can be found otherwise.
        """
        if len(data) > min(MOST_BYTES, self._left):
            return CallSound("", f"Its audio ({len(data) / 1e6:.1f} MB) is too long for this page: {where}")
        self._left -= len(data)
        return CallSound(f"data:{TYPES[suffix]};base64,{base64.b64encode(data).decode()}")


def sounds_in(folder: Path, call_ids: Iterable[str], budget: SoundBudget) -> dict[str, CallSound]:
    """The audio of calls in a folder, by call id: files named after the call, such as `sess_abc.ogg`.

    Raises:
        OSError: a file can't be read.
    """
    files = {path.stem: path for path in sorted(folder.iterdir()) if path.suffix.lower() in TYPES}
    return {
        each: budget.sound(files[each].read_bytes(), files[each].suffix.lower(), str(files[each]))
        for each in call_ids
        if each in files
    }
