"""What a gateway has taken in for a session, stored beside the engine's state: where another gateway has to continue.

The engine forgets where an input came from. The ledger holds how many records of each open job were taken, the highest input
position seen, and the client's last event. All of it follows from the inputs alone, so a replay of the log restores it.
"""

from collections.abc import Container

import msgspec

from agentvoicebox.engine.inputs import (
    AudioSynthesised,
    ClientEventReceived,
    Generated,
    Input,
    JobFailed,
    SpeechIgnored,
    SpeechPaused,
    SpeechStarted,
    SpeechStopped,
    SpeechSuspected,
    SynthesisDone,
    TextDelta,
    TimePassed,
    ToolCallDelta,
    ToolReturned,
    Transcribed,
)


class ResultLedger(msgspec.Struct):
    """One session's.

    Attributes:
        taken: records taken, by job.
        last_sample: input position, 16 kHz samples.
        last_client_event_id: the client's own id of the last of its events that had one.
    """

    taken: dict[str, int] = {}
    last_sample: int = 0
    last_client_event_id: str | None = None

    def note(self, given: Input) -> None:
        """Count an input that the engine received. Each record of a job is one input; a chunk of audio carries its number."""
        match given:
            case AudioSynthesised(job_id=job_id, sequence=sequence):
                self.taken[job_id] = sequence
            case (
                Transcribed()
                | TextDelta()
                | ToolCallDelta()
                | Generated()
                | SynthesisDone()
                | ToolReturned()
                | JobFailed()
            ):
                self.taken[given.job_id] = self.taken.get(given.job_id, 0) + 1
            case ClientEventReceived(event=event, at_sample=at_sample):
                self.last_sample = max(self.last_sample, at_sample)
                self.last_client_event_id = event.event_id or self.last_client_event_id
            case TimePassed(at_sample=at_sample):
                self.last_sample = max(self.last_sample, at_sample)
            case SpeechSuspected(start_sample=sample) | SpeechStarted(start_sample=sample):
                self.last_sample = max(self.last_sample, sample)
            case SpeechIgnored(end_sample=sample) | SpeechPaused(speech_end_sample=sample):
                self.last_sample = max(self.last_sample, sample)
            case SpeechStopped(end_sample=sample):
                self.last_sample = max(self.last_sample, sample)
            case _:
                pass

    def keep_only(self, jobs: Container[str]) -> None:
        """Drop jobs that are no longer open."""
        self.taken = {job_id: count for job_id, count in self.taken.items() if job_id in jobs}
