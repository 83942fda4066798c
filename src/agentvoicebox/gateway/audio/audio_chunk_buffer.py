"""Synthesised audio between the store and the socket, by name: (job, sequence).

The engine knows chunks by name only and says when one is sent. A chunk that it never asks for must not stay: chunks are dropped
with their job when it is cancelled, with their response when it ends, and with a provisional answer when the next one begins.
"""

from collections.abc import Iterable


class AudioChunkBuffer:
    """One session's chunks, int16 mono PCM at 24 kHz."""

    def __init__(self) -> None:
        self._chunks: dict[str, dict[int, bytes]] = {}
        self._jobs_of: dict[str, set[str]] = {}  # response → its synthesis jobs
        self._created: set[str] = set()
        self._provisional: str | None = None

    def __len__(self) -> int:
        """Bytes held."""
        return sum(len(pcm) for chunks in self._chunks.values() for pcm in chunks.values())

    def put(self, job_id: str, sequence: int, pcm: bytes) -> None:
        """Add a chunk. Chunks of jobs that were never opened, or are cancelled, are ignored."""
        if job_id in self._chunks:
            self._chunks[job_id][sequence] = pcm

    def take(self, job_id: str, sequence: int) -> bytes:
        """Remove a chunk and return it; empty when it is not here (a resumed session may have sent it already)."""
        return self._chunks.get(job_id, {}).pop(sequence, b"")

    def generation_started(self, response_id: str) -> None:
        """A language model writes for a response. One that the client does not know yet replaces the provisional one before."""
        if response_id in self._created or response_id == self._provisional:
            return
        if self._provisional is not None:
            self.response_done(self._provisional)
        self._provisional = response_id

    def synthesis_started(self, response_id: str, job_id: str) -> None:
        """A synthesis job was opened: its chunks are accepted from now on."""
        self._jobs_of.setdefault(response_id, set()).add(job_id)
        self._chunks[job_id] = {}

    def restore(self, response_id: str, job_ids: Iterable[str], *, is_provisional: bool) -> None:
        """Accept chunks of a response that another gateway began."""
        self._jobs_of[response_id] = set(job_ids)
        self._chunks.update({job_id: {} for job_id in self._jobs_of[response_id]})
        if is_provisional:
            self._provisional = response_id
        else:
            self._created.add(response_id)

    def response_created(self, response_id: str) -> None:
        """The client knows the response: its chunks stay until it is done."""
        self._created.add(response_id)
        if self._provisional == response_id:
            self._provisional = None

    def response_done(self, response_id: str) -> None:
        """Drop the response's chunks."""
        self._created.discard(response_id)
        for job_id in self._jobs_of.pop(response_id, ()):
            self._chunks.pop(job_id, None)

    def job_cancelled(self, job_id: str) -> None:
        """Drop the job's chunks."""
        self._chunks.pop(job_id, None)
