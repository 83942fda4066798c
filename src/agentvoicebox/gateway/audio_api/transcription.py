"""Pieces of a recording → their words, in order, each as soon as it and those before it are known."""

from collections.abc import AsyncGenerator

from agentvoicebox.audio.rates import INPUT_RATE_HZ
from agentvoicebox.engine.inputs import Transcribed
from agentvoicebox.engine.jobs import Transcribe
from agentvoicebox.gateway.audio.recording_messages import SpeechPiece
from agentvoicebox.gateway.audio.utterance_delivery import whole_utterance
from agentvoicebox.gateway.audio_api.request_jobs import RequestJobs
from agentvoicebox.wire.transcript import TranscriptSegment
from agentvoicebox.wire.transcription_request import TranscriptionRequest

JOBS_AHEAD = 2
WITHIN_S = 2.0  # callers' utterances that are due sooner come first


async def transcribe(
    jobs: RequestJobs, pieces: AsyncGenerator[SpeechPiece, None], request: TranscriptionRequest
) -> AsyncGenerator[TranscriptSegment, None]:
    """The words of each piece that has any, in order. Raises as `RequestJobs`, and what `pieces` raises."""
    open_pieces: dict[str, SpeechPiece] = {}  # by job, in order
    texts: dict[str, str] = {}
    has_more = True
    while has_more or open_pieces:
        while has_more and len(open_pieces) < JOBS_AHEAD:
            piece = await anext(pieces, None)
            if piece is None:
                has_more = False
            else:
                open_pieces[await jobs.submit(_job_of(piece, request), whole_utterance(piece.pcm))] = piece
        if not open_pieces:
            return
        record, given = await jobs.next_result()
        if record.is_last:
            texts[record.job_id] = given.text if isinstance(given, Transcribed) else ""
        while open_pieces and (first := next(iter(open_pieces))) in texts:
            piece, text = open_pieces.pop(first), texts.pop(first).strip()
            if text:
                yield TranscriptSegment(piece.start_sample / INPUT_RATE_HZ, piece.end_sample / INPUT_RATE_HZ, text)


def _job_of(piece: SpeechPiece, request: TranscriptionRequest) -> Transcribe:
    return Transcribe(f"piece_{piece.start_sample}", 0, request.language, request.prompt, within_s=WITHIN_S)
