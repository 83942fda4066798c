"""A recogniser for tests and benchmarks: returns a prepared text for each piece of audio, at once."""

import threading
from collections.abc import Callable, Sequence

from agentvoicebox.ports.providers import Int16Array, Transcript
from agentvoicebox.providers.stt.guards import is_silent


class ScriptedStt:
    """An Stt with prepared answers. `calls` holds the length of each piece of audio, in samples."""

    def __init__(self, answer: str | Sequence[str] | Callable[[Int16Array], str] = "where is my parcel") -> None:
        """Answer with one text always, with several in turn (then always the last), or with a function's result."""
        self._answer = answer
        self._lock = threading.Lock()
        self.calls: list[int] = []

    def transcribe(self, pcm: Int16Array, *, language: str | None = None, prompt: str | None = None) -> Transcript:
        """See ports.providers.Stt. Silence gives no text."""
        with self._lock:
            number = len(self.calls)
            self.calls.append(pcm.size)
        if is_silent(pcm):
            return Transcript("")
        if callable(self._answer):
            return Transcript(self._answer(pcm))
        if isinstance(self._answer, str):
            return Transcript(self._answer)
        return Transcript(self._answer[min(number, len(self._answer) - 1)])
