"""Runs one call, from the first event of its session until the caller has left or the session is another gateway's.

Knows which tasks a call has (reader, writer, inbox, outbox, driver, two beside them) and that the driver's end is the call's end.
What each of them does is in its own file; `session_start` and `session_resume` make the session, `call_assembly` the parts.

A session may outlive its call: when the connection breaks and the client said that it can resume, the call continues without a
caller for a while. When the session is resumed, here or at another gateway, that call drops.
"""

import asyncio
import secrets
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from agentvoicebox.broker.light_event import LightEvent
from agentvoicebox.engine.inputs import ClientEventRejected, Closing, ModeChanged
from agentvoicebox.errors import AgentVoiceBoxError, BrokerLost, ClientError, InfrastructureError, Refused, SessionTaken
from agentvoicebox.gateway.admission.call_admission import AdmittedCall
from agentvoicebox.gateway.admission.handshake import close_of
from agentvoicebox.gateway.admission.service_health import ServiceHealth
from agentvoicebox.gateway.admission.session_registry import GOING_AWAY, SERVICE_RESTART, SHUTDOWN
from agentvoicebox.gateway.call.call_parts import CallParts
from agentvoicebox.gateway.call.limits_report import report_limits
from agentvoicebox.gateway.call.session_start import SessionStart
from agentvoicebox.gateway.call.socket import FLUSH_S, POLICY_VIOLATION, SLOW_READER
from agentvoicebox.gateway.state import GatewayState
from agentvoicebox.telemetry.logs import get_logger
from agentvoicebox.wire.faults import body_of
from agentvoicebox.wire.server_events import ErrorEvent

CLIENT_LEFT = 1000
LEFT_ON_PURPOSE = (1000, 1001)  # 1005 may be either: uvicorn also reports it for a broken connection
INTERNAL_ERROR = 1011
IDLE_CHECK_S = 1.0

log = get_logger(__name__)


class SessionIdle(ClientError):
    """The client of a new session sent nothing."""

    code = "session_idle"
    close_code = GOING_AWAY


class Call:
    """One caller. `run` once."""

    def __init__(self, state: GatewayState, admitted: AdmittedCall, start: SessionStart, parts: CallParts) -> None:
        self._state = state
        self._admitted = admitted
        self._start = start
        self._parts = parts
        self._language_model = start.language_model
        self._modes = start.degraded
        self._leaving = LightEvent()
        self._is_taken = False
        self._waiting: asyncio.TimerHandle | None = None
        parts.writer.on_slow = self._close_slow_reader

    @property
    def is_over(self) -> bool:
        """After `run`: whether the session is over with the call."""
        return not self._leaving.is_set()

    def hand_over(self) -> None:
        """Leave the session to another gateway. When the caller can't resume, end it once nothing is in progress."""
        if self._admitted.request.can_resume:
            self._leaving.set()
        else:
            self._parts.driver.end_when_settled(Closing(SHUTDOWN, GOING_AWAY))

    def drop(self) -> None:
        """The session has another owner: leave at once and change nothing of it."""
        self._is_taken = True
        self._leaving.set()

    def on_health_changed(self, health: ServiceHealth) -> None:
        """Tell the client of changes, and give up jobs that no worker will answer."""
        modes = health.modes(self._language_model)
        if modes != self._modes:
            self._modes = modes
            self._parts.mailbox.post(ModeChanged(modes))
        self._parts.driver.is_store_full = health.is_store_full
        self._parts.input_audio.limit_backlog(health.is_store_full)
        self._parts.jobs.on_health_checked(health.absent)

    def end(self, reason: str, code: int) -> None:
        """Close the session: its client is sent everything that is still due, then the code."""
        self._parts.mailbox.post(Closing(reason, code))

    async def run(self) -> None:
        """Run until the caller has left or was sent away, or the session is another gateway's."""
        writing = self._task(self._parts.writer.run(), "writer")
        helpers: list[asyncio.Task[None]] = []
        try:
            await self._start.begin(self._parts)
            self.on_health_changed(self._state.health)
            self._admitted.slot.attach(self)
            helpers += [
                self._task(self._read(), "reader"),
                self._task(self._parts.inbox.run(), "inbox"),
                self._task(self._parts.outbox.run(), "outbox"),
                self._task(report_limits(self._admitted.authorization.quota, self._parts.writer), "limits"),
                self._task(self._recheck_account(), "account"),
                self._task(self._parts.audio.run(), "audio"),
            ]
            if self._admitted.request.resume is None and self._state.idle_s:
                helpers.append(self._task(self._end_if_unused(), "idle"))
            await self._drive()
        except SessionTaken:
            self.drop()
        except Exception:
            # Our own bug: the client gets an error, its jobs are cancelled below, and the other calls continue.
            log.exception("the call failed")
            error = AgentVoiceBoxError("The server failed; please call again.", code="internal_error")
            self._parts.writer.send(ErrorEvent(event_id=f"event_{secrets.token_hex(10)}", error=body_of(error)))
            self._parts.writer.close(INTERNAL_ERROR, "server_error.internal_error")
        finally:
            await self._stop(helpers)
            if self.is_over:
                await self._end_session()
            else:
                await self._leave_session()
            await asyncio.wait([writing], timeout=FLUSH_S)
            await _cancelled(writing)

    # -- the tasks -----------------------------------------------------------------------------------------------

    async def _drive(self) -> None:
        """Until the session is over, or left."""
        driver = self._parts.driver
        leaving = asyncio.create_task(self._leaving.wait())
        driving = asyncio.create_task(driver.run(), name=f"{self._admitted.session.session_id} driver")
        try:
            await asyncio.wait((driving, leaving), return_when=asyncio.FIRST_COMPLETED)
            if not driving.done():
                driver.halt()
            await driving
        finally:
            await _cancelled(leaving, driving)

    async def _read(self) -> None:
        """Until the caller is gone. A caller that can resume and did not hang up is waited for."""
        reader = self._parts.reader
        await reader.run()
        self._parts.writer.disconnect()
        await self._leave_secret()
        resume_s = self._state.resume_s
        if not self._admitted.request.can_resume or reader.left_code in LEFT_ON_PURPOSE or not resume_s:
            self.end("client_left", CLIENT_LEFT)
            return
        log.info("the connection broke, the session waits", seconds=resume_s)
        self._waiting = asyncio.get_running_loop().call_later(resume_s, self.end, "client_left", CLIENT_LEFT)

    async def _leave_secret(self) -> None:
        """The secret's slot is free for a new session of the page, unless the session has been resumed meanwhile."""
        if self._state.sessions.is_current(self._admitted.slot):
            with suppress(BrokerLost):  # then it is free within half a minute
                await self._state.admission.counts.leave_secret(self._admitted.session)

    async def _recheck_account(self) -> None:
        """Ask regularly whether the caller may continue, and by which limits. If not, send the reason and close."""
        admission, authorization = self._state.admission, self._admitted.authorization
        while True:
            await asyncio.sleep(admission.recheck_s)
            try:
                authorization.quota.set_account(await admission.account_status(authorization.principal))
            except Refused as error:
                log.info("the account was refused during the call", code=error.code)
                self._refuse(error)
                return
            except InfrastructureError:
                pass  # PostgreSQL is away, which never ends a call

    async def _end_if_unused(self) -> None:
        """End a call whose client never sends anything: it would hold a line for an hour."""
        clock, idle_s = self._state.clock, self._state.idle_s
        ends_s = clock.monotonic_s() + idle_s
        while not (self._parts.mailbox.has_client_event or self._parts.input_audio.position_samples):
            left_s = ends_s - clock.monotonic_s()
            if left_s <= 0:
                log.info("the client never sent anything", seconds=idle_s)
                self._refuse(SessionIdle(f"Nothing was sent within {idle_s:g} s of the session's start."))
                return
            await asyncio.sleep(min(left_s, IDLE_CHECK_S))

    def _refuse(self, error: AgentVoiceBoxError) -> None:
        """Send the reason, and close."""
        self._parts.mailbox.post(ClientEventRejected(error.message, error.code, error_type=error.error_type))
        code, reason = close_of(error)
        self.end(reason, code)

    def _task(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        return asyncio.create_task(self._guarded(work), name=f"{self._admitted.session.session_id} {name}")

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a task. When it fails, the session closes; when the session is another gateway's, the call drops."""
        try:
            await work
        except SessionTaken:
            self.drop()
        except AgentVoiceBoxError as error:
            log.warning("a part of the call gave up", code=error.code, reason=error.message)
            self.end("server_error", INTERNAL_ERROR)
        except Exception:
            log.exception("a part of the call failed")
            self.end("server_error", INTERNAL_ERROR)

    def _close_slow_reader(self) -> None:
        self.end(SLOW_READER, POLICY_VIOLATION)

    # -- the end -------------------------------------------------------------------------------------------------

    async def _stop(self, helpers: list[asyncio.Task[None]]) -> None:
        """Stop everything but the writer."""
        # Closed first: inbox and outbox then end by themselves. A cancellation just as the store answers may get lost on the way.
        await self._parts.results.close()
        self._parts.outbox.close()
        await _cancelled(*helpers)
        await self._parts.driver.close()
        await self._admitted.authorization.quota.settle()
        if self._waiting is not None:
            self._waiting.cancel()
        self._parts.playback.stop()
        self._parts.input_audio.close()
        await self._parts.audio.close()

    async def _end_session(self) -> None:
        """The session is over: nothing of it may continue."""
        self._parts.jobs.cancel_all()
        self._parts.jobs.record_turns()
        with suppress(SessionTaken):
            await self._parts.outbox.flush()
        if self._parts.tracer is not None:
            self._parts.tracer.call_ended(self._state.clock.wall_s())
        # A session that was resumed is recorded by its last gateway, if that has the whole log.
        if self._state.recording is not None:
            recorded = self._state.recording.put if self._start.is_recordable else self._state.recording.give_up
            recorded(self._parts.tape)

    async def _leave_session(self) -> None:
        """The session stays as it is, for another gateway or a resumed connection."""
        if not self._is_taken:
            self._parts.jobs.record_turns()
            with suppress(SessionTaken):
                await self._parts.outbox.flush()
        self._state.directory.stop_renewing(self._admitted.session, self._admitted.slot.owner)
        self._parts.writer.close(SERVICE_RESTART, "session_taken" if self._is_taken else SHUTDOWN)


async def _cancelled(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks, and return when they have ended."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
