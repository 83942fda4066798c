"""How far the work of a restored session had come, according to the store."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from agentvoicebox.audio.pcm import samples_of_ms
from agentvoicebox.audio.rates import INPUT_RATE_HZ
from agentvoicebox.engine.effects import EndUtterance, OpenJob, SendAudio
from agentvoicebox.engine.jobs import JobRequest, Transcribe
from agentvoicebox.engine.turn import Turn
from agentvoicebox.gateway.admission.handshake import ResumeRequest
from agentvoicebox.gateway.call.missed_effects import missed_effects
from agentvoicebox.gateway.call.replay import RestoredSession
from agentvoicebox.ports.broker import AppendAudio, AudioEntry, Broker, JobKind, SessionRef

# Positions that a client gets are whole milliseconds: whole samples in each format.
MS_SAMPLES = INPUT_RATE_HZ // 1000
# Read again before the sample that is wanted, so that the resampler gives that sample as without the interruption.
FILTER_MS = 10
# Outside a turn: audio that the former turn detector may have had without a trace of it in the log.
UNLOGGED_MS = 1_000


@dataclass
class RestorePoint:
    """Where a restored session continues.

    Attributes:
        start_sample: the caller's audio is wanted from here on, 16 kHz samples since the session began.
        reached: of each open utterance, the sample after the last delivered one.
        marks: marks of utterances that the store does not have.
        unclaimed: jobs of the last dispatch that no worker was ever given.
        lost: recogniser jobs whose audio came with an item, and did not reach the store.
        chunks: synthesised audio by job and sequence.
    """

    start_sample: int
    reached: dict[str, int] = field(default_factory=dict)
    marks: list[AppendAudio] = field(default_factory=list)
    unclaimed: dict[str, JobRequest] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    chunks: dict[tuple[str, int], bytes] = field(default_factory=dict)


async def find_restore_point(
    broker: Broker, session: SessionRef, restored: RestoredSession, resume: ResumeRequest
) -> RestorePoint:
    """Ask the store how far each part of the session had come. Raises BrokerLost."""
    buffer = restored.engine.state.buffer
    point = RestorePoint(max(buffer.start_sample, restored.ledger.last_sample - samples_of_ms(UNLOGGED_MS)))
    turn = buffer.turn or buffer.suspect
    if turn is not None and turn.failure is None:
        await _find_open_turn(broker, session, turn, point)
    point.marks += await _missing_ends(broker, session, restored)
    point.lost = await _lost_item_audio(broker, session, restored)
    point.start_sample = _whole_ms(point.start_sample, resume)
    point.unclaimed = await _unclaimed_jobs(broker, session, restored)
    point.chunks = await _chunks(broker, session, restored, resume)
    return point


async def _find_open_turn(broker: Broker, session: SessionRef, turn: Turn, point: RestorePoint) -> None:
    """The open turn decides where audio is wanted from, and may lack its probe."""
    entries = await broker.delivered(session, turn.job_id)
    ends = [entry.at_sample + len(entry.pcm) // 2 for entry in entries if entry.mark == "audio"]
    reached = max([turn.start_sample, *ends])
    point.reached[turn.job_id] = reached
    point.start_sample = reached - samples_of_ms(FILTER_MS)
    pause = turn.pause_sample
    if pause is not None and turn.text_end_sample != pause and not _has_mark(entries, "probe", pause):
        point.marks.append(AppendAudio(session, turn.job_id, AudioEntry("probe", pause)))


async def _missing_ends(broker: Broker, session: SessionRef, restored: RestoredSession) -> list[AppendAudio]:
    """`end` marks of the last dispatch that did not reach the store."""
    missing = []
    for effect in restored.recent:
        if not isinstance(effect, EndUtterance) or effect.job_id not in restored.engine.state.buffer.owed:
            continue
        if not _has_mark(await broker.delivered(session, effect.job_id), "end", effect.speech_end_sample):
            mark = AudioEntry("end", effect.speech_end_sample, end_sample=effect.end_sample)
            missing.append(AppendAudio(session, effect.job_id, mark))
    return missing


async def _lost_item_audio(broker: Broker, session: SessionRef, restored: RestoredSession) -> list[str]:
    """Jobs of the last dispatch that wait for audio which only the former gateway had."""
    lost = []
    for effect in restored.recent:
        match effect:
            case OpenJob(job_id=job_id, request=Transcribe() as request) if request.has_item_audio:
                is_owed = job_id in restored.engine.state.buffer.owed
                if is_owed and not any(each.mark == "end" for each in await broker.delivered(session, job_id)):
                    lost.append(job_id)
            case _:
                pass
    return lost


async def _unclaimed_jobs(broker: Broker, session: SessionRef, restored: RestoredSession) -> dict[str, JobRequest]:
    out = restored.engine.state.jobs_out()
    opened = {each.job_id: each.request for each in restored.recent if isinstance(each, OpenJob) and each.job_id in out}
    attempts = await broker.attempts(session, {job_id: JobKind(out[job_id]) for job_id in opened})
    return {job_id: request for job_id, request in opened.items() if not attempts.get(job_id)}


async def _chunks(
    broker: Broker, session: SessionRef, restored: RestoredSession, resume: ResumeRequest
) -> dict[tuple[str, int], bytes]:
    """Audio that the client lacks, and audio of responses that are in progress."""
    missed = missed_effects(restored.effects, resume.last_event_id)
    jobs = {each.job_id for each in missed if isinstance(each, SendAudio)}
    for response in restored.engine.state.responses.values():
        jobs |= {segment.job_id for segment in response.segment_queue.segments if segment.job_id is not None}
    return {(record.job_id, record.sequence): record.audio for record in await broker.audio(session, jobs)}


def _has_mark(entries: Sequence[AudioEntry], mark: str, sample: int) -> bool:
    return any(entry.mark == mark and entry.at_sample == sample for entry in entries)


def _whole_ms(sample: int, resume: ResumeRequest) -> int:
    """The position, as near as the audio allows that the client can send again."""
    ms = max(0, sample) // MS_SAMPLES
    if resume.audio_from_ms is not None:
        ms = max(ms, resume.audio_from_ms)
    if resume.audio_until_ms is not None:
        ms = min(ms, resume.audio_until_ms)
    return ms * MS_SAMPLES
