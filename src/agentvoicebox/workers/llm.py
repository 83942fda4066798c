"""The language worker: generates the assistant's next message, and continues where a dead worker stopped.

Decides how a stream becomes results: deltas that arrive while a result is being published leave as one. On a later attempt the
caller may have heard what earlier ones published, so nothing is repeated: a deterministic model is run again and the
known beginning skipped; any other model is asked to continue after it.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing

import msgspec
import structlog

from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.broker.store_health import StoreHealthMonitor
from agentvoicebox.engine.inputs import Generated, JobFailed, TextDelta, ToolCallDelta, WorkerInput
from agentvoicebox.engine.jobs import ChatMessage, Generate
from agentvoicebox.engine.tool_calls import is_json_object
from agentvoicebox.errors import BadProviderAnswer, ProviderBrokeOff, ProviderError
from agentvoicebox.kits.registry import kits_of
from agentvoicebox.ports.broker import JobKind, JobResult
from agentvoicebox.ports.language_model import Llm
from agentvoicebox.providers.closable import as_closable
from agentvoicebox.providers.llm.registry import LanguageModels, Server
from agentvoicebox.settings import Settings
from agentvoicebox.telemetry.process_report import ProcessReport
from agentvoicebox.workers.health import WorkerHealth
from agentvoicebox.workers.runner import Runner, Task, store_check, worker_name

Delta = TextDelta | ToolCallDelta | Generated

MAX_TEXT_BYTES = 256 * 1024  # of one answer; the longest a client may ask for is 4,096 tokens, some 20 KiB
MAX_CALLS_BYTES = 256 * 1024  # names and arguments of the tool calls of one answer
CALL_DELTA_BYTES = 32  # what a piece of a call takes beside its text

_log = structlog.get_logger(__name__)
_decoder: msgspec.msgpack.Decoder[WorkerInput] = msgspec.msgpack.Decoder(WorkerInput)


class PublishedText(msgspec.Struct, frozen=True):
    """The output that earlier attempts of a job have published.

    Attributes:
        text: all text, joined.
        calls: arguments of each tool call so far, by index.
    """

    text: str = ""
    calls: dict[int, str] = {}

    @classmethod
    def of(cls, records: Sequence[JobResult]) -> "PublishedText":
        """Read it from the job's results."""
        text, calls = "", dict[int, str]()
        for record in records:
            match _decoder.decode(record.body):
                case TextDelta(_, more):
                    text += more
                case ToolCallDelta(_, index, _, arguments):
                    calls[index] = calls.get(index, "") + arguments
        return cls(text, calls)


class LlmWork:
    """Runs one Generate job to its end."""

    def __init__(self, models: LanguageModels, *, on_failure: Callable[[], None] = lambda: None) -> None:
        """`on_failure` is called when a language model has failed, even if another one answered."""
        self._models = models
        self._on_failure = on_failure

    async def __call__(self, task: Task) -> None:
        """For Runner. Raises a retryable ProviderError when a stream broke after its first result."""
        try:
            await self._work(task)
        finally:
            if self._models.has_suspects:
                self._on_failure()

    async def _work(self, task: Task) -> None:
        request = task.request
        if not isinstance(request, Generate):
            raise BadProviderAnswer(f"not a language job: {type(request).__name__}")
        job_id = task.claim.job.job_id
        said = PublishedText.of(await task.published())
        try:
            deltas = bounded(self._deltas(request, job_id, said), job_id, said)
        except ProviderError as error:
            await self._fail(task, error)
            return
        is_begun = bool(said.text or said.calls)
        try:
            async with aclosing(_in_batches(deltas, task.cancelled)) as batches:
                async for batch in batches:
                    for delta in merged(batch):
                        await task.publish(delta, is_last=isinstance(delta, Generated))
                        is_begun = True
        except ProviderError as error:
            # An incomplete answer, even before its first published word, is left to another attempt; otherwise the guard has
            # already tried every model.
            if error.retryable and (is_begun or isinstance(error, ProviderBrokeOff)):
                raise
            await self._fail(task, error)

    def _deltas(self, request: Generate, job_id: str, said: PublishedText) -> AsyncGenerator[Delta, None]:
        model = self._models.get(request.language_model)
        if not said.text and not said.calls:
            return as_closable(model.llm.generate(request, job_id))
        if model.is_deterministic:
            return skipped(model.llm.generate(request, job_id), said)
        if said.calls:
            return _finished_calls(job_id, said)
        return continued(model.llm, request, job_id, said.text)

    async def _fail(self, task: Task, error: ProviderError) -> None:
        job_id = task.claim.job.job_id
        _log.warning("no answer from the language model", job_id=job_id, code=error.code, reason=error.message)
        await task.publish(JobFailed(job_id, error.code or "provider_error", error.message), is_last=True)


async def bounded(deltas: AsyncGenerator[Delta, None], job_id: str, said: PublishedText) -> AsyncGenerator[Delta, None]:
    """An answer of at most MAX_TEXT_BYTES: a longer one ends as cut off by its length.

    Raises:
        BadProviderAnswer: the tool calls are longer than MAX_CALLS_BYTES; a part of one can't be run.
    """
    text_bytes = len(said.text.encode())
    calls_bytes = sum(len(arguments.encode()) for arguments in said.calls.values())
    async with aclosing(deltas) as stream:
        async for delta in stream:
            match delta:
                case TextDelta(text=text):
                    text_bytes += len(text.encode(errors="backslashreplace"))
                    if text_bytes > MAX_TEXT_BYTES:
                        yield Generated(job_id, "length", 0, text_bytes // 4)
                        return
                case ToolCallDelta(name=name, arguments=arguments):
                    written = (name or "") + arguments
                    calls_bytes += CALL_DELTA_BYTES + len(written.encode(errors="backslashreplace"))
                    if calls_bytes > MAX_CALLS_BYTES:
                        raise BadProviderAnswer("the language model's tool calls are too long")
                case _:
                    pass
            yield delta


def merged(batch: Sequence[Delta]) -> list[Delta]:
    """Merge adjacent deltas of the same text or call."""
    joined: list[Delta] = []
    for delta in batch:
        match (joined[-1] if joined else None), delta:
            case TextDelta(job_id, before), TextDelta(_, after):
                joined[-1] = TextDelta(job_id, before + after)
            case ToolCallDelta(job_id, index, name, before), ToolCallDelta(_, same, None, after) if index == same:
                joined[-1] = ToolCallDelta(job_id, index, name, before + after)
            case _:
                joined.append(delta)
    return joined


async def skipped(deltas: AsyncIterator[Delta], said: PublishedText) -> AsyncGenerator[Delta, None]:
    """A repeated stream, without the beginning that was published before."""
    text = len(said.text)
    calls = {index: len(arguments) for index, arguments in said.calls.items()}
    async with aclosing(as_closable(deltas)) as again:
        async for delta in again:
            match delta:
                case TextDelta(job_id, words):
                    words, text = words[text:], max(0, text - len(words))
                    if words:
                        yield TextDelta(job_id, words)
                case ToolCallDelta(job_id, index, _, arguments) if index in said.calls:
                    rest, calls[index] = arguments[calls[index] :], max(0, calls[index] - len(arguments))
                    if rest:
                        yield ToolCallDelta(job_id, index, None, rest)
                case _:
                    yield delta


async def continued(llm: Llm, request: Generate, job_id: str, said: str) -> AsyncGenerator[Delta, None]:
    """The rest of a message whose beginning was published, from a model that is not deterministic.

    The model gets the beginning as its own last message, and is asked to go on. Some models repeat such a message from the start:
    text that repeats the beginning is not published.
    """
    asked = msgspec.structs.replace(
        request, is_continuation=True, messages=(*request.messages, ChatMessage("assistant", said))
    )
    held, is_free = "", False
    async with aclosing(as_closable(llm.generate(asked, job_id))) as deltas:
        async for delta in deltas:
            if isinstance(delta, TextDelta) and not is_free:
                held += delta.text
                if len(held) < len(said) and said.startswith(held):
                    continue
                rest = held[len(said) :] if held.startswith(said) else _spaced(said, held)
                held, is_free = "", True
                if rest:
                    yield TextDelta(job_id, rest)
                continue
            yield delta


def _spaced(before: str, after: str) -> str:
    """`after`, with a space in front where two words would run together."""
    return f" {after}" if before[-1:].isalnum() and after[:1].isalnum() else after


async def _finished_calls(job_id: str, said: PublishedText) -> AsyncGenerator[Delta, None]:
    """Publish the end of complete tool calls; an incomplete call can't be continued."""
    if not all(is_json_object(arguments) for arguments in said.calls.values()):
        raise BadProviderAnswer("the language model was interrupted within a tool call")
    yield Generated(job_id, "tool_calls", 0, len(said.calls))


async def _in_batches(
    deltas: AsyncGenerator[Delta, None], cancelled: asyncio.Event
) -> AsyncGenerator[list[Delta], None]:
    """The deltas since the last batch, as soon as there are any; ends early when cancelled."""
    waiting: deque[Delta] = deque()
    news = asyncio.Event()

    async def read() -> None:
        try:
            async with aclosing(deltas) as stream:
                async for delta in stream:
                    waiting.append(delta)
                    news.set()
        finally:
            news.set()

    reading = asyncio.create_task(read())
    stopping = asyncio.create_task(cancelled.wait())
    try:
        while not cancelled.is_set():
            hearing = asyncio.create_task(news.wait())
            await asyncio.wait({hearing, stopping}, return_when=asyncio.FIRST_COMPLETED)
            hearing.cancel()
            news.clear()
            if waiting and not cancelled.is_set():
                batch = list(waiting)
                waiting.clear()
                yield batch
            if reading.done() and not waiting:
                reading.result()
                return
    finally:
        for each in (reading, stopping):
            each.cancel()
        await asyncio.gather(reading, stopping, return_exceptions=True)


async def serve_llm(
    settings: Settings, announce_ready: Callable[[], None], stop: asyncio.Event, report: ProcessReport
) -> None:
    """The role: announce readiness once the store answers, then work until `stop` is set.

    It starts even if a language model server is unavailable: the kits' models need no server, and others are guarded.

    Raises:
        BrokerLost: the store can't be reached at the start.
    """
    kits = kits_of(settings)
    models = LanguageModels(
        [Server(*server) for server in settings.language_servers],
        deterministic=kits.language_models(),
        grounded=kits.grounded,
        on_change=report.breakers.changed,
    )
    report.breakers.watch(models.breakers)
    broker = RedisBroker(settings.redis_url, on_dead_letter=report.workers.dead_letter)
    name = worker_name(JobKind.LLM)
    health = WorkerHealth(StoreHealthMonitor(broker.connection), JobKind.LLM, name, models.unavailable)
    try:
        await broker.queue_age_s(JobKind.LLM)
        work = LlmWork(models, on_failure=health.suspect)
        runner = Runner(broker, JobKind.LLM, name, slots=settings.llm_slots, work=work, metrics=report.workers)
        report.needs("store", store_check(broker, JobKind.LLM))
        report.needs("language models", health.state)
        announce_ready()
        async with health.watching():
            await runner.run(stop)
    finally:
        await models.close()
        await broker.close()
