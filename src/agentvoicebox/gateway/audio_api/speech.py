"""Text → speech, segment by segment: the next one is synthesised while the listener gets the one before.

At most JOBS_AHEAD segments are in work, and the next begins when one was taken, so a client that stops reading stops
the synthesis.
"""

from collections import deque
from collections.abc import AsyncGenerator

from agentvoicebox.engine.inputs import AudioSynthesised
from agentvoicebox.engine.jobs import Synthesise
from agentvoicebox.engine.segmenter import Segmenter
from agentvoicebox.gateway.audio_api.request_jobs import RequestJobs
from agentvoicebox.wire.speech_request import SpeechRequest

JOBS_AHEAD = 2
WITHIN_S = 0.5  # callers' segments that are due sooner come first


async def speak(jobs: RequestJobs, request: SpeechRequest) -> AsyncGenerator[bytes, None]:
    """The audio of a text, as int16 mono 24 kHz PCM, in order. Raises as `RequestJobs`."""
    waiting = deque(segments_of(request.text))
    chunks: dict[str, deque[bytes]] = {}  # by job, in the order of the text
    done: set[str] = set()
    while waiting or chunks:
        while waiting and len(chunks) < JOBS_AHEAD:
            segment = Synthesise("", waiting.popleft(), request.voice, request.speed, within_s=WITHIN_S)
            chunks[await jobs.submit(segment)] = deque()
        first = next(iter(chunks))
        if chunks[first]:
            yield chunks[first].popleft()
        elif first in done:
            del chunks[first]
        else:
            record, given = await jobs.next_result()
            if isinstance(given, AudioSynthesised) and record.audio:
                chunks[record.job_id].append(record.audio)
            if record.is_last:
                done.add(record.job_id)


def segments_of(text: str) -> list[str]:
    """A text, cut as the answers of an agent are. Blanks and line ends are one blank."""
    segmenter = Segmenter()
    return [*segmenter.feed(" ".join(text.split()) + " "), *segmenter.flush()]
