"""One call from its welcome to its last key: builds what a session needs, runs it, and leaves nothing behind.

Knows which tasks a call has (reader, writer, inbox, audio on its way to the store, driver) and that the driver's end is
the call's end. What each of them does is in its own file.
"""

import asyncio
import secrets
from collections.abc import Coroutine, Sequence
from typing import Any

from starlette.websockets import WebSocket

from agentvoicebox.engine.inputs import Closing, Input, JobFailed, Opened
from agentvoicebox.errors import AgentVoiceBoxError
from agentvoicebox.gateway.driver import Driver
from agentvoicebox.gateway.handshake import Welcome
from agentvoicebox.gateway.house import House
from agentvoicebox.gateway.inbox import Inbox
from agentvoicebox.gateway.ingest import Ingest
from agentvoicebox.gateway.loudspeaker import Loudspeaker
from agentvoicebox.gateway.open_jobs import OpenJobs
from agentvoicebox.gateway.outbox import Outbox
from agentvoicebox.gateway.perform import Performer
from agentvoicebox.gateway.shelf import ChunkShelf
from agentvoicebox.gateway.socket import FLUSH_S, POLICY_VIOLATION, SLOW_READER, Reader, Writer
from agentvoicebox.interactions.tape import Tape
from agentvoicebox.ports.broker import AppendAudio, Dispatch, JobKind, SessionRef, Submit
from agentvoicebox.telemetry.logs import get_logger
from agentvoicebox.telemetry.tap import TurnTap
from agentvoicebox.wire.server_events import ErrorBody, ErrorEvent
from agentvoicebox.wire.session_config import SessionConfig

SESSION_S = 3_600  # realtime-protocol §1.2: 60 minutes at most
CLIENT_LEFT = 1000
INTERNAL_ERROR = 1011

log = get_logger(__name__)


def new_session_id() -> str:
    """A fresh `sess_…` id. Random, not counted: it is also what a client later reconnects by."""
    return f"sess_{secrets.token_hex(10)}"


class Call:
    """One caller. Made after the upgrade was accepted; `run` once."""

    def __init__(
        self, house: House, websocket: WebSocket, welcome: Welcome, session: SessionRef, *, trace_id: str
    ) -> None:
        """`trace_id`: 32 hex digits that follow every job of the call."""
        self._house = house
        self._websocket = websocket
        self._welcome = welcome
        self._session = session
        self._trace_id = trace_id
        self._driver: Driver | None = None
        self._performer: Performer | None = None
        self._early_end: Closing | None = None

    def end(self, reason: str, code: int) -> None:
        """Ask the session to close: its client is told everything that is still due, then the code."""
        if self._driver is not None:
            self._driver.post(Closing(reason, code))
        else:
            self._early_end = Closing(reason, code)

    async def run(self) -> None:
        """Until the caller has left or was sent away. Raises BrokerLost when the store is away at the start."""
        house, session, clock = self._house, self._session, self._house.clock
        opened = Opened(
            config=self._config(int(clock.wall_s()) + SESSION_S),
            agent=self._welcome.agent.profile(),
            seed=secrets.token_hex(16),
            wall_s=clock.wall_s(),
        )
        fields = {"agent": self._welcome.agent.name, "model": self._welcome.model, "opened_s": f"{opened.wall_s:.3f}"}
        await house.directory.open(session, fields)
        results = await house.broker.results(session)

        outbox = Outbox(house.broker, self._lost)
        ear = Ingest(
            house.batcher,
            input_format=opened.config.input_format,
            turn_detection=opened.config.turn_detection,
            post=self._post,
            deliver=lambda job_id, entry: outbox.put(AppendAudio(session, job_id, entry)),
            end_of_turn=house.end_of_turn,
            clock=clock,
        )
        jobs, shelf = OpenJobs(house.metrics), ChunkShelf()
        loudspeaker = Loudspeaker(ear.set_agent_speaking, clock)
        tape = Tape(self._trace_id)
        tap = TurnTap(lambda sample: self._wall_s(ear.arrival_s(sample)))
        writer = Writer(self._websocket, self._welcome.dialect, lambda: self.end(SLOW_READER, POLICY_VIOLATION))
        performer = Performer(
            session,
            trace_id=self._trace_id,
            outbox=outbox,
            writer=writer,
            ear=ear,
            jobs=jobs,
            shelf=shelf,
            loudspeaker=loudspeaker,
            tap=tap,
            clock=clock,
            metrics=house.metrics,
            wants_trace=self._welcome.wants_trace,
        )
        driver = Driver(
            session,
            clock=clock,
            outbox=outbox,
            performer=performer,
            ear=ear,
            past=house.past,
            tap=tap,
            tape=tape,
            metrics=house.metrics,
        )
        self._driver, self._performer = driver, performer
        inbox = Inbox(results, driver=driver, writer=writer, ear=ear, jobs=jobs, shelf=shelf, clock=clock)
        reader = Reader(
            self._websocket, self._welcome.dialect, ear=ear, mailbox=driver, outbox=outbox, metrics=house.metrics
        )

        writing = asyncio.create_task(self._watched(writer.run()), name=f"{session.session_id} writer")
        helping: list[asyncio.Task[None]] = []
        try:
            await driver.open(opened)
            if self._early_end is not None:
                driver.post(self._early_end)
            helping += [
                asyncio.create_task(self._watched(reader.run(), ends_call=True), name=f"{session.session_id} reader"),
                asyncio.create_task(self._watched(inbox.run()), name=f"{session.session_id} inbox"),
                asyncio.create_task(self._watched(outbox.run()), name=f"{session.session_id} outbox"),
            ]
            await driver.run()
        except Exception:
            # A fault of ours. The client is told; whatever is out is stopped below; the other calls go on.
            log.exception("the call broke")
            body = ErrorBody(
                type="server_error", code="internal_error", message="The server failed; please call again."
            )
            writer.send(ErrorEvent(event_id=f"event_{secrets.token_hex(10)}", error=body))
            writer.close(INTERNAL_ERROR, "server_error.internal_error")
        finally:
            # Both end by themselves when told so: a cancellation that arrives just as the store answers may be lost on the way.
            await results.close()
            outbox.close()
            for task in helping:
                task.cancel()
            await asyncio.gather(*helping, return_exceptions=True)
            await driver.close()
            loudspeaker.stop()
            ear.close()
            performer.cancel_all()
            await outbox.flush()
            await asyncio.wait([writing], timeout=FLUSH_S)
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
            if house.recording is not None:
                house.recording.put(tape)

    def _config(self, expires_at: int) -> SessionConfig:
        session_id, model = self._session.session_id, self._welcome.model
        if self._welcome.is_transcription:  # there is no agent at this end of the line, only ears
            return SessionConfig(type="transcription", id=session_id, expires_at=expires_at)
        return self._welcome.agent.session(session_id=session_id, model=model, expires_at=expires_at)

    def _wall_s(self, monotonic_s: float | None) -> float | None:
        clock = self._house.clock
        return None if monotonic_s is None else monotonic_s + clock.wall_s() - clock.monotonic_s()

    def _post(self, given: Input) -> None:
        if self._driver is not None:
            self._driver.post(given)

    def _lost(self, batch: Sequence[Dispatch]) -> None:
        """The store did not take a batch: what depended on it has failed (the outbox keeps records by itself)."""
        broken: dict[str, None] = {}
        for action in batch:
            match action:
                case Submit(job=job) if job.kind is not JobKind.RECORD:
                    broken[job.job_id] = None
                case AppendAudio(job_id=job_id):
                    broken[job_id] = None
                case _:
                    pass
        for job_id in broken:
            if self._performer is not None:
                self._performer.job_lost(job_id)
            self._post(JobFailed(job_id, "broker_lost", "the store can't be reached"))

    async def _watched(self, work: Coroutine[Any, Any, None], *, ends_call: bool = False) -> None:
        """Run a helper. When it breaks, or the reader ends because the caller left, the session closes."""
        try:
            await work
        except AgentVoiceBoxError as error:
            log.warning("a part of the call gave up", error=error.code)
            self.end("server_error", INTERNAL_ERROR)
        except Exception:
            log.exception("a part of the call broke")
            self.end("server_error", INTERNAL_ERROR)
        else:
            if ends_call:
                self.end("client_left", CLIENT_LEFT)
