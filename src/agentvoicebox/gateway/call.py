"""One call from its welcome to its last key: builds what a session needs, runs it, and leaves nothing behind.

Knows which tasks a call has (reader, writer, inbox, audio on its way to the store, driver) and that the driver's end is
the call's end. What each of them does is in its own file.

A session may outlive its call: when the line breaks and the caller said that he would come back, the call goes on without a
caller for a while. Whoever goes on with the session, here or at another gateway, takes it over as `resume` says; then this call
drops.
"""

import asyncio
import itertools
import secrets
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from typing import Any

from starlette.websockets import WebSocket

from agentvoicebox.broker.light_event import LightEvent
from agentvoicebox.engine.inputs import ClientErred, Closing, Input, JobFailed, ModeChanged, Opened
from agentvoicebox.errors import AgentVoiceBoxError, InfrastructureError, Refused, SessionTaken
from agentvoicebox.gateway.driver import Driver
from agentvoicebox.gateway.handshake import LIMITS_MARK, Welcome, close_of
from agentvoicebox.gateway.house import GOING_AWAY, SERVICE_RESTART, SHUTDOWN, House
from agentvoicebox.gateway.inbox import Inbox
from agentvoicebox.gateway.ingest import Ingest
from agentvoicebox.gateway.loudspeaker import Loudspeaker
from agentvoicebox.gateway.modes import MODE_OF, Surroundings
from agentvoicebox.gateway.open_jobs import OpenJobs
from agentvoicebox.gateway.outbox import Outbox
from agentvoicebox.gateway.perform import Performer
from agentvoicebox.gateway.quota import Quota
from agentvoicebox.gateway.resume import MS_SAMPLES, Restored, Standing, place_of, survey
from agentvoicebox.gateway.shelf import ChunkShelf
from agentvoicebox.gateway.socket import FLUSH_S, POLICY_VIOLATION, SLOW_READER, Reader, Writer
from agentvoicebox.interactions.tape import Tape
from agentvoicebox.ports.broker import AppendAudio, Dispatch, JobKind, SessionRef, Submit
from agentvoicebox.sessions.directory import KEY
from agentvoicebox.telemetry.logs import get_logger
from agentvoicebox.telemetry.tap import TurnTap
from agentvoicebox.tenancy.rest_bodies import begin_with
from agentvoicebox.wire.faults import body_of
from agentvoicebox.wire.server_events import ErrorEvent, RateLimitsUpdated, SessionResumed
from agentvoicebox.wire.session_config import SessionConfig

SESSION_S = 3_600  # realtime-protocol §1.2: 60 minutes at most
CLIENT_LEFT = 1000
LEFT_ON_PURPOSE = (1000, 1001)  # 1005 may be either: uvicorn gives it for a broken line, too
INTERNAL_ERROR = 1011

log = get_logger(__name__)


def new_session_id() -> str:
    """A fresh `sess_…` id. Random, not counted: it is also what a client later reconnects by."""
    return f"sess_{secrets.token_hex(10)}"


class Call:
    """One caller. Made after the upgrade was accepted; `run` once."""

    def __init__(
        self, house: House, websocket: WebSocket, welcome: Welcome, session: SessionRef, *, trace_id: str, owner: str
    ) -> None:
        """`trace_id`: 32 hex digits that follow every job of the call. `owner`: its token for the session."""
        self._house = house
        self._websocket = websocket
        self._welcome = welcome
        self._session = session
        self._trace_id = trace_id
        self._driver: Driver | None = None
        self._performer: Performer | None = None
        self._early_end: Closing | None = None
        self._owner = owner
        self._letting_go = LightEvent()
        self._is_taken = False
        self._writer: Writer | None = None
        self._waiting: asyncio.TimerHandle | None = None
        self._jobs: OpenJobs | None = None
        self._language_model = welcome.agent.language_model
        self._modes: tuple[str, ...] = ()
        self.has_left = False

    @property
    def is_over(self) -> bool:
        """After `run`: whether the session is over with the call."""
        return not self._letting_go.is_set()

    def hand_over(self) -> None:
        """Leave, but the session as it is, for another gateway; who can't go there gets what was begun, then the end."""
        if self._welcome.can_resume:
            self._letting_go.set()
        elif self._driver is not None:
            self._driver.end_when_settled(Closing(SHUTDOWN, GOING_AWAY))
        else:
            self._early_end = Closing(SHUTDOWN, GOING_AWAY)

    def drop(self, owner: str = "") -> None:
        """The session has another owner: leave at once, and touch nothing of it. With `owner`: if that is our token."""
        if owner in ("", self._owner):
            self._is_taken = True
            self._letting_go.set()

    def feel(self, around: Surroundings) -> None:
        """What works around it: its client is told of changes, and jobs that nobody works on are given up."""
        if self._driver is None or self._performer is None or self._jobs is None:
            return
        modes = around.modes(self._language_model)
        if modes != self._modes:
            self._modes = modes
            self._driver.post(ModeChanged(modes))
        self._performer.absent = around.absent
        for job_id, kind in self._jobs.of(around.absent).items():
            self._performer.give_up(job_id, kind)
            self._unanswerable(job_id, kind)
        for job_id, kind in self._jobs.overdue(self._house.clock.wall_s()).items():
            self._performer.give_up(job_id, kind)
            self._driver.post(JobFailed(job_id, "job_timeout", "no worker answered in time"))

    def _unanswerable(self, job_id: str, kind: JobKind) -> None:
        self._post(JobFailed(job_id, MODE_OF[kind].value, "no worker is there for this"))

    def end(self, reason: str, code: int) -> None:
        """Ask the session to close: its client is told everything that is still due, then the code."""
        if self._driver is not None:
            self._driver.post(Closing(reason, code))
        else:
            self._early_end = Closing(reason, code)

    async def run(self, restored: Restored | None = None) -> None:
        """Until the caller has left or was sent away, or the session is another's. `restored`: the session that goes on.

        Raises:
            BrokerLost: the store is away at the start.
        """
        house, session, clock = self._house, self._session, self._house.clock
        came_back = self._welcome.return_of
        standing = Standing(0)
        quota = await house.reception.quota(self._welcome.principal)
        if restored is None or came_back is None:
            opened = Opened(
                config=self._config(int(clock.wall_s()) + SESSION_S),
                agent=self._welcome.agent.profile(),
                seed=secrets.token_hex(16),
                wall_s=clock.wall_s(),
            )
            config = opened.config
            fields = {
                "agent": self._welcome.agent.name,
                "model": self._welcome.model,
                "opened_s": f"{opened.wall_s:.3f}",
                KEY: self._welcome.principal.key_id,
            }
            await house.directory.open(session, fields, owner=self._owner)
            results = await house.broker.results(session)
        else:
            config = restored.engine.state.config
            self._language_model = restored.engine.state.agent.language_model
            self._modes = restored.engine.state.degraded
            standing = await survey(house.broker, session, restored, came_back)
            taken = {job_id: restored.ledger.taken.get(job_id, 0) for job_id in restored.engine.state.jobs_out()}
            results = await house.broker.results(session, taken=taken)

        outbox = Outbox(house.broker, self._lost, owner=self._owner)
        ear = Ingest(
            house.batcher,
            input_format=config.input_format,
            turn_detection=config.turn_detection,
            start_sample=standing.start_sample,
            post=self._post,
            deliver=lambda job_id, entry: outbox.put(AppendAudio(session, job_id, entry)),
            end_of_turn=house.end_of_turn,
            clock=clock,
        )
        jobs, shelf = OpenJobs(house.metrics), ChunkShelf()
        loudspeaker = Loudspeaker(ear.set_agent_speaking, clock)
        tape = Tape(self._trace_id, tenant_id=session.tenant_id)
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
            quota=quota,
            post=self._post,
            unanswerable=self._unanswerable,
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
            owner=self._owner,
        )
        self._driver, self._performer, self._writer, self._jobs = driver, performer, writer, jobs
        inbox = Inbox(results, driver=driver, writer=writer, ear=ear, jobs=jobs, shelf=shelf, clock=clock)
        reader = Reader(
            self._websocket,
            self._welcome.dialect,
            ear=ear,
            mailbox=driver,
            outbox=outbox,
            quota=quota,
            metrics=house.metrics,
        )

        writing = asyncio.create_task(self._watched(writer.run()), name=f"{session.session_id} writer")
        helping: list[asyncio.Task[None]] = []
        try:
            if restored is None or came_back is None:
                await driver.open(opened)
            else:
                driver.go_on(restored)
                performer.go_on(restored, standing)
                await driver.resume(secrets.token_hex(16))  # nothing is shown before the session is known to be ours
                self._welcome_back(writer, performer, restored, standing, came_back.last_event_id)
                loudspeaker.play_for(restored.engine.state.playout.remaining_ms(driver.now_s) / 1000)
            self.feel(house.around)
            if self._early_end is not None:
                driver.post(self._early_end)
            helping += [
                asyncio.create_task(self._watched(self._read(reader)), name=f"{session.session_id} reader"),
                asyncio.create_task(self._watched(inbox.run()), name=f"{session.session_id} inbox"),
                asyncio.create_task(self._watched(outbox.run()), name=f"{session.session_id} outbox"),
                asyncio.create_task(self._watched(self._account(quota, writer)), name=f"{session.session_id} quota"),
                asyncio.create_task(self._watched(self._stay_welcome(quota)), name=f"{session.session_id} standing"),
            ]
            await self._drive(driver)
        except SessionTaken:
            self.drop()
        except Exception:
            # A fault of ours. The client is told; whatever is out is stopped below; the other calls go on.
            log.exception("the call broke")
            broke = AgentVoiceBoxError("The server failed; please call again.", code="internal_error")
            writer.send(ErrorEvent(event_id=f"event_{secrets.token_hex(10)}", error=body_of(broke)))
            writer.close(INTERNAL_ERROR, "server_error.internal_error")
        finally:
            # Both end by themselves when told so: a cancellation that arrives just as the store answers may be lost on the way.
            await results.close()
            outbox.close()
            for task in helping:
                task.cancel()
            await asyncio.gather(*helping, return_exceptions=True)
            await driver.close()
            await quota.settle()
            if self._waiting is not None:
                self._waiting.cancel()
            loudspeaker.stop()
            ear.close()
            if self.is_over:
                performer.cancel_all()
            if not self._is_taken:
                with suppress(SessionTaken):
                    await outbox.flush()
            if not self.is_over:
                house.directory.stop_renewing(session, self._owner)
                writer.close(SERVICE_RESTART, "session_taken" if self._is_taken else SHUTDOWN)
            self.has_left = True
            await asyncio.wait([writing], timeout=FLUSH_S)
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
            # A call that was handed over is recorded by its last gateway, if that has the whole log.
            if house.recording is not None and self.is_over and (restored is None or restored.is_whole):
                house.recording.put(tape)

    async def _drive(self, driver: Driver) -> None:
        """Until the session is over, or let go."""
        letting_go = asyncio.create_task(self._letting_go.wait())
        driving = asyncio.create_task(driver.run(), name=f"{self._session.session_id} driver")
        try:
            await asyncio.wait((driving, letting_go), return_when=asyncio.FIRST_COMPLETED)
            if not driving.done():
                driver.halt()
            await driving
        finally:
            for task in (letting_go, driving):
                task.cancel()
            await asyncio.gather(letting_go, driving, return_exceptions=True)

    def _welcome_back(
        self, writer: Writer, performer: Performer, restored: Restored, standing: Standing, last_event_id: str
    ) -> None:
        """Tell a caller who came back where to go on, and what it missed."""
        if self._welcome.can_resume:
            resumed = SessionResumed(
                event_id=f"event_{secrets.token_hex(10)}",
                session_id=self._session.session_id,
                audio_start_ms=standing.start_sample // MS_SAMPLES,
                is_complete=place_of(restored.effects, last_event_id) is not None,
                last_client_event_id=restored.ledger.last_client_event_id,
            )
            writer.send(resumed)
        is_complete = performer.send_again(restored, standing, last_event_id)
        log.info("call goes on here", inputs=restored.received - restored.covered, is_complete=is_complete)

    async def _read(self, reader: Reader) -> None:
        """Until the caller is gone. One who said that he would come back, and did not hang up, is waited for."""
        await reader.run()
        if self._writer is not None:
            self._writer.leave()
        resume_s = self._house.resume_s
        if not self._welcome.can_resume or reader.left_code in LEFT_ON_PURPOSE or not resume_s:
            self.end("client_left", CLIENT_LEFT)
            return
        log.info("the line broke, the session waits", seconds=resume_s)
        self._waiting = asyncio.get_running_loop().call_later(resume_s, self.end, "client_left", CLIENT_LEFT)

    @staticmethod
    async def _account(quota: Quota, writer: Writer) -> None:
        """Charge what is used, and tell the client what is left.

        Under an id by which a client that got this last can be sent what follows: it lies in no log.
        """
        for number in itertools.count(1):
            if limits := await quota.next_limits():
                event_id = f"{writer.last_event_id}{LIMITS_MARK}{number}"
                writer.send(RateLimitsUpdated(event_id=event_id, rate_limits=limits))

    async def _stay_welcome(self, quota: Quota) -> None:
        """Ask now and then whether the caller may go on, and by which limits; who may not is told why, then closed."""
        reception = self._house.reception
        while True:
            await asyncio.sleep(reception.ask_every_s)
            try:
                quota.follow(await reception.standing(self._welcome.principal))
            except Refused as error:
                log.info("the call may not go on", code=error.code)
                self._post(ClientErred(error.message, error.code, error_type=error.error_type))
                code, reason = close_of(error)
                self.end(reason, code)
                return
            except InfrastructureError:
                pass  # who is on the line stays: PostgreSQL is away, and never ends a call

    def _config(self, expires_at: int) -> SessionConfig:
        session_id, model = self._session.session_id, self._welcome.model
        if self._welcome.is_transcription:  # there is no agent at this end of the line, only ears
            config = SessionConfig(type="transcription", id=session_id, expires_at=expires_at)
        else:
            config = self._welcome.agent.session(session_id=session_id, model=model, expires_at=expires_at)
        return begin_with(config, self._welcome.admitted.session)

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

    async def _watched(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a helper. When it breaks, the session closes; when the session is another's, the call drops."""
        try:
            await work
        except SessionTaken:
            self.drop()
        except AgentVoiceBoxError as error:
            log.warning("a part of the call gave up", error=error.code)
            self.end("server_error", INTERNAL_ERROR)
        except Exception:
            log.exception("a part of the call broke")
            self.end("server_error", INTERNAL_ERROR)
