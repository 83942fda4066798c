"""Damaged client events at live sessions of a real gateway over a real Valkey: how many a second, and what went wrong.

    python benchmarks/fuzz.py [--events 1000000] [--seconds 1800] [--seed 1] [--sessions 8] [--json FILE]

Events begin as valid ones of every type and are damaged: types, fields, kinds, numbers, lengths, nesting, Unicode, JSON, ids of
other sessions, audio of odd lengths. Several sessions send at once, each with as much in flight as its window allows, and are
hung up and replaced after a while; workers answer at once. Beside them an honest caller types one question after another.
Wrong is: an error that is not in the catalogue, an event that does not parse, a close that nobody asked for, a session that does
not answer any more, an error in the log, a task, a connection or a key that is left, a dead letter, a caller whose question
fails. The exit code is 1 when anything was wrong.
"""

import argparse
import asyncio
import io
import json
import random
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import uvloop
from rich.console import Console
from rich.table import Table
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.kit.client import Client, calling  # noqa: E402
from tests.kit.event_specimens import KEYS, KnownIds, Specimens  # noqa: E402
from tests.kit.gateway import Gateway, gateway  # noqa: E402
from tests.kit.mutation import Mutator  # noqa: E402
from tests.kit.store import connections_to, looking_into  # noqa: E402
from tests.kit.waiting import PATIENCE_S, settled, until  # noqa: E402

from agentvoicebox.broker import keys  # noqa: E402
from agentvoicebox.broker.redis_streams import RedisBroker  # noqa: E402
from agentvoicebox.engine.inputs import (  # noqa: E402
    AudioSynthesised,
    Generated,
    SynthesisDone,
    TextDelta,
    ToolCallDelta,
    Transcribed,
)
from agentvoicebox.engine.jobs import Generate, Synthesise  # noqa: E402
from agentvoicebox.gateway.pace import ServingPace  # noqa: E402
from agentvoicebox.ports.broker import JobKind  # noqa: E402
from agentvoicebox.supervisor.embedded.data_folder import DataFolder  # noqa: E402
from agentvoicebox.supervisor.embedded.valkey import EmbeddedValkey  # noqa: E402
from agentvoicebox.telemetry.logs import configure  # noqa: E402
from agentvoicebox.wire.faults import CATALOGUE  # noqa: E402
from agentvoicebox.workers.runner import Runner, Task, worker_name  # noqa: E402

GATEWAY_OPTIONS: dict[str, Any] = {"resume_s": 0.5, "pace": ServingPace(0, 0, 0, 0)}
"""Fields of the gateway's state for this benchmark. The bounds on the events a second of one socket are lifted here."""
QUESTION = "Where is PKG004?"  # the honest caller's
WINDOW = 64  # events of one session in flight
LIFETIME = 3_000  # events of one session, which so has at most some hundreds of items
SESSIONS = 8
BROKEN_UTF8 = 1 / 5_000  # of all events; the protocol itself closes such a connection
INVALID_PAYLOAD = 1007  # RFC 6455: text that is not UTF-8
UVICORN_TELLS = "Invalid UTF-8 sequence received from client."  # one line of its log for each of them
EVENT_CODES = frozenset(each.code for each in CATALOGUE if each.place == "event")
ERROR_TYPES = frozenset(each.error_type for each in CATALOGUE)
CHUNK = bytes(4_800)


class _Id(msgspec.Struct):
    id: str = ""
    call_id: str = ""


class _Error(msgspec.Struct, forbid_unknown_fields=True):
    type: str
    code: str | None
    message: str
    param: str | None
    event_id: str | None


class _Told(msgspec.Struct):
    """What matters of a server's event."""

    type: str
    event_id: str
    error: _Error | None = None
    item: _Id | None = None
    response: _Id | None = None


_told = msgspec.json.Decoder(_Told)


class Report(msgspec.Struct):
    """What came of it.

    Attributes:
        sent: events that were sent and handled: a later one of the same session was answered.
        answers: events that came back, by type; errors by code.
        wrong: what must not be.
        closes: closes by code, those of the protocol for text that is not UTF-8.
        neighbour_ms: the honest caller's turns: how many, the median, the worst.
        rss_mib: of the process at the end, and by how much it grew; the clients are in it.
    """

    seed: int
    sent: int = 0
    seconds: float = 0.0
    rate: float = 0.0
    sessions: int = 0
    answers: dict[str, int] = msgspec.field(default_factory=dict)
    wrong: list[str] = msgspec.field(default_factory=list)
    closes: dict[str, int] = msgspec.field(default_factory=dict)
    neighbour_ms: dict[str, float] = msgspec.field(default_factory=dict)
    rss_mib: dict[str, float] = msgspec.field(default_factory=dict)


class Attack:
    """All sessions that send damaged events, until enough were sent or time is up."""

    def __init__(self, url: str, *, events: int, seconds: float, seed: int, report: Report) -> None:
        self._url = url
        self._left = events
        self._ends_s = time.monotonic() + seconds
        self._chance = random.Random(seed)
        known = KnownIds()
        self._known = known
        self._specimens = Specimens(self._chance, known)
        self._mutator = Mutator(self._chance, keys=KEYS)
        self._report = report
        self._answers: Counter[str] = Counter()
        self._closes: Counter[str] = Counter()
        self._syncs = 0

    async def run(self, sessions: int) -> None:
        """Until the end."""
        async with asyncio.TaskGroup() as group:
            for _ in range(sessions):
                group.create_task(self._one_after_another())
        self._report.answers = dict(sorted(self._answers.items()))
        self._report.closes = dict(self._closes)

    @property
    def _is_over(self) -> bool:
        return self._left <= 0 or time.monotonic() >= self._ends_s

    async def _one_after_another(self) -> None:
        while not self._is_over and len(self._report.wrong) < 100:
            beta = "&api-version=1" if self._chance.random() < 0.1 else ""
            resumes = "&resume=1" if self._chance.random() < 0.2 else ""
            try:
                async with connect(f"{self._url}{beta}{resumes}", max_size=None, compression=None) as ws:
                    self._report.sessions += 1
                    await self._session(ws)
            except ConnectionClosed as error:
                code = error.rcvd.code if error.rcvd else 1006
                self._wrong(f"the session closed with {code} {error.rcvd.reason if error.rcvd else ''}")
            except TimeoutError:
                self._wrong("the session does not answer")

    async def _session(self, ws: ClientConnection) -> None:
        """One session's life. It ends with a hang-up, or with text that the protocol does not allow."""
        passed: asyncio.Queue[str] = asyncio.Queue()
        reading = asyncio.create_task(self._read(ws, passed))
        try:
            for _ in range(LIFETIME // WINDOW):
                sent = await self._burst(ws)
                self._syncs += 1
                await ws.send(json.dumps({"type": "sync", "event_id": f"sync_{self._syncs}"}))
                wanted = f"sync_{self._syncs}"
                async with asyncio.timeout(PATIENCE_S):
                    while await _first_of(passed, reading) != wanted:
                        pass
                self._report.sent += sent
                if self._is_over:
                    break
                if self._chance.random() < BROKEN_UTF8 * WINDOW:
                    await self._break_utf8(ws, reading)
                    return
        finally:
            await ws.close()
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def _burst(self, ws: ClientConnection) -> int:
        chance = self._chance
        count = min(WINDOW, self._left)
        self._left -= count
        for _ in range(count):
            event: Any = self._specimens.make()
            for _ in range(chance.choice((0, 0, 1, 1, 2, 4))):
                event = self._mutator.bend(event)
            raw = self._mutator.written(event, damaged=0.15)
            try:
                await ws.send(raw.decode() if chance.random() < 0.999 else raw)
            except UnicodeDecodeError:
                await ws.send(raw)  # as a binary frame, which the protocol of the events does not have
        return count

    async def _break_utf8(self, ws: ClientConnection, reading: "asyncio.Task[None]") -> None:
        await ws.send(b'{"type": "\xed\xa0\x80"}', text=True)
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.wait([reading])
        self._closes[str(ws.close_code)] += 1
        if ws.close_code != INVALID_PAYLOAD:
            self._wrong(f"text that is not UTF-8 closed with {ws.close_code}")

    async def _read(self, ws: ClientConnection, passed: "asyncio.Queue[str]") -> None:
        async for frame in ws:
            try:
                told = _told.decode(frame)
            except msgspec.DecodeError as error:
                self._wrong(f"an event that does not parse: {error}")
                continue
            if told.type != "error":
                self._answers[told.type] += 1
                self._learn(told)
            elif told.error is None:
                self._wrong("an error without a body")
            elif (event_id := told.error.event_id or "").startswith("sync_") and told.error.param == "type":
                passed.put_nowait(event_id)
            else:
                self._judge(told.error)

    def _judge(self, error: _Error) -> None:
        self._answers[f"error {error.code}"] += 1
        if error.code not in EVENT_CODES or error.type not in ERROR_TYPES or not error.message:
            self._wrong(f"an error that is not in the catalogue: {error.type}.{error.code}")

    def _learn(self, told: _Told) -> None:
        if told.item is not None:
            self._known.items.append(told.item.id)
            if told.item.call_id:
                self._known.calls.append(told.item.call_id)
        if told.response is not None:
            self._known.responses.append(told.response.id)

    def _wrong(self, what: str) -> None:
        self._report.wrong.append(what)


async def _first_of(passed: "asyncio.Queue[str]", reading: "asyncio.Task[None]") -> str:
    """What passed next. Raises ConnectionClosed when the connection ends before."""
    getting = asyncio.create_task(passed.get())
    try:
        await asyncio.wait([getting, reading], return_when=asyncio.FIRST_COMPLETED)
        if getting.done():
            return getting.result()
        reading.result()
        raise ConnectionClosed(None, None)
    finally:
        getting.cancel()


class Neighbour:
    """An honest caller who types one question after another, each in the same call."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.turns_s: list[float] = []
        self.failure = ""  # why a question failed

    async def run(self, stop: asyncio.Event) -> None:
        """Ask until `stop`, at least once."""
        try:
            async with calling(self._url) as client:
                while not self.turns_s or not stop.is_set():
                    self.turns_s.append(await self._ask(client))
                    client.events.clear()
                    await asyncio.sleep(0.05)
        except (ConnectionClosed, TimeoutError, AssertionError) as error:
            self.failure = f"{type(error).__name__} {error}".strip()[:500]

    async def _ask(self, client: Client) -> float:
        began_s = time.monotonic()
        item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": QUESTION}]}
        await client.send("conversation.item.create", item=item)
        await client.send("response.create", response={"output_modalities": ["text"]})
        item_id = (await client.until("conversation.item.added"))["item"]["id"]
        response = (await client.until("response.done"))["response"]
        assert response["status"] == "completed", response
        answer_id = response["output"][0]["id"]
        took_s = time.monotonic() - began_s
        for each in (item_id, answer_id):
            await client.send("conversation.item.delete", item_id=each)
            await client.until("conversation.item.deleted")
        return took_s


async def work(task: Task) -> None:
    """Workers of all kinds: a sentence, now and then a call of a tool, some audio, a transcript.

    A tool may be called again and again, until the engine stops it and says so. To the honest caller the model answers in words
    once it has a result.
    """
    job_id = task.claim.job.job_id
    if task.claim.job.kind is JobKind.RECORD:
        return
    match task.request:
        case Generate() as request if request.tools and int(job_id[-1], 16) % 2 and not _owes_words(request):
            await task.publish(ToolCallDelta(job_id, 0, "look", "{}"))
            await task.publish(Generated(job_id, "tool_calls"), is_last=True)
        case Generate():
            await task.publish(TextDelta(job_id, "It is on its way."))
            await task.publish(Generated(job_id), is_last=True)
        case Synthesise():
            for number in range(2):
                await task.publish(AudioSynthesised(job_id, number + 1, len(CHUNK) // 2), audio=CHUNK)
            await task.publish(SynthesisDone(job_id), is_last=True)
        case _:
            await _listen(task, job_id)


def _owes_words(request: Generate) -> bool:
    messages = request.messages
    return any(each.text == QUESTION for each in messages) and messages[-1].role == "tool"


async def _listen(task: Task, job_id: str) -> None:
    async with aclosing(task.utterance()) as entries:  # type: ignore[type-var]
        async for entry in entries:
            if entry.mark == "probe":
                await task.publish(Transcribed(job_id, "where is it", entry.at_sample))
            elif entry.mark == "end":
                await task.publish(Transcribed(job_id, "where is it", entry.at_sample, True), is_last=True)


@asynccontextmanager
async def workers(url: str) -> AsyncIterator[None]:
    """Instant workers of every kind, with a connection of their own."""
    broker = RedisBroker(url)
    stop = asyncio.Event()
    runners = [Runner(broker, kind, worker_name(kind), slots=256, work=work, drain_s=1) for kind in JobKind]
    running = [asyncio.create_task(each.run(stop)) for each in runners]
    try:
        yield
    finally:
        stop.set()
        await asyncio.gather(*running)
        await broker.close()


async def fuzz(url: str, *, events: int, seconds: float, seed: int, sessions: int = SESSIONS) -> Report:
    """Attack a gateway of this process over the Valkey at `url`, and say what was wrong."""
    report = Report(seed)
    lines = io.StringIO()
    configure(service="fuzz", level="warning", out=lines)
    with looking_into(url) as store:
        known = connections_to(store)
        tasks = asyncio.all_tasks()
        broker = RedisBroker(url)
        async with (
            workers(url),
            gateway(broker, max_calls=4 * sessions + 8, has_heartbeats=True, **GATEWAY_OPTIONS) as served,
        ):
            await _attack(served, events, seconds, sessions, report)
            await until(lambda: len(served.state.sessions), "calls go on")
            await until(lambda: _jobs(store), "jobs are left")
        await broker.close()
        await asyncio.sleep(0)
        left = sorted(task.get_name() for task in asyncio.all_tasks() - tasks if not task.done())
        report.wrong += [f"a task is left: {name}" for name in left]
        report.wrong += [f"a key is left: {key}" for key in settled(lambda: _left_keys(store))]
        still = settled(lambda: [last for client, last in connections_to(store).items() if client not in known])
        report.wrong += [f"a connection is left: {last}" for last in still]
    report.wrong += _errors_in(lines.getvalue())
    return report


async def _attack(served: Gateway, events: int, seconds: float, sessions: int, report: Report) -> None:
    neighbour, stop = Neighbour(served.url()), asyncio.Event()
    asking = asyncio.create_task(neighbour.run(stop))
    before_mib, began_s = _rss_mib(), time.monotonic()
    try:
        await Attack(served.url(), events=events, seconds=seconds, seed=report.seed, report=report).run(sessions)
    finally:
        report.seconds = round(time.monotonic() - began_s, 1)
        stop.set()
        await asking
    report.rate = round(report.sent / report.seconds, 0)
    report.rss_mib = {"end": round(_rss_mib(), 1), "grown": round(_rss_mib() - before_mib, 1)}
    turns_ms = sorted(each * 1000 for each in neighbour.turns_s)
    report.neighbour_ms = {
        "turns": len(turns_ms),
        "p50": round(turns_ms[len(turns_ms) // 2], 1) if turns_ms else 0.0,
        "max": round(turns_ms[-1], 1) if turns_ms else 0.0,
    }
    if neighbour.failure:
        report.wrong.append(f"the honest caller's question failed: {neighbour.failure}")


def _jobs(store: Any) -> list[str]:
    """Streams whose jobs are not done."""
    return [key for key in map(keys.job_stream, JobKind) if store.xlen(key)]


def _left_keys(store: Any) -> list[str]:
    """Keys of ended sessions, dead letters, and keys that would stay for ever. A fence of a record outlives its session."""
    left = [key for key in store.scan_iter("*{*/sess_*}*") if not key.startswith(f"{keys.PREFIX}job:record:")]
    left += [key for key in map(keys.dead_stream, JobKind) if store.xlen(key)]
    left += [key for key in store.scan_iter() if store.ttl(key) == -1 and key not in keys.WITHOUT_TTL]
    left += [keys.LIVE_SESSIONS] if store.zcard(keys.LIVE_SESSIONS) else []
    return sorted(left)[:20]


def _errors_in(lines: str) -> list[str]:
    """Lines of the log that tell an error or an exception, each kind once."""
    found: dict[str, str] = {}
    for line in lines.splitlines():
        told = json.loads(line)
        if told["message"] == UVICORN_TELLS:
            continue
        if told["level"] in ("error", "critical") or "exception" in told:
            found.setdefault(f"{told['message']} {told.get('exception')} {told.get('place')}", line)
    return [f"the log: {line}" for line in found.values()]


def _rss_mib() -> float:
    """Memory of this process now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


async def _over_own_valkey(options: argparse.Namespace) -> Report:
    with tempfile.TemporaryDirectory() as name:
        folder = DataFolder(Path(name))
        server = EmbeddedValkey(folder.path / "valkey", folder.sockets)
        try:
            await server.start()
            return await fuzz(
                server.url, events=options.events, seconds=options.seconds, seed=options.seed, sessions=options.sessions
            )
        finally:
            await server.stop()
            folder.close()


def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(description="Damaged client events at live sessions.")
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=1_800.0, help="ends earlier when so much time has passed")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sessions", type=int, default=SESSIONS, help="at once")
    parser.add_argument("--json", type=Path, help="where to write the figures, too")
    options = parser.parse_args()
    report = uvloop.run(_over_own_valkey(options))
    told = json.dumps({"benchmark": "fuzz", **msgspec.to_builtins(report)})
    print(told)
    if options.json:
        options.json.write_text(told + "\n")
    table = Table(
        "events", "seconds", "a second", "sessions", "wrong", "neighbour p50, max ms", "grown MiB", title="fuzz"
    )
    neighbour = f"{report.neighbour_ms['p50']}, {report.neighbour_ms['max']}"
    table.add_row(
        str(report.sent), str(report.seconds), f"{report.rate:.0f}", str(report.sessions), str(len(report.wrong)), neighbour,
        str(report.rss_mib["grown"]),
    )  # fmt: skip
    Console().print(table)
    return 1 if report.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
