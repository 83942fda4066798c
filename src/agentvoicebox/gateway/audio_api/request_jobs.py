"""The jobs of one REST request: a short-lived owner of a few, which leaves nothing behind.

It is no session: nothing is in the directory, so all its keys have a time to live, and should this gateway die they go by
themselves. At its end, whatever the reason, open jobs are cancelled and every key is deleted. Its workers are those of calls.
"""

import asyncio
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

import msgspec

from agentvoicebox.engine.inputs import JobFailed, WorkerInput
from agentvoicebox.engine.jobs import JobRequest
from agentvoicebox.errors import (
    UNREADABLE,
    BadProviderAnswer,
    BrokerLost,
    Overloaded,
    ProviderTimeout,
    ProviderUnavailable,
)
from agentvoicebox.gateway.admission.service_health import MODE_OF, RETRY_AFTER_S
from agentvoicebox.gateway.call.open_jobs import TIMEOUT_S, OpenJobs, kind_of
from agentvoicebox.gateway.state import GatewayState
from agentvoicebox.ports.broker import (
    MAX_RESULT_AUDIO_BYTES,
    MAX_RESULT_BYTES,
    AppendAudio,
    AudioEntry,
    Cancel,
    Dispatch,
    Job,
    JobKind,
    JobResult,
    ResultStream,
    SessionRef,
    Submit,
)
from agentvoicebox.telemetry.logs import bound_correlation_id, get_logger
from agentvoicebox.telemetry.trace_ids import trace_id_of

CHECK_S = 0.5  # between two looks at the workers' health; it is checked as often
LASTING = frozenset({"bad_provider_answer", "internal_error"})  # a retry would fail again

log = get_logger(__name__)
_decoder: msgspec.msgpack.Decoder[WorkerInput] = msgspec.msgpack.Decoder(WorkerInput)


class RequestJobs:
    """Jobs of one request. Made by `request_jobs`."""

    def __init__(self, state: GatewayState, owner: SessionRef, results: ResultStream) -> None:
        self._state = state
        self._owner = owner
        self._results = aiter(results)
        self._next: asyncio.Future[JobResult] | None = None
        self._open = OpenJobs(state.metrics)
        self._has_results = False
        self._correlation_id = bound_correlation_id() or trace_id_of(owner.session_id)
        ids = {"tenant_id": owner.tenant_id, "session_id": owner.session_id}
        self._log = log.bind(**ids, correlation_id=self._correlation_id)

    async def submit(self, request: JobRequest, audio: Sequence[AudioEntry] = ()) -> str:
        """Hand a job out, with all the audio that it needs; returns its id.

        Raises:
            Overloaded: no worker takes such jobs. BrokerLost.
        """
        kind = kind_of(request)
        if not self._has_results:
            require_workers(self._state, kind)
        job_id = f"job_{secrets.token_hex(10)}"
        payload = msgspec.msgpack.encode(request)
        job = Job(job_id, kind, self._owner, payload, self._state.clock.wall_s(), self._correlation_id)
        self._open.opened(job_id, request, self._state.clock.monotonic_s())
        if audio:
            self._open.utterance_ended(job_id, self._state.clock.monotonic_s())
        # In one go: an utterance without its end would keep a worker waiting.
        await self._state.broker.dispatch([Submit(job), *(AppendAudio(self._owner, job_id, each) for each in audio)])
        return job_id

    async def next_result(self) -> tuple[JobResult, WorkerInput]:
        """The next result of any open job; results of one job come in order.

        Raises:
            Overloaded: no worker is there, and none has answered yet. ProviderTimeout: none answered in time.
            ProviderError: the job has failed; the code says how. BrokerLost: its results can't be read.
        """
        since_s = self._state.clock.monotonic_s()  # not from the submission: the client may have read slowly
        while True:
            if self._next is None:
                self._next = asyncio.ensure_future(anext(self._results))
            done, _ = await asyncio.wait({self._next}, timeout=CHECK_S)
            if not done:
                self._require_progress(since_s)
                continue
            record, self._next = self._next.result(), None
            if record.job_id in self._open:
                return record, self._read(record)

    def _read(self, record: JobResult) -> WorkerInput:
        at_s = self._state.clock.monotonic_s()
        try:
            if len(record.body) > MAX_RESULT_BYTES or len(record.audio) > MAX_RESULT_AUDIO_BYTES:
                raise msgspec.ValidationError("too large")
            given = _decoder.decode(record.body)
        except UNREADABLE as error:
            self._open.close(record.job_id, "failed", at_s)
            raise BadProviderAnswer("a worker's answer could not be read") from error
        if isinstance(given, JobFailed):
            self._open.close(record.job_id, "failed", at_s)
            self._log.warning(
                "the job of a request failed", code=given.code, reason=given.message, job_id=record.job_id
            )
            failure = BadProviderAnswer if given.code in LASTING else ProviderUnavailable
            raise failure(given.message, code=given.code)
        self._open.answered(record, at_s)
        self._has_results = True
        return given

    def _require_progress(self, since_s: float) -> None:
        """In the middle of an answer a worker that died is waited for: another one goes on where it stopped."""
        kinds = set(self._open.of_kinds(TIMEOUT_S).values())
        if self._state.clock.monotonic_s() - since_s >= max(TIMEOUT_S[kind] for kind in kinds):
            raise ProviderTimeout("no worker answered in time", code="job_timeout")
        if self._state.health.is_store_unavailable:
            raise BrokerLost("the store can't be reached")
        if not self._has_results:
            for kind in kinds:
                require_workers(self._state, kind)

    async def close(self) -> None:
        """Cancel what is open."""
        if self._next is not None:
            self._next.cancel()
            await asyncio.gather(self._next, return_exceptions=True)
        if isinstance(self._results, AsyncGenerator):
            await self._results.aclose()
        at_s = self._state.clock.monotonic_s()
        cancels: list[Dispatch] = []
        for job_id in self._open.ids():
            kind = self._open.close(job_id, "cancelled", at_s)
            if kind is not None:
                cancels.append(Cancel(job_id, kind, self._owner))
        await self._state.broker.dispatch(cancels)


@asynccontextmanager
async def request_jobs(state: GatewayState, owner: SessionRef) -> AsyncIterator[RequestJobs]:
    """The jobs of one request, named by an `owner` of its own. Raises BrokerLost."""
    results = await state.broker.results(owner)
    jobs = RequestJobs(state, owner, results)
    try:
        yield jobs
    finally:
        with suppress(BrokerLost):  # the keys expire by themselves
            await jobs.close()
        await results.close()
        with suppress(BrokerLost):
            await state.broker.forget(owner)


def require_workers(state: GatewayState, kind: JobKind) -> None:
    """Raise Overloaded when no worker takes jobs of a kind, or its engines are away: a request must not wait for them."""
    mode = MODE_OF[kind].value
    if mode in state.health.modes(""):
        raise Overloaded("No worker is there for this now; please try again.", code=mode, retry_after_s=RETRY_AFTER_S)
