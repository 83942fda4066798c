"""Going on with a session that another gateway held: who may, from what, and from where.

The log is replayed with its recorded times, so the engine ends where the former one stood, and its effects are the former
one's, event by event. Of these the client is sent what it had not got; the store is asked what of the last dispatch had not
landed. Everything else a gateway remembers of a session (jobs that are out, chunks that lie ready, the open turn) follows from
the engine's state. Sending and setting up are `call`'s and `perform`'s.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from agentvoicebox.audio.pcm import samples_of_ms
from agentvoicebox.audio.rates import INPUT_RATE_HZ
from agentvoicebox.engine.effects import Effect, EndUtterance, OpenJob, Send, SendAudio
from agentvoicebox.engine.inputs import Input, Opened
from agentvoicebox.engine.jobs import JobRequest
from agentvoicebox.engine.session import Engine
from agentvoicebox.errors import Overloaded
from agentvoicebox.gateway.handshake import NO_SUCH_SESSION, Return, SessionNotFound, Welcome
from agentvoicebox.gateway.house import House
from agentvoicebox.gateway.ledger import Ledger
from agentvoicebox.ports.broker import AppendAudio, AudioEntry, Broker, JobKind, SessionRef
from agentvoicebox.sessions.directory import KEY
from agentvoicebox.sessions.log import SavedSession
from agentvoicebox.telemetry.logs import get_logger

MS_SAMPLES = INPUT_RATE_HZ // 1000  # positions told to a client are whole milliseconds: whole samples in each format
FILTER_MS = (
    10  # heard again before the sample wanted, so that the resampler gives that sample as it would have unbroken
)
UNHEARD_MS = (
    1_000  # outside a turn: what the former detector may have been listening to without a word of it in the log
)

_entries: msgspec.msgpack.Decoder[tuple[float, Input]] = msgspec.msgpack.Decoder(tuple[float, Input])
log = get_logger(__name__)


@dataclass
class Restored:
    """A session as the log tells it.

    Attributes:
        steps: the replayed inputs: when, what, and what followed.
        effects: of all of them, in order.
        recent: of those inputs alone that came with the last dispatch, of which the rest may not have landed.
        last_s: session time of the last input.
        received: inputs since the session's start.
        covered: how many of them the snapshot covers.
    """

    engine: Engine
    ledger: Ledger
    steps: list[tuple[float, Input, list[Effect]]]
    effects: list[Effect]
    recent: list[Effect]
    last_s: float
    received: int
    covered: int

    @property
    def is_whole(self) -> bool:
        """Whether the replay began with the session."""
        return self.covered == 0

    def session_s(self, wall_s: float) -> float:
        """Session time at a wall time: the session's end is known in both. Never before the last input."""
        state = self.engine.state
        return max(self.last_s, state.expires_at_s - (state.config.expires_at - wall_s))


@dataclass
class Standing:
    """What the store says about a restored session.

    Attributes:
        start_sample: the caller's audio is wanted from here on.
        reached: of each open utterance, the sample after the last delivered.
        marks: marks of utterances that did not land.
        unclaimed: jobs of the last dispatch that nobody was ever handed.
        chunks: synthesised audio by job and sequence.
    """

    start_sample: int
    reached: dict[str, int] = field(default_factory=dict)
    marks: list[AppendAudio] = field(default_factory=list)
    unclaimed: dict[str, JobRequest] = field(default_factory=dict)
    chunks: dict[tuple[str, int], bytes] = field(default_factory=dict)


async def find(house: House, session: SessionRef, who: Welcome) -> dict[str, str]:
    """The session's fields in the directory. Raises SessionNotFound, also when it was opened with another key; StorageLost."""
    seen = await house.directory.find(session)
    if seen is None or not await house.reception.is_same_key(who.principal, seen.get(KEY, "")):
        raise SessionNotFound(NO_SUCH_SESSION)
    return seen


async def take_up(house: House, session: SessionRef, seen: Mapping[str, str], owner: str) -> Restored:
    """Take the session over, and read what it was.

    Raises:
        Overloaded: another gateway is taking it over just now.
        SessionNotFound: it is over, or too much of it is lost.
    """
    if not await house.directory.take_over(session, seen, owner=owner):
        raise Overloaded("Another connection goes on with this session.", code="session_busy")
    try:
        return restore(await house.past.saved_session(session))
    except SessionNotFound:
        house.directory.stop_renewing(session, owner)
        raise


def restore(past: SavedSession) -> Restored:
    """Replay a log. Raises SessionNotFound when there is nothing to go on with."""
    try:
        entries = [_entries.decode(each) for each in past.entries]
        engine = None if past.state is None else Engine.restore(past.state)
        ledger = msgspec.msgpack.decode(past.ledger, type=Ledger) if past.ledger else Ledger()
    except msgspec.MsgspecError as error:
        log.error("a session's log can't be read", error=type(error).__name__)
        raise SessionNotFound(NO_SUCH_SESSION) from error
    steps: list[tuple[float, Input, list[Effect]]] = []
    effects: list[Effect] = []
    recent_from = 0
    last_s = 0.0
    for index, (now_s, given) in enumerate(entries):
        if index == len(entries) - past.last_batch:
            recent_from = len(effects)
        if engine is None:
            if not isinstance(given, Opened):
                raise SessionNotFound(NO_SUCH_SESSION)
            engine, follows = Engine.open(given, now_s)
        else:
            follows = engine.receive(given, now_s)
        effects += follows
        steps.append((now_s, given, follows))
        ledger.note(given)
        last_s = now_s
    if engine is None or engine.is_closed:
        raise SessionNotFound(NO_SUCH_SESSION)
    ledger.keep_only(engine.state.jobs_out())
    received = past.through + len(entries)
    return Restored(engine, ledger, steps, effects, effects[recent_from:], last_s, received, past.through)


async def survey(broker: Broker, session: SessionRef, restored: Restored, came_back: Return) -> Standing:
    """Ask the store how far everything had come. Raises BrokerLost."""
    state = restored.engine.state
    turn = state.buffer.turn
    standing = Standing(max(state.buffer.start_sample, restored.ledger.last_sample - samples_of_ms(UNHEARD_MS)))
    if turn is not None and turn.failure is None:
        entries = await broker.delivered(session, turn.job_id)
        reached = _reached(entries, turn.start_sample)
        standing.reached[turn.job_id] = reached
        standing.start_sample = reached - samples_of_ms(FILTER_MS)
        pause = turn.pause_sample
        if pause is not None and turn.text_end_sample != pause and not _has_mark(entries, "probe", pause):
            standing.marks.append(AppendAudio(session, turn.job_id, AudioEntry("probe", pause)))
    for effect in restored.recent:
        match effect:
            case EndUtterance(job_id=job_id, end_sample=end, speech_end_sample=sample) if job_id in state.buffer.owed:
                if not _has_mark(await broker.delivered(session, job_id), "end", sample):
                    mark = AudioEntry("end", sample, end_sample=end)
                    standing.marks.append(AppendAudio(session, job_id, mark))
            case _:
                pass
    standing.start_sample = _whole_ms(standing.start_sample, came_back)

    out = state.jobs_out()
    opened = {each.job_id: each.request for each in restored.recent if isinstance(each, OpenJob) and each.job_id in out}
    attempts = await broker.attempts(session, {job_id: JobKind(out[job_id]) for job_id in opened})
    standing.unclaimed = {job_id: request for job_id, request in opened.items() if not attempts.get(job_id)}

    spoken = {each.job_id for each in unseen(restored.effects, came_back.last_event_id) if isinstance(each, SendAudio)}
    for response in state.responses.values():
        spoken |= {segment.job_id for segment in response.speech.segments if segment.job_id is not None}
    for record in await broker.audio(session, spoken):
        standing.chunks[record.job_id, record.sequence] = record.audio
    return standing


def place_of(effects: Sequence[Effect], event_id: str) -> int | None:
    """Which effect made the event of this id; None when none of these did."""
    for index, effect in enumerate(effects):
        match effect:
            case Send(event=event) if event_id in (event.event_id, f"{event.event_id}_tail"):
                return index
            case SendAudio(event_id=first) if event_id == first or event_id.startswith(f"{first}_"):
                return index
            case _:
                pass
    return None


def unseen(effects: Sequence[Effect], last_event_id: str) -> Sequence[Effect]:
    """What a client that got `last_event_id` last may lack; nothing when the event is not among these.

    Telephone audio is one stream a response, so of such responses it begins with the first chunk.
    """
    place = place_of(effects, last_event_id)
    if place is None:
        return []
    streams = {each.response_id for each in effects if isinstance(each, SendAudio) and each.format.type != "audio/pcm"}
    before = [each for each in effects[:place] if isinstance(each, SendAudio) and each.response_id in streams]
    return [*before, *effects[place:]]


def _reached(entries: Sequence[AudioEntry], start_sample: int) -> int:
    ends = [entry.at_sample + len(entry.pcm) // 2 for entry in entries if entry.mark == "audio"]
    return max([start_sample, *ends])


def _has_mark(entries: Sequence[AudioEntry], mark: str, sample: int) -> bool:
    return any(entry.mark == mark and entry.at_sample == sample for entry in entries)


def _whole_ms(sample: int, came_back: Return) -> int:
    """The position, as near as the client can come to it."""
    ms = max(0, sample) // MS_SAMPLES
    if came_back.audio_from_ms is not None:
        ms = max(ms, came_back.audio_from_ms)
    if came_back.audio_until_ms is not None:
        ms = min(ms, came_back.audio_until_ms)
    return ms * MS_SAMPLES
