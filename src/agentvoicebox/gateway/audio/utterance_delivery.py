"""Delivers the audio of open utterances to their recognition jobs.

Invariant: the entries of an utterance follow one another without gap or overlap, and hold no sample after the end of a turn that
the detector ended. (A commit by the client may find some later audio already delivered: the `end` mark says where to cut.)
"""

from collections.abc import Callable
from dataclasses import dataclass

from agentvoicebox.audio.pcm import bytes_of
from agentvoicebox.audio.rates import INPUT_RATE_HZ, PCM_BYTES
from agentvoicebox.audio.ring import AudioRing
from agentvoicebox.ports.broker import AudioEntry

# 100 ms: a tenth of the entries of 10 ms frames, and no delay at marks.
ENTRY_SAMPLES = INPUT_RATE_HZ // 10
# A backlog is delivered in larger entries, but none that blocks a reader.
MAX_ENTRY_SAMPLES = INPUT_RATE_HZ

Deliver = Callable[[str, AudioEntry], None]
"""Takes (job id, entry); must not block."""


def whole_utterance(pcm: bytes) -> list[AudioEntry]:
    """The entries of an utterance that is there at once, int16 mono 16 kHz from sample 0 on, and the mark of its end."""
    size = MAX_ENTRY_SAMPLES * PCM_BYTES
    audio = [AudioEntry("audio", at // PCM_BYTES, pcm[at : at + size]) for at in range(0, len(pcm), size)]
    length = len(pcm) // PCM_BYTES
    return [*audio, AudioEntry("end", length, end_sample=length)]


@dataclass(slots=True)
class _Utterance:
    """`limit_sample`: the turn ended there, so no later sample belongs to it; None while it is open."""

    next_sample: int
    limit_sample: int | None = None


class UtteranceDelivery:
    """The open utterances of one session. All positions are 16 kHz samples since the session began.

    Args:
        ring: the caller's audio.
        deliver: takes each entry.
        last_stop_sample: the end of the last turn that the detector ended.
    """

    def __init__(self, ring: AudioRing, deliver: Deliver, *, last_stop_sample: int = 0) -> None:
        self._ring = ring
        self._deliver = deliver
        self._utterances: dict[str, _Utterance] = {}
        self.last_stop_sample = last_stop_sample

    def __contains__(self, job_id: str) -> bool:
        """Whether the job's utterance is open."""
        return job_id in self._utterances

    def open(self, job_id: str, start_sample: int, certain_sample: int) -> None:
        """From now on, audio from `start_sample` is delivered to this job; see `deliver_up_to` for `certain_sample`."""
        utterance = _Utterance(max(start_sample, self._ring.start_sample))
        if start_sample < self.last_stop_sample:
            # The turn ended before the engine opened the job for its beginning.
            utterance.limit_sample = self.last_stop_sample
        self._utterances[job_id] = utterance
        self._flow(job_id, utterance, certain_sample)

    def restore(self, job_id: str, next_sample: int) -> None:
        """Continue a job that another gateway opened, from the sample after the last delivered one."""
        self._utterances[job_id] = _Utterance(next_sample)

    def deliver_up_to(self, certain_sample: int) -> None:
        """Deliver to each job what is certain to belong to its utterance: audio before `certain_sample`."""
        for job_id, utterance in list(self._utterances.items()):
            self._flow(job_id, utterance, certain_sample)

    def probe(self, job_id: str, speech_end_sample: int, certain_sample: int) -> None:
        """Deliver everything certain, then a `probe` mark. Unknown ids are ignored."""
        utterance = self._utterances.get(job_id)
        if utterance is not None:
            self._flow(job_id, utterance, certain_sample, is_complete=True)
            self._deliver(job_id, AudioEntry("probe", speech_end_sample))

    def probe_open(self, speech_end_sample: int, certain_sample: int) -> bool:
        """As `probe`, for the utterance of a turn that has not ended; False when its job is not open yet."""
        job_id = next((each for each, utterance in self._utterances.items() if utterance.limit_sample is None), None)
        if job_id is not None:
            self.probe(job_id, speech_end_sample, certain_sample)
        return job_id is not None

    def speech_resumed(self, at_sample: int) -> None:
        """The caller speaks again: the probe of each open utterance is void."""
        for job_id in self._utterances:
            self._deliver(job_id, AudioEntry("resume", at_sample))

    def turn_ended(self, end_sample: int) -> None:
        """The detector ended the turn: later audio belongs to none of the utterances that are open now."""
        self.last_stop_sample = end_sample
        for utterance in self._utterances.values():
            if utterance.limit_sample is None:
                utterance.limit_sample = end_sample

    def end(self, job_id: str, end_sample: int, speech_end_sample: int) -> None:
        """Deliver what is missing up to `end_sample`, then the `end` mark; the job is closed. Unknown ids are ignored."""
        utterance = self._utterances.pop(job_id, None)
        if utterance is not None:
            self._send(job_id, utterance, end_sample, is_complete=True)
            self._deliver(job_id, AudioEntry("end", speech_end_sample, end_sample=end_sample))

    def close(self, job_id: str) -> None:
        """The job was cancelled or failed: deliver nothing more. Unknown ids are ignored."""
        self._utterances.pop(job_id, None)

    def close_all(self) -> None:
        """The session is over."""
        self._utterances.clear()

    def _flow(self, job_id: str, utterance: _Utterance, certain_sample: int, *, is_complete: bool = False) -> None:
        limit = utterance.limit_sample
        up_to = certain_sample if limit is None else min(certain_sample, limit)
        self._send(job_id, utterance, up_to, is_complete=is_complete)

    def _send(self, job_id: str, utterance: _Utterance, up_to: int, *, is_complete: bool) -> None:
        """Deliver whole entries before `up_to`; with `is_complete` the remainder, too."""
        while (ready := up_to - utterance.next_sample) >= ENTRY_SAMPLES or (is_complete and ready > 0):
            count = ready if is_complete else ready // ENTRY_SAMPLES * ENTRY_SAMPLES
            at_sample = max(utterance.next_sample, self._ring.start_sample)
            utterance.next_sample += min(count, MAX_ENTRY_SAMPLES)
            pcm = self._ring.read(at_sample, utterance.next_sample)
            if len(pcm):
                self._deliver(job_id, AudioEntry("audio", at_sample, bytes_of(pcm)))
