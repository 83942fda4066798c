"""A rolling restart of a cluster's gateways under calls: resuming callers, official clients, and the report."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from openai import AsyncOpenAI
from websockets.exceptions import ConnectionClosed

from agentvoicebox.client.caller import LiveCall, open_call
from agentvoicebox.client.line import SpokenLine
from agentvoicebox.errors import AgentVoiceBoxError
from agentvoicebox.realtime_client.dialing import CallOptions
from tests.kit.call_checks import CallChecks
from tests.kit.cluster import Cluster
from tests.kit.waiting import FACTOR

ANSWER_S = 30.0 * FACTOR
BREATH_S = 2.0  # between an answer and the next question of a stock client
CLEAN_CLOSES = (1000, 1001)
TRAIL = 14
QUESTION = "Where is parcel PKG004?"


@dataclass
class ResumingCall:
    """The result of a call by `client.caller`, from the first restart to its end.

    Attributes:
        lost: why it was lost, or "".
    """

    turns: int = 0
    lost: str = ""
    doubled: int = 0
    items: int = 0
    items_lost: int = 0
    pauses_s: list[float] = field(default_factory=list)
    gap_ms: float = 0.0


@dataclass
class StockCalls:
    """The result of an official client, over all its connections.

    Attributes:
        cuts: connections that ended between an answer's first event and its last.
        closes: close codes of connections that the server ended.
        refusals: connections that could not be made.
    """

    turns: int = 0
    cuts: int = 0
    closes: list[int] = field(default_factory=list)
    refusals: int = 0


async def our_call(url: str, line: SpokenLine | None, stop: asyncio.Event, call_report: ResumingCall) -> None:
    """Ask repeatedly until `stop`, then once more; `line` is spoken, None is typed."""
    witness = CallChecks()
    try:
        async with open_call(CallOptions(url, reply_timeout_s=ANSWER_S), witness) as call:
            is_last = False
            while not is_last:
                is_last = stop.is_set()
                turn = await (call.type(QUESTION) if line is None else call.say(line))
                call_report.turns += 1
                if turn.problem:
                    kind = "typed" if turn.is_typed else "spoken"
                    call_report.lost = f"{kind} turn {turn.index} at {turn.end_s:.1f} s: {turn.problem}; {trail(call)}"
                    return
            call_report.items_lost = await witness.ask_for_all(call)
            call_report.pauses_s, call_report.gap_ms = call.connection.pauses_s, call.record().gap_ms
            call_report.lost = (
                call_report.lost or call.connection.ended or ("events are missing" if call.connection.gaps else "")
            )
    except AgentVoiceBoxError as error:
        call_report.lost = error.message
    finally:
        call_report.doubled, call_report.items = witness.doubled, len(set(witness.items))


async def stock_calls(url: str, stop: asyncio.Event, call_report: StockCalls) -> None:
    """An official client that asks repeatedly until `stop`, and reconnects when the server ends its call."""
    async with AsyncOpenAI(base_url=url, api_key="local", max_retries=0) as client:
        while not stop.is_set():
            try:
                async with client.realtime.connect(model="delivery") as connection:
                    while not stop.is_set():
                        await _stock_turn(connection, call_report)
                        await asyncio.sleep(BREATH_S)
            except OSError:
                call_report.refusals += 1
            except ConnectionClosed as closed:
                call_report.closes.append(closed.rcvd.code if closed.rcvd else 1006)


async def _stock_turn(connection: object, call_report: StockCalls) -> None:
    """One typed question to the end of its answer. Raises ConnectionClosed; an incomplete answer then counts as cut."""
    content = [{"type": "input_text", "text": QUESTION}]
    item = {"type": "message", "role": "user", "content": content}
    is_open = False
    try:
        await connection.conversation.item.create(item=item)  # type: ignore[attr-defined]
        await connection.response.create()  # type: ignore[attr-defined]
        async with asyncio.timeout(ANSWER_S):
            while True:
                event = await connection.recv()  # type: ignore[attr-defined]
                is_open = is_open or event.type == "response.created"
                if event.type == "response.done":
                    call_report.turns += 1
                    if event.response.status == "completed":
                        is_open = False
                    calls = [each for each in event.response.output or () if each.type == "function_call"]
                    if not calls:
                        return
    except ConnectionClosed as closed:
        call_report.cuts += is_open or not closed.rcvd or closed.rcvd.code not in CLEAN_CLOSES
        raise


def trail(call: LiveCall) -> str:
    """The last events of a call, for debugging."""
    events = [each for each in call.record().events if each.type != "response.output_audio_transcript.delta"]
    return ", ".join(f"{each.at_s:.1f} {each.sender} {each.type}" for each in events[-TRAIL:])


@dataclass
class RestartReport:
    """The whole run.

    Attributes:
        drains_s: of each gateway, from SIGTERM to its end.
        total_s: from the first SIGTERM until the last new gateway was ready.
    """

    ours: list[ResumingCall]
    stock: list[StockCalls]
    drains_s: list[float]
    total_s: float


@asynccontextmanager
async def calls_in_progress(
    url: str, lines: list[SpokenLine | None], stock: int, *, stagger_s: float
) -> AsyncIterator[tuple[list[ResumingCall], list[StockCalls]]]:
    """Callers of both kinds, each in the middle of a call; at the end of the block they finish."""
    ours, others = [ResumingCall() for _ in lines], [StockCalls() for _ in range(stock)]
    stop = asyncio.Event()
    tasks: list[asyncio.Task[None]] = []
    try:
        for line, told in zip(lines, ours, strict=True):
            tasks.append(asyncio.create_task(our_call(url, line, stop, told)))
            await asyncio.sleep(stagger_s)  # people do not dial at the same moment
        for each in others:
            tasks.append(asyncio.create_task(stock_calls(url, stop, each)))
            await asyncio.sleep(stagger_s)
        async with asyncio.timeout(2 * ANSWER_S):
            while not all(each.turns or each.lost for each in ours) or not all(each.turns for each in others):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        yield ours, others
        stop.set()
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks, return_exceptions=True)


async def rolling_restart(
    cluster: Cluster, lines: list[SpokenLine | None], stock: int, *, stagger_s: float = 0.1
) -> RestartReport:
    """Restart each gateway, one after the other, while callers of both kinds are asking."""
    loop = asyncio.get_running_loop()
    async with calls_in_progress(cluster.url, lines, stock, stagger_s=stagger_s) as (ours, others):
        drains_s = []
        began_s = loop.time()
        for node in cluster.gateways:
            drains_s.append(await node.stop())
            await node.start()
            await cluster.until_ready(node)
        total_s = loop.time() - began_s
    return RestartReport(ours, others, drains_s, total_s)
