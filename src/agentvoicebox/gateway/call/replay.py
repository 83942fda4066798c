"""A session's log → the session as it was: another gateway continues from there.

The log is replayed with its recorded times, so the engine ends in the state that it had, and its effects are the same, event by
event. Everything else a gateway holds for a session (open jobs, buffered chunks, the open turn) follows from the engine's state.
"""

from dataclasses import dataclass

import msgspec

from agentvoicebox.engine.effects import Effect
from agentvoicebox.engine.inputs import Input, Opened
from agentvoicebox.engine.session import Engine
from agentvoicebox.errors import AgentVoiceBoxError
from agentvoicebox.gateway.admission.handshake import NO_SUCH_SESSION, SessionNotFound
from agentvoicebox.gateway.call.ledger import ResultLedger
from agentvoicebox.sessions.log import SavedSession
from agentvoicebox.telemetry.logs import get_logger

_entries: msgspec.msgpack.Decoder[tuple[float, Input]] = msgspec.msgpack.Decoder(tuple[float, Input])
log = get_logger(__name__)


@dataclass
class RestoredSession:
    """A session as its log tells it.

    Attributes:
        steps: the replayed inputs: session time, input, its effects.
        effects: of all of them, in order.
        recent: the effects of the inputs in the last dispatch, of which some may not have been carried out.
        last_s: session time of the last input.
        received: inputs since the session's start.
        covered: how many of them the snapshot covers.
    """

    engine: Engine
    ledger: ResultLedger
    steps: list[tuple[float, Input, list[Effect]]]
    effects: list[Effect]
    recent: list[Effect]
    last_s: float
    received: int
    covered: int

    @property
    def is_whole(self) -> bool:
        """Whether the replay began with the session's start."""
        return self.covered == 0

    def session_s(self, wall_s: float) -> float:
        """Session time at a wall time: the session's expiry is known in both. Never before the last input."""
        state = self.engine.state
        return max(self.last_s, state.expires_at_s - (state.config.expires_at - wall_s))


def replay(logged: SavedSession) -> RestoredSession:
    """Replay a log.

    Raises:
        SessionNotFound: it is empty, closed or unreadable.
        NewerFormat: a newer version wrote the snapshot.
    """
    try:
        return _replay(logged)
    except AgentVoiceBoxError:
        raise
    except Exception as error:  # bytes that don't decode, or a damaged state, in which a step may fail in any way
        log.exception("a session's log can't be replayed")
        raise SessionNotFound(NO_SUCH_SESSION) from error


def _replay(logged: SavedSession) -> RestoredSession:
    engine = None if logged.state is None else Engine.restore(logged.state)
    entries = [_entries.decode(each) for each in logged.entries]
    ledger = msgspec.msgpack.decode(logged.ledger, type=ResultLedger) if logged.ledger else ResultLedger()
    steps: list[tuple[float, Input, list[Effect]]] = []
    for now_s, given in entries:
        if engine is not None:
            follows = engine.receive(given, now_s)
        elif isinstance(given, Opened):
            engine, follows = Engine.open(given, now_s)
        else:
            raise SessionNotFound(NO_SUCH_SESSION)
        steps.append((now_s, given, follows))
        ledger.note(given)
    if engine is None or engine.is_closed:
        raise SessionNotFound(NO_SUCH_SESSION)
    ledger.keep_only(engine.state.jobs_out())
    return RestoredSession(
        engine=engine,
        ledger=ledger,
        steps=steps,
        effects=[effect for _, _, follows in steps for effect in follows],
        recent=[effect for _, _, follows in steps[len(steps) - logged.last_batch :] for effect in follows],
        last_s=steps[-1][0] if steps else 0.0,
        received=logged.through + len(entries),
        covered=logged.through,
    )
