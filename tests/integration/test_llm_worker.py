"""The language worker over a real Valkey: streams, survives its own death without repeating, stops when told."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest
from structlog.testing import capture_logs
from tests.kit.client import until
from tests.kit.kits import DELIVERY
from tests.kit.scripted_llm import Line, Pause, ScriptedCall, ScriptedLlm
from tests.kit.waiting import PATIENCE_S

from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.engine.inputs import Generated, JobFailed, TextDelta, ToolCallDelta, WorkerInput
from agentvoicebox.engine.jobs import ChatMessage, Generate, ToolSpec
from agentvoicebox.errors import ProviderBrokeOff, ProviderUnavailable
from agentvoicebox.ports.broker import Cancel, Job, JobKind, SessionRef, Submit
from agentvoicebox.providers.llm.registry import LanguageModels
from agentvoicebox.settings import Settings
from agentvoicebox.telemetry.process_report import ProcessReport
from agentvoicebox.workers.llm import LlmWork, serve_llm
from agentvoicebox.workers.runner import Runner, Task
from agentvoicebox_delivery.parcels import tool_schema

pytestmark = pytest.mark.requirement("A9")

CALLER = SessionRef("acme", "sess_1")
TOOL = ToolSpec(tool_schema.NAME, "", tool_schema.PARAMETERS)


@pytest.fixture
async def broker(redis_url: str) -> AsyncIterator[RedisBroker]:
    made = RedisBroker(redis_url)
    yield made
    await made.close()


def submit(model: str = "scripted", *lines: ChatMessage, job_id: str = "job_1") -> Submit:
    # A scripted model speaks for an agent that knows nothing of parcels: grounding, tested elsewhere, leaves it alone.
    request = Generate("resp_1", model, "", lines, (TOOL,) if model == "dialogue" else ())
    return Submit(Job(job_id, JobKind.LLM, CALLER, msgspec.msgpack.encode(request), 0.0))


def scripted(*lines: Line) -> tuple[LlmWork, ScriptedLlm]:
    llm = ScriptedLlm(*lines)
    return LlmWork(LanguageModels(others={"scripted": llm}, deterministic=DELIVERY.language_models())), llm


async def claimed(broker: RedisBroker, worker: str) -> Task:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            claims = await broker.claim(JobKind.LLM, worker, slots=1, wait_s=0.5)
            if claims:
                return Task(broker, claims[0])


class Results:
    """What the session's gateway sees."""

    def __init__(self, broker: RedisBroker) -> None:
        self.broker = broker
        self.got: list[WorkerInput] = []

    async def until_last(self) -> list[WorkerInput]:
        stream = await self.broker.results(CALLER)
        records = aiter(stream)
        try:
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    record = await anext(records)
                    self.got.append(msgspec.msgpack.decode(record.body, type=WorkerInput))
                    if record.is_last:
                        return self.got
        finally:
            await stream.close()
            await records.aclose()  # type: ignore[attr-defined]


def text(got: list[WorkerInput]) -> str:
    return "".join(each.text for each in got if isinstance(each, TextDelta))


async def test_the_role_is_ready_answers_and_stops(broker: RedisBroker, redis_url: str) -> None:
    ready, stop = asyncio.Event(), asyncio.Event()
    serving = asyncio.create_task(serve_llm(Settings(redis_url=redis_url), ready.set, stop, ProcessReport()))
    async with asyncio.timeout(PATIENCE_S):
        await ready.wait()
        await broker.dispatch([submit("dialogue", ChatMessage("user", "where is PKG004?"))])
        got = await Results(broker).until_last()
        stop.set()
        await serving
    assert isinstance(got[0], ToolCallDelta) and got[0].name == tool_schema.NAME
    assert msgspec.json.decode(got[0].arguments)["tracking_id"] == "PKG004"
    assert isinstance(got[1], Generated) and got[1].finish_reason == "tool_calls"


async def test_what_comes_at_once_leaves_in_few_records(broker: RedisBroker) -> None:
    work, _ = scripted([f"word{number} " for number in range(50)])
    await broker.dispatch([submit()])
    await work(await claimed(broker, "w1"))
    got = await Results(broker).until_last()
    assert text(got) == "".join(f"word{number} " for number in range(50))
    assert len(got) < 10


@pytest.mark.parametrize("model", ["scripted", "dialogue"])
async def test_a_dead_workers_line_goes_on_where_the_caller_stopped_hearing(broker: RedisBroker, model: str) -> None:
    pause = Pause()
    work, llm = scripted(("Your parcel ", "is on ", pause), ("its way.",))
    whole = "Your parcel is on its way."
    await broker.dispatch([submit(model)])
    first = await claimed(broker, "w1")
    if model == "scripted":
        dying = asyncio.create_task(work(first))
        async with asyncio.timeout(PATIENCE_S):
            await pause.reached.wait()

        async def is_published() -> bool:
            return text(await seen(broker, first)) == "Your parcel is on "

        await until(is_published)
        dying.cancel()
        await asyncio.gather(dying, return_exceptions=True)
    else:
        whole = "Hello, this is parcel tracking. What's your tracking number?"
        await first.publish(TextDelta("job_1", whole[:17]))
    await broker.release_consumer(JobKind.LLM, "w1")
    second = await claimed(broker, "w2")
    assert second.claim.attempt == 2
    await work(second)
    got = await Results(broker).until_last()
    assert text(got) == whole
    assert sum(isinstance(each, Generated) for each in got) == 1
    if model == "scripted":
        assert llm.requests[1].messages[-1] == ChatMessage("assistant", "Your parcel is on ")


async def seen(broker: RedisBroker, task: Task) -> list[WorkerInput]:
    records = await broker.published(task.claim)
    return [msgspec.msgpack.decode(record.body, type=WorkerInput) for record in records]


async def test_half_a_tool_call_of_a_dead_worker_fails_honestly_and_a_whole_one_is_finished(
    broker: RedisBroker,
) -> None:
    for arguments, expected in (('{"a"', JobFailed), ('{"a":1}', Generated)):
        work, _ = scripted((ScriptedCall("f", "{}"),))
        await broker.dispatch([submit()])
        await (await claimed(broker, "w1")).publish(ToolCallDelta("job_1", 0, "f", arguments))
        await broker.release_consumer(JobKind.LLM, "w1")
        await work(await claimed(broker, "w2"))
        got = await Results(broker).until_last()
        assert isinstance(got[-1], expected)
        await broker.forget(CALLER)


async def test_a_stream_that_breaks_after_its_first_word_is_taken_up_again(broker: RedisBroker) -> None:
    work, _ = scripted(("Your parcel ", ProviderUnavailable("broke")), ("Your parcel ", "is here."))
    stop = asyncio.Event()
    runner = asyncio.create_task(Runner(broker, JobKind.LLM, "w1", slots=1, work=work).run(stop))
    await broker.dispatch([submit()])
    got = await Results(broker).until_last()
    stop.set()
    await runner
    assert text(got) == "Your parcel is here." and isinstance(got[-1], Generated)


async def test_a_stream_that_breaks_before_a_word_of_it_has_left_is_asked_for_again(broker: RedisBroker) -> None:
    broke = ProviderBrokeOff("broke")  # as grounding leaves it, when the first words are still being judged
    work, llm = scripted((broke,), (broke,), ("Your parcel is here.",))
    stop = asyncio.Event()
    runner = asyncio.create_task(Runner(broker, JobKind.LLM, "w1", slots=1, work=work).run(stop))
    await broker.dispatch([submit()])
    got = await Results(broker).until_last()
    stop.set()
    await runner
    assert text(got) == "Your parcel is here." and len(llm.requests) == 3


async def test_a_provider_that_never_answers_fails_the_job_at_once(broker: RedisBroker) -> None:
    work, llm = scripted((ProviderUnavailable("away"),))
    await broker.dispatch([submit()])
    task = await claimed(broker, "w1")
    await work(task)
    got = await Results(broker).until_last()
    assert got == [JobFailed("job_1", "provider_unavailable", "away")] and task.is_ended
    assert len(llm.requests) == 2, "the guard tried again, the runner need not"


async def test_an_unknown_language_model_says_what_to_set(broker: RedisBroker) -> None:
    work, _ = scripted(("hi",))
    await broker.dispatch([submit("openai")])
    with capture_logs() as logs:
        await work(await claimed(broker, "w1"))
    got = await Results(broker).until_last()
    assert isinstance(got[0], JobFailed) and "AVB_LLM" in got[0].message
    (line,) = (each for each in logs if each["event"] == "no answer from the language model")
    assert line["reason"] == got[0].message


async def test_a_cancelled_job_closes_its_stream_and_says_nothing_more(broker: RedisBroker) -> None:
    pause = Pause()
    work, llm = scripted(("Your parcel ", pause, "is lost."))
    stop = asyncio.Event()
    runner = asyncio.create_task(Runner(broker, JobKind.LLM, "w1", slots=1, work=work).run(stop))
    await broker.dispatch([submit()])
    async with asyncio.timeout(PATIENCE_S):
        await pause.reached.wait()
    await broker.dispatch([Cancel("job_1", JobKind.LLM, CALLER)])

    async def is_closed() -> bool:
        return llm.closed == 1

    await until(is_closed)
    stop.set()
    await runner
    assert llm.closed == 1
